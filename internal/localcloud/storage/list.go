package storage

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// maxPage is the number of items and prefixes on a page at most, whatever the caller asks.
const maxPage = 1000

// pastAll sorts after every byte of UTF-8: prefix+pastAll is beyond all names that start with prefix.
const pastAll = "\xff"

// listing is one request for a page of a bucket's objects.
type listing struct {
	bucket, prefix, delimiter string
	from, end                 string // inclusive, exclusive; end "" = open
	trailing                  bool   // includeTrailingDelimiter
	glob                      *regexp.Regexp
	limit                     int
	base                      string

	items    []objectResource
	prefixes []string
	last     string // where the next page starts
	next     string // its token
}

func (s *Server) objectsList(w http.ResponseWriter, r *http.Request, c call) error {
	l, err := parseListing(c.bucket, r.URL.Query())
	if err != nil {
		return err
	}
	l.base = baseOf(r)
	err = s.view(func(t *txn) error {
		if _, err := t.bucket(c.bucket); err != nil {
			return err
		}
		return l.fill(t.tx.Bucket(objectsKey).Cursor())
	})
	if err != nil {
		return err
	}
	out := map[string]any{"kind": "storage#objects"}
	if len(l.items) > 0 {
		out["items"] = l.items
	}
	if len(l.prefixes) > 0 {
		out["prefixes"] = l.prefixes
	}
	if l.next != "" {
		out["nextPageToken"] = l.next
	}
	return answer(w, r, out)
}

func parseListing(bucket string, q url.Values) (*listing, error) {
	l := &listing{
		bucket: bucket, prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), end: q.Get("endOffset"),
		trailing: q.Get("includeTrailingDelimiter") == "true",
	}
	var err error
	if l.limit, err = pageSize(q.Get("maxResults")); err != nil {
		return nil, err
	}
	token, err := decodeToken(q.Get("pageToken"))
	if err != nil {
		return nil, err
	}
	l.from = max(l.prefix, q.Get("startOffset"), token)
	if g := q.Get("matchGlob"); g != "" {
		if l.glob, err = compileGlob(g); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// fill walks the names in byte order from where the page starts. A prefix that groups many names costs one seek.
func (l *listing) fill(c *bolt.Cursor) error {
	within := objectKey(l.bucket, l.prefix)
	k, v := c.Seek(objectKey(l.bucket, l.from))
	for bytes.HasPrefix(k, within) {
		name := string(k[len(l.bucket)+1:])
		if l.end != "" && name >= l.end {
			return nil
		}
		if l.glob != nil && !l.glob.MatchString(name) {
			k, v = c.Next()
			continue
		}
		if len(l.items)+len(l.prefixes) >= l.limit {
			l.next = encodeToken(l.last)
			return nil
		}
		group := l.group(name)
		if group == "" || l.trailing && group == name {
			o, err := decodeObject(l.bucket, name, v)
			if err != nil {
				return err
			}
			l.items = append(l.items, o.resource(l.base))
			l.last = name + "\x00" // the smallest name above this one
		}
		if group == "" {
			k, v = c.Next()
			continue
		}
		l.prefixes = append(l.prefixes, group)
		l.last = group + pastAll
		k, v = c.Seek(objectKey(l.bucket, l.last))
	}
	return nil
}

// group is the prefix that a name is listed under: up to and with the first delimiter after the listing's own prefix.
func (l *listing) group(name string) string {
	if l.delimiter == "" {
		return ""
	}
	i := strings.Index(name[len(l.prefix):], l.delimiter)
	if i < 0 {
		return ""
	}
	return name[:len(l.prefix)+i+len(l.delimiter)]
}

func pageSize(text string) (int, error) {
	if text == "" {
		return maxPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("Invalid value for maxResults: %q is not a whole number", text)
	}
	if n == 0 || n > maxPage {
		n = maxPage
	}
	return n, nil
}

// A page token is the smallest name of the next page: it needs no state here and survives restarts.
func encodeToken(from string) string { return base64.URLEncoding.EncodeToString([]byte(from)) }

func decodeToken(token string) (string, error) {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil {
		return "", invalid("Invalid value for pageToken: %q is no token of this service", token)
	}
	return string(b), nil
}

// compileGlob turns a matchGlob into a pattern: * stops at "/", ** does not, ? is one character, [a-z] and {a,b} as in a
// shell. The result runs in linear time whatever the glob.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	depth := 0
	for i := 0; i < len(glob); i++ {
		switch ch := glob[i]; {
		case strings.HasPrefix(glob[i:], "**"):
			b.WriteString(".*")
			i++
		case ch == '*':
			b.WriteString("[^/]*")
		case ch == '?':
			b.WriteString(".")
		case ch == '[':
			end := strings.IndexByte(glob[i+1:], ']')
			if end < 1 {
				return nil, invalid("Invalid matchGlob %q: [ without a closing ]", glob)
			}
			class := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `&`, `\&`).Replace(glob[i+1 : i+1+end])
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + class + "]")
			i += end + 1
		case ch == '{':
			depth++
			b.WriteString("(?:")
		case ch == '}' && depth > 0:
			depth--
			b.WriteString(")")
		case ch == ',' && depth > 0:
			b.WriteString("|")
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	b.WriteString(`\z`)
	re, err := regexp.Compile(b.String())
	if err != nil || depth > 0 {
		return nil, invalid("Invalid matchGlob %q", glob)
	}
	return re, nil
}
