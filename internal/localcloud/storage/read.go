package storage

import (
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// media answers the bytes of an object, or a range of them.
func (s *Server) media(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	o, content, err := s.open(c.bucket, c.object, p)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }()
	setObjectHeaders(w.Header(), o)
	if o.ContentEncoding == "gzip" && !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") &&
		!strings.Contains(o.CacheControl, "no-transform") {
		return s.serveDecompressed(w, r, content)
	}
	if o.ContentEncoding != "" {
		w.Header().Set("Content-Encoding", o.ContentEncoding)
	}
	w.Header().Set("Accept-Ranges", "bytes")
	start, length, partial, err := byteRange(r.Header.Get("Range"), o.Size)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, start+length-1, o.Size))
	}
	if _, err := content.Seek(start, io.SeekStart); err != nil {
		return err
	}
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if err := s.send(w, content, length); err != nil {
		s.brokenAnswer(r, err)
	}
	return nil
}

// serveDecompressed is Cloud Storage's decompressive transcoding: a stored gzip goes out plain to a caller that does not
// take gzip. Its length is not known before and ranges do not apply.
func (s *Server) serveDecompressed(w http.ResponseWriter, r *http.Request, content io.Reader) error {
	z, err := gzip.NewReader(content)
	if err != nil {
		return invalid("the object says Content-Encoding: gzip, but its content is no gzip: %v", err)
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	_ = http.NewResponseController(w).Flush() // else net/http adds the length of a short body
	if _, err := io.Copy(w, z); err != nil {  // the caller's own object, streamed at constant memory
		s.brokenAnswer(r, err)
	}
	return nil
}

// brokenAnswer ends the connection, so that the caller cannot take the part it has for the whole.
func (s *Server) brokenAnswer(r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.log.Warn("a read broke off", "path", r.URL.EscapedPath(), "error", err.Error())
	}
	panic(http.ErrAbortHandler)
}

func setObjectHeaders(h http.Header, o *object) {
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	set("Content-Type", o.ContentType)
	if o.ContentType == "" {
		h["Content-Type"] = nil // else net/http guesses one
	}
	set("Content-Disposition", o.ContentDisposition)
	set("Content-Language", o.ContentLanguage)
	set("Cache-Control", o.CacheControl)
	set("ETag", o.httpTag())
	set("Last-Modified", o.Updated.UTC().Format(http.TimeFormat))
	set("X-Goog-Generation", strconv.FormatInt(o.Generation, 10))
	set("X-Goog-Metageneration", strconv.FormatInt(o.Metageneration, 10))
	set("X-Goog-Storage-Class", o.StorageClass)
	set("X-Goog-Stored-Content-Length", strconv.FormatInt(o.Size, 10))
	encoding := o.ContentEncoding
	if encoding == "" {
		encoding = "identity"
	}
	set("X-Goog-Stored-Content-Encoding", encoding)
	hash := "crc32c=" + crcText(o.CRC32C)
	if m := o.md5Text(); m != "" {
		hash += ",md5=" + m
	}
	set("X-Goog-Hash", hash)
	if o.Components > 0 {
		set("X-Goog-Component-Count", strconv.Itoa(o.Components))
	}
	for k, v := range o.Metadata {
		set("X-Goog-Meta-"+k, v)
	}
}

// httpTag is the entity tag of the bytes: their MD5 where Cloud Storage has one.
func (o *object) httpTag() string {
	if len(o.MD5) > 0 {
		return `"` + hex.EncodeToString(o.MD5) + `"`
	}
	return `"-` + o.etag() + `"`
}

var errIgnoreRange = errors.New("not a range")

// byteRange is the part of size bytes that a Range header asks for. A header that is no single valid range is ignored, as
// HTTP wants it; one that starts beyond the end is 416.
func byteRange(header string, size int64) (start, length int64, partial bool, err error) {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return 0, size, false, nil
	}
	start, end, err := parseRange(spec, size)
	if err != nil {
		return 0, size, false, nil // an invalid range is no range
	}
	if start >= size {
		return 0, 0, false, &apiError{
			status: http.StatusRequestedRangeNotSatisfiable, reason: "requestedRangeNotSatisfiable",
			message: fmt.Sprintf("Request range not satisfiable: the object has %d bytes", size),
			header:  http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", size)}},
		}
	}
	return start, min(end, size-1) - start + 1, true, nil
}

func parseRange(spec string, size int64) (start, end int64, err error) {
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return 0, 0, errIgnoreRange
	}
	end = size - 1
	if from == "" {
		n, err := strconv.ParseUint(to, 10, 63)
		if err != nil {
			return 0, 0, errIgnoreRange
		}
		if n == 0 {
			return size, end, nil // no byte at all: not satisfiable
		}
		return max(0, size-int64(n)), end, nil
	}
	first, err := strconv.ParseUint(from, 10, 63)
	if err != nil {
		return 0, 0, errIgnoreRange
	}
	if to != "" {
		last, err := strconv.ParseUint(to, 10, 63)
		if err != nil || last < first {
			return 0, 0, errIgnoreRange
		}
		end = int64(last)
	}
	return int64(first), end, nil
}
