package storage

import (
	"crypto/md5" // Cloud Storage's own checksum of objects, no security rests on it
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// attributes are the parts of an object that its owner sets and may change later.
type attributes struct {
	ContentType        string            `json:"contentType,omitempty"`
	ContentEncoding    string            `json:"contentEncoding,omitempty"`
	ContentDisposition string            `json:"contentDisposition,omitempty"`
	ContentLanguage    string            `json:"contentLanguage,omitempty"`
	CacheControl       string            `json:"cacheControl,omitempty"`
	StorageClass       string            `json:"storageClass,omitempty"`
	CustomTime         string            `json:"customTime,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
}

// object is the record of one live object.
type object struct {
	bucket, name string // from the key

	attributes
	Generation     int64     `json:"generation"`
	Metageneration int64     `json:"metageneration"`
	Size           int64     `json:"size"`
	CRC32C         uint32    `json:"crc32c"`
	MD5            []byte    `json:"md5,omitempty"` // nil for composed objects
	Body           string    `json:"body"`
	Components     int       `json:"components,omitempty"`
	Created        time.Time `json:"created"`
	Updated        time.Time `json:"updated"`
}

func objectKey(bucket, name string) []byte {
	k := make([]byte, 0, len(bucket)+1+len(name))
	k = append(k, bucket...)
	k = append(k, 0)
	return append(k, name...)
}

func decodeObject(bucket, name string, v []byte) (*object, error) {
	o := &object{bucket: bucket, name: name}
	if err := json.Unmarshal(v, o); err != nil {
		return nil, fmt.Errorf("record of %s/%s: %w", bucket, name, err)
	}
	return o, nil
}

// objectResource is the JSON form of an object in answers and events.
type objectResource struct {
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	SelfLink string `json:"selfLink"`
	// MediaLink is where the bytes are; some clients follow it instead of building the address.
	MediaLink      string `json:"mediaLink"`
	Name           string `json:"name"`
	Bucket         string `json:"bucket"`
	Generation     int64  `json:"generation,string"`
	Metageneration int64  `json:"metageneration,string"`
	attributes
	Size                    int64  `json:"size,string"`
	MD5Hash                 string `json:"md5Hash,omitempty"`
	CRC32C                  string `json:"crc32c"`
	Etag                    string `json:"etag"`
	ComponentCount          int    `json:"componentCount,omitempty"`
	TimeCreated             string `json:"timeCreated"`
	Updated                 string `json:"updated"`
	TimeStorageClassUpdated string `json:"timeStorageClassUpdated"`
	TimeFinalized           string `json:"timeFinalized"`
}

// resource is the object as callers see it; base is the address under which they reached us.
func (o *object) resource(base string) objectResource {
	gen := strconv.FormatInt(o.Generation, 10)
	path := "/storage/v1/b/" + o.bucket + "/o/" + url.PathEscape(o.name)
	created := apiTime(o.Created)
	return objectResource{
		Kind: "storage#object", ID: o.bucket + "/" + o.name + "/" + gen,
		SelfLink: base + path, MediaLink: base + "/download" + path + "?generation=" + gen + "&alt=media",
		Name: o.name, Bucket: o.bucket, Generation: o.Generation, Metageneration: o.Metageneration,
		attributes: o.attributes, Size: o.Size, MD5Hash: o.md5Text(), CRC32C: crcText(o.CRC32C), Etag: o.etag(),
		ComponentCount: o.Components, TimeCreated: created, Updated: apiTime(o.Updated),
		TimeStorageClassUpdated: created, TimeFinalized: created,
	}
}

func (o *object) md5Text() string {
	if len(o.MD5) != md5.Size {
		return ""
	}
	return base64.StdEncoding.EncodeToString(o.MD5)
}

// etag is what Cloud Storage gives: a protocol buffer of generation (field 1) and metageneration (field 2).
func (o *object) etag() string {
	b := []byte{0x08}
	b = binary.AppendUvarint(b, uint64(o.Generation))
	b = append(b, 0x10)
	b = binary.AppendUvarint(b, uint64(o.Metageneration))
	return base64.StdEncoding.EncodeToString(b)
}

func crcText(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// apiTime has milliseconds, as Cloud Storage writes them.
func apiTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// refusedFields are parts of an object that cannot be honoured here. To store and ignore them would be a lie.
var refusedFields = map[string]string{
	"acl":            "object ACLs",
	"eventBasedHold": "holds",
	"temporaryHold":  "holds",
	"retention":      "object retention",
	"kmsKeyName":     "customer-managed encryption keys",
	"contexts":       "object contexts",
}

// apply sets the attributes that fields names; null removes. Fields that only the service writes are left alone, since
// clients send whole resources back.
func (a *attributes) apply(fields map[string]json.RawMessage) error {
	texts := map[string]*string{
		"contentType": &a.ContentType, "contentEncoding": &a.ContentEncoding, "contentDisposition": &a.ContentDisposition,
		"contentLanguage": &a.ContentLanguage, "cacheControl": &a.CacheControl, "storageClass": &a.StorageClass,
		"customTime": &a.CustomTime,
	}
	for name, raw := range fields {
		if what, ok := refusedFields[name]; ok && !isEmpty(raw) {
			return notOffered(what)
		}
		if p, ok := texts[name]; ok {
			*p = ""
			if err := json.Unmarshal(raw, p); err != nil {
				return invalid("Invalid value for field %q: expected a string", name)
			}
		}
	}
	if a.CustomTime != "" {
		if _, err := time.Parse(time.RFC3339, a.CustomTime); err != nil {
			return invalid("Invalid value for field \"customTime\": %q is not an RFC 3339 time", a.CustomTime)
		}
	}
	if a.StorageClass == "" {
		a.StorageClass = "STANDARD"
	}
	return a.applyMetadata(fields["metadata"])
}

func (a *attributes) applyMetadata(raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var changes map[string]*string
	if err := json.Unmarshal(raw, &changes); err != nil {
		return invalid("Invalid value for field \"metadata\": expected an object of strings")
	}
	merged := make(map[string]string, len(a.Metadata)+len(changes))
	if changes != nil { // null removes all
		for k, v := range a.Metadata {
			merged[k] = v
		}
	}
	size := 0
	for k, v := range changes {
		if v == nil {
			delete(merged, k)
		} else {
			merged[k] = *v
		}
	}
	for k, v := range merged {
		if size += len(k) + len(v); size > 8<<10 || strings.ContainsAny(k+v, "\r\n") {
			return invalid("Invalid custom metadata: more than 8 KiB, or a line break in %q", k)
		}
	}
	a.Metadata = merged
	return nil
}

// isEmpty says that a field carries nothing to honour.
func isEmpty(raw json.RawMessage) bool {
	switch strings.TrimSpace(string(raw)) {
	case "null", "false", "[]", "{}", `""`:
		return true
	}
	return false
}
