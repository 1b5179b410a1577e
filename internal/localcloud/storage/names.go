package storage

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$`)

// pathWords are first path segments of the API. A bucket of such a name could not be told from them in /BUCKET/OBJECT.
var pathWords = []string{"storage", "upload", "download", "resumable", "batch"}

func checkBucketName(name string) error {
	if !bucketName.MatchString(name) || strings.Contains(name, "..") {
		return invalid("Invalid bucket name: %q. Wanted: 3 to 63 characters a-z, 0-9, '-', '_', '.', a letter or digit at both ends.", name)
	}
	if slices.Contains(pathWords, name) {
		return invalid("Invalid bucket name: %q is a word of the API's own paths; the local Cloud Storage cannot serve it.", name)
	}
	return nil
}

// checkObjectName holds Cloud Storage's rules of object names. All else is allowed: "..", "//" and a trailing "/" are
// characters like others here, since a name never becomes a file name.
func checkObjectName(name string) error {
	switch {
	case name == "":
		return refuse(400, reasonRequired, "Required: the name of the object is empty")
	case len(name) > 1024:
		return invalid("Invalid object name: %d bytes, at most 1024 are allowed", len(name))
	case !utf8.ValidString(name):
		return invalid("Invalid object name: not valid UTF-8")
	case strings.ContainsAny(name, "\r\n"):
		return invalid("Invalid object name %q: carriage return and line feed are not allowed", name)
	case name == "." || name == "..":
		return invalid("Invalid object name %q: not allowed", name)
	case strings.HasPrefix(name, ".well-known/acme-challenge/"):
		return invalid("Invalid object name %q: names below .well-known/acme-challenge/ are not allowed", name)
	}
	return nil
}
