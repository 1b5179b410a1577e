package storage

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// bucket is the record of a bucket.
type bucket struct {
	Name           string            `json:"name"`
	Location       string            `json:"location"`
	StorageClass   string            `json:"storageClass"`
	Labels         map[string]string `json:"labels,omitempty"`
	Metageneration int64             `json:"metageneration"`
	Created        time.Time         `json:"created"`
	Updated        time.Time         `json:"updated"`
	Notifications  []notification    `json:"notifications,omitempty"`
	LastNotice     int               `json:"last_notice,omitempty"` // ids of notifications are not given twice
}

func (b *bucket) resource(base string) map[string]any {
	r := map[string]any{
		"kind": "storage#bucket", "id": b.Name, "name": b.Name, "selfLink": base + "/storage/v1/b/" + b.Name,
		"projectNumber": "0", "metageneration": strconv.FormatInt(b.Metageneration, 10), "location": b.Location,
		"locationType": "region", "storageClass": b.StorageClass, "etag": (&object{Metageneration: b.Metageneration}).etag(),
		"timeCreated": apiTime(b.Created), "updated": apiTime(b.Updated),
		"iamConfiguration": map[string]any{
			"uniformBucketLevelAccess": map[string]any{"enabled": true}, "publicAccessPrevention": "enforced",
		},
	}
	if len(b.Labels) > 0 {
		r["labels"] = b.Labels
	}
	return r
}

// bucketFields are what of a bucket's resource can be honoured; what only the service writes is ignored, and all else is
// refused by name unless it is empty.
var bucketFields = map[string]bool{
	"name": true, "location": true, "storageClass": true, "labels": true, "iamConfiguration": true, "projectNumber": true,
	"kind": true, "id": true, "selfLink": true, "etag": true, "metageneration": true, "timeCreated": true, "updated": true,
	"locationType": true, "generation": true,
}

func (b *bucket) apply(fields map[string]json.RawMessage) error {
	for name, raw := range fields {
		if !bucketFields[name] && !isEmpty(raw) {
			return notOffered("the bucket setting " + name)
		}
	}
	for name, dst := range map[string]*string{"location": &b.Location, "storageClass": &b.StorageClass} {
		if raw, ok := fields[name]; ok {
			if err := json.Unmarshal(raw, dst); err != nil {
				return invalid("Invalid value for field %q: expected a string", name)
			}
		}
	}
	a := attributes{Metadata: b.Labels}
	if err := a.applyMetadata(fields["labels"]); err != nil {
		return invalid("Invalid value for field \"labels\": expected an object of strings")
	}
	b.Labels = a.Metadata
	return nil
}

func (t *txn) insertBucket(b bucket) (*bucket, error) {
	if err := checkBucketName(b.Name); err != nil {
		return nil, err
	}
	if t.tx.Bucket(bucketsKey).Get([]byte(b.Name)) != nil {
		return nil, refuse(http.StatusConflict, reasonConflict, "Your previous request to create the named bucket succeeded and you already own it: %s", b.Name)
	}
	now := t.s.now().UTC()
	b.Metageneration, b.Created, b.Updated = 1, now, now
	if b.Location == "" {
		b.Location = "US-CENTRAL1"
	}
	b.Location = strings.ToUpper(b.Location)
	if b.StorageClass == "" {
		b.StorageClass = "STANDARD"
	}
	return &b, t.putBucket(&b)
}

func (s *Server) bucketsInsert(w http.ResponseWriter, r *http.Request, _ call) error {
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	var b *bucket
	err = s.commit(func(t *txn) error {
		var n bucket
		if err := json.Unmarshal(fields["name"], &n.Name); err != nil {
			return refuse(http.StatusBadRequest, reasonRequired, "Required: the name of the bucket")
		}
		if err := n.apply(fields); err != nil {
			return err
		}
		b, err = t.insertBucket(n)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, r, b.resource(baseOf(r)))
}

// bucketConditions checks ifMetageneration[Not]Match of a bucket's call.
func bucketConditions(r *http.Request, b *bucket, read bool) error {
	p, err := namedConditions(r.URL.Query(), "", "if")
	if err != nil {
		return err
	}
	p.Generation, p.GenMatch, p.GenNotMatch = nil, nil, nil
	return p.check(&object{Metageneration: b.Metageneration}, read)
}

func (s *Server) bucketsGet(w http.ResponseWriter, r *http.Request, c call) error {
	var b *bucket
	err := s.view(func(t *txn) (err error) {
		if b, err = t.bucket(c.bucket); err != nil {
			return err
		}
		return bucketConditions(r, b, true)
	})
	if err != nil {
		return err
	}
	return answer(w, r, b.resource(baseOf(r)))
}

func (s *Server) storageLayout(w http.ResponseWriter, r *http.Request, c call) error {
	var b *bucket
	err := s.view(func(t *txn) (err error) {
		b, err = t.bucket(c.bucket)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, r, map[string]any{
		"kind": "storage#storageLayout", "bucket": b.Name, "location": b.Location, "locationType": "region",
		"hierarchicalNamespace": map[string]any{"enabled": false},
	})
}

// foldersList answers that a bucket has no folder resources, which is always so here.
func (s *Server) foldersList(w http.ResponseWriter, r *http.Request, c call) error {
	if err := s.view(func(t *txn) error { _, err := t.bucket(c.bucket); return err }); err != nil {
		return err
	}
	return answer(w, r, map[string]any{"kind": "storage#folders"})
}

func (s *Server) bucketsUpdate(w http.ResponseWriter, r *http.Request, c call) error {
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	var b *bucket
	err = s.commit(func(t *txn) (err error) {
		if b, err = t.bucket(c.bucket); err != nil {
			return err
		}
		if err := bucketConditions(r, b, false); err != nil {
			return err
		}
		if r.Method == http.MethodPut {
			b.Labels = nil
		}
		if err := b.apply(fields); err != nil {
			return err
		}
		b.Metageneration++
		b.Updated = s.now().UTC()
		return t.putBucket(b)
	})
	if err != nil {
		return err
	}
	return answer(w, r, b.resource(baseOf(r)))
}

func (s *Server) bucketsDelete(w http.ResponseWriter, r *http.Request, c call) error {
	err := s.commit(func(t *txn) error {
		b, err := t.bucket(c.bucket)
		if err != nil {
			return err
		}
		if err := bucketConditions(r, b, false); err != nil {
			return err
		}
		prefix := objectKey(c.bucket, "")
		if k, _ := t.tx.Bucket(objectsKey).Cursor().Seek(prefix); bytes.HasPrefix(k, prefix) {
			return refuse(http.StatusConflict, reasonConflict, "The bucket you tried to delete is not empty: %s", c.bucket)
		}
		t.dirty = true
		return t.tx.Bucket(bucketsKey).Delete([]byte(c.bucket))
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) bucketsList(w http.ResponseWriter, r *http.Request, _ call) error {
	q := r.URL.Query()
	limit, err := pageSize(q.Get("maxResults"))
	if err != nil {
		return err
	}
	after, err := decodeToken(q.Get("pageToken"))
	if err != nil {
		return err
	}
	out := map[string]any{"kind": "storage#buckets"}
	items := []map[string]any{}
	err = s.db.View(func(tx *bolt.Tx) error {
		cur := tx.Bucket(bucketsKey).Cursor()
		for k, v := cur.Seek([]byte(max(q.Get("prefix"), after))); k != nil && bytes.HasPrefix(k, []byte(q.Get("prefix"))); k, v = cur.Next() {
			if string(k) == after {
				continue
			}
			if len(items) == limit {
				out["nextPageToken"] = encodeToken(items[limit-1]["name"].(string))
				break
			}
			var b bucket
			if err := json.Unmarshal(v, &b); err != nil {
				return err
			}
			items = append(items, b.resource(baseOf(r)))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(items) > 0 {
		out["items"] = items
	}
	return answer(w, r, out)
}

// readFields decodes a JSON body of at most 1 MiB, field by field so that null and absent stay apart. An empty body is an
// empty resource.
func readFields(w http.ResponseWriter, r *http.Request) (map[string]json.RawMessage, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return nil, invalid("The JSON body is over 1 MiB or ended early: %v", err)
	}
	return parseFields(b)
}

func parseFields(b []byte) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(b)) == 0 {
		return fields, nil
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, refuse(http.StatusBadRequest, "parseError", "Parse Error: the body is not a JSON object: %v", err)
	}
	return fields, nil
}
