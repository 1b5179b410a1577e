package storage

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
)

// claim is what the sender says the content is; a content that differs is refused.
type claim struct {
	CRC32C *uint32 `json:"crc32c,omitempty"`
	MD5    []byte  `json:"md5,omitempty"`
}

// upload is a new object on its way: everything but its bytes.
type upload struct {
	Bucket     string     `json:"bucket"`
	Name       string     `json:"name"`
	Attributes attributes `json:"attributes"`
	Claim      claim      `json:"claim"`
}

// objectsInsert takes a whole object in one request: uploadType=multipart (JSON, then bytes) or media (bytes only).
func (s *Server) objectsInsert(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	fields, contentType, data, err := openUpload(r)
	if err != nil {
		return err
	}
	u, err := newUpload(r, c.bucket, fields, contentType)
	if err != nil {
		return err
	}
	if r.ContentLength < 0 || r.ContentLength > blockSize {
		if err := s.early(u, p); err != nil {
			return err
		}
	}
	b, err := s.receive(data)
	if err != nil {
		return err
	}
	o, err := s.finish(u, b, p, nil)
	if err != nil {
		return err
	}
	return answer(w, r, o.resource(baseOf(r)))
}

// openUpload finds the resource, the content type and the bytes of an upload in one request.
func openUpload(r *http.Request) (map[string]json.RawMessage, string, io.Reader, error) {
	switch t := r.URL.Query().Get("uploadType"); t {
	case "media":
		return map[string]json.RawMessage{}, r.Header.Get("Content-Type"), r.Body, nil
	case "multipart":
	default:
		return nil, "", nil, invalid("Invalid uploadType %q, wanted media, multipart or resumable", t)
	}
	boundary, err := boundaryOf(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, "", nil, err
	}
	mr := multipart.NewReader(r.Body, boundary)
	part, err := mr.NextRawPart()
	if err != nil {
		return nil, "", nil, invalid("multipart upload without a metadata part: %v", err)
	}
	head, err := io.ReadAll(io.LimitReader(part, 1<<20+1))
	if err != nil || len(head) > 1<<20 {
		return nil, "", nil, invalid("the metadata part of the multipart upload is over 1 MiB or ended early")
	}
	fields, err := parseFields(head)
	if err != nil {
		return nil, "", nil, err
	}
	data, err := mr.NextRawPart()
	if err != nil {
		return nil, "", nil, invalid("multipart upload without a content part: %v", err)
	}
	return fields, data.Header.Get("Content-Type"), data, nil
}

// boundaryOf reads the boundary of a multipart/related type; gsutil puts it in single quotes, which MIME does not know.
func boundaryOf(contentType string) (string, error) {
	_, params, err := mime.ParseMediaType(contentType)
	b := params["boundary"]
	if err != nil {
		_, b, _ = strings.Cut(contentType, "boundary=")
		b, _, _ = strings.Cut(b, ";")
	}
	b = strings.Trim(strings.TrimSpace(b), `'"`)
	if !strings.HasPrefix(contentType, "multipart/") || b == "" {
		return "", invalid("a multipart upload needs Content-Type: multipart/related; boundary=…, got %q", contentType)
	}
	return b, nil
}

// newUpload joins what the query, the JSON and the headers say of a new object.
func newUpload(r *http.Request, bucket string, fields map[string]json.RawMessage, contentType string) (upload, error) {
	u := upload{Bucket: bucket, Name: r.URL.Query().Get("name")}
	if u.Name == "" && fields["name"] != nil {
		if err := json.Unmarshal(fields["name"], &u.Name); err != nil {
			return u, invalid("Invalid value for field \"name\": expected a string")
		}
	}
	if err := checkObjectName(u.Name); err != nil {
		return u, err
	}
	u.Attributes.ContentEncoding = r.URL.Query().Get("contentEncoding")
	if err := u.Attributes.apply(fields); err != nil {
		return u, err
	}
	if u.Attributes.ContentType == "" {
		u.Attributes.ContentType = contentType
	}
	if u.Attributes.ContentType == "" {
		u.Attributes.ContentType = "application/octet-stream"
	}
	for _, name := range []string{"crc32c", "md5Hash"} {
		var text string
		if raw := fields[name]; raw != nil && json.Unmarshal(raw, &text) == nil && text != "" {
			if err := u.Claim.set(name, text); err != nil {
				return u, err
			}
		}
	}
	return u, u.Claim.header(r)
}

// header takes the checksums of X-Goog-Hash, which may come with any request of an upload.
func (c *claim) header(r *http.Request) error {
	for _, h := range r.Header.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(h, ",") {
			name, text, _ := strings.Cut(strings.TrimSpace(part), "=")
			if err := c.set(name, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *claim) set(name, text string) error {
	b, err := base64.StdEncoding.DecodeString(text)
	switch {
	case name == "crc32c" && err == nil && len(b) == 4:
		v := binary.BigEndian.Uint32(b)
		c.CRC32C = &v
	case (name == "md5" || name == "md5Hash") && err == nil && len(b) == 16:
		c.MD5 = b
	default:
		return invalid("Invalid checksum %s=%q", name, text)
	}
	return nil
}

func (c claim) check(b *body) error {
	if c.CRC32C != nil && *c.CRC32C != b.crc {
		return invalid("Provided CRC32C %q doesn't match calculated CRC32C %q.", crcText(*c.CRC32C), crcText(b.crc))
	}
	if got := b.md5.Sum(nil); c.MD5 != nil && string(c.MD5) != string(got) {
		return invalid("Provided MD5 hash %q doesn't match calculated MD5 hash %q.",
			base64.StdEncoding.EncodeToString(c.MD5), base64.StdEncoding.EncodeToString(got))
	}
	return nil
}

// early refuses before the bytes come what could not be stored anyway. It does not replace the check in the transaction.
func (s *Server) early(u upload, p preconditions) error {
	return s.view(func(t *txn) error {
		_, err := t.target(u.Bucket, u.Name, p)
		return err
	})
}

// finish makes a sealed body the content of its object, in one transaction with the preconditions and the event; end, if
// given, is written in it too. On an error the body is gone.
func (s *Server) finish(u upload, b *body, p preconditions, end func(*txn, *object) error) (*object, error) {
	o := b.object(u.Bucket, u.Name, u.Attributes)
	err := u.Claim.check(b)
	if err == nil {
		err = s.commit(func(t *txn) error {
			old, err := t.target(u.Bucket, u.Name, p)
			if err != nil {
				return err
			}
			if end == nil { // a resumable upload's body is entered from its start
				if err := t.addBody(b); err != nil {
					return err
				}
				return t.create(o, old)
			}
			if err := t.create(o, old); err != nil {
				return err
			}
			return end(t, o)
		})
	}
	if err != nil {
		if end == nil {
			s.discard(b)
		}
		return nil, err
	}
	return o, nil
}

// lengthOf is a Content-Length-like header, -1 if absent.
func lengthOf(r *http.Request, header string) (int64, error) {
	text := r.Header.Get(header)
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, invalid("Invalid %s: %q is not a whole number", header, text)
	}
	return n, nil
}
