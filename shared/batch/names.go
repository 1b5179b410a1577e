package batch

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nameLimit is the longest object name that is scored, in bytes. Cloud Storage ends at 1,024; the rest is left for the
// generation and for what logs and indexes put around a name.
const nameLimit = 1000

// badName says why an object of this name can never be scored, or "". Cloud Storage takes some of these names; they are
// refused here because every tool that copies an object to a file would do something else with them.
func badName(name string) string {
	switch {
	case name == "":
		return "the object has no name"
	case len(name) > nameLimit:
		return fmt.Sprintf("the object's name has %d bytes, at most %d are taken; upload it again under a shorter name", len(name), nameLimit)
	case !utf8.ValidString(name):
		return "the object's name is not valid UTF-8; upload it again under another name"
	case strings.ContainsFunc(name, unicode.IsControl):
		i := strings.IndexFunc(name, unicode.IsControl)
		r, _ := utf8.DecodeRuneInString(name[i:])
		return fmt.Sprintf("the object's name has the control character %q at byte %d; upload it again under a name without it", r, i+1)
	case strings.Contains(name, `\`):
		return `the object's name has a backslash; upload it again with "/" or another character`
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "." || part == ".." {
			return fmt.Sprintf("the object's name has the part %q; upload it again under a name without it", part)
		}
	}
	return ""
}

// ignoredName says why an object of this name is not data, or "": parts and markers that tools leave behind.
func ignoredName(name string) string {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(name, "/"):
		return "the object is a folder marker"
	case strings.Contains("/"+name, "/gcloud/tmp/parallel_composite_uploads/"):
		return "the object is a temporary part of a parallel upload"
	case strings.Contains("/"+name, "/_temporary/"):
		return "the object is a temporary file of a job that still writes"
	case strings.HasPrefix(base, "_SUCCESS"):
		return "the object is a completion marker"
	case strings.HasSuffix(base, ".tmp"), strings.HasSuffix(base, ".crc"), strings.HasSuffix(base, "~"):
		return "the object is a temporary or checksum file by its ending"
	case strings.Contains("/"+name, "/."):
		return "the object is hidden: a part of its name begins with a dot"
	}
	return ""
}

// shorten keeps text from outside within what a record and a log line take.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
