package batch

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	const fine, ignored, bad = "fine", "ignored", "bad"
	cases := map[string]struct{ name, want, says string }{
		"plain":                     {"bike-demand/2012.csv", fine, ""},
		"spaces and letters":        {"bike-demand/März 2012 (1).csv", fine, ""},
		"dots inside a word":        {"bike-demand/a..b.csv", fine, ""},
		"percent":                   {"bike-demand/100%.csv", fine, ""},
		"double slash":              {"bike-demand//a.csv", fine, ""},
		"longest name":              {"bike-demand/" + strings.Repeat("x", nameLimit-12), fine, ""},
		"part of a parallel upload": {"gcloud/tmp/parallel_composite_uploads/x/y", ignored, "parallel upload"},
		"the same below a prefix":   {"bike-demand/gcloud/tmp/parallel_composite_uploads/x", ignored, "parallel upload"},
		"spark's temporary folder":  {"bike-demand/_temporary/0/part-0", ignored, "still writes"},
		"temporary file":            {"bike-demand/a.csv.tmp", ignored, "temporary"},
		"checksum file":             {"bike-demand/a.csv.crc", ignored, "checksum"},
		"editor's backup":           {"bike-demand/a.csv~", ignored, "temporary"},
		"hidden file":               {"bike-demand/.a.csv.swp", ignored, "hidden"},
		"in a hidden folder":        {"bike-demand/.git/a.csv", ignored, "hidden"},
		"smoke folder":              {".smoke/a.csv", ignored, "hidden"},
		"completion marker":         {"bike-demand/_SUCCESS", ignored, "marker"},
		"our own marker":            {"bike-demand/_SUCCESS.json", ignored, "marker"},
		"folder marker":             {"bike-demand/", ignored, "folder"},
		"no name":                   {"", bad, "no name"},
		"up":                        {"bike-demand/../x.csv", bad, `".."`},
		"up at the end":             {"bike-demand/..", bad, `".."`},
		"here":                      {"bike-demand/./x.csv", bad, `"."`},
		"newline":                   {"bike-demand/a\nb.csv", bad, `'\n'`},
		"NUL":                       {"bike-demand/a\x00.csv", bad, `\x00`},
		"delete":                    {"bike-demand/a\x7f.csv", bad, `\x7f`},
		"C1 control":                {"bike-demand/a\u0085.csv", bad, `\u0085`},
		"backslash":                 {`bike-demand\a.csv`, bad, "backslash"},
		"not UTF-8":                 {"bike-demand/\xff.csv", bad, "UTF-8"},
		"1,024 bytes":               {strings.Repeat("x", 1024), bad, "1024 bytes, at most 1000"},
		"a megabyte":                {strings.Repeat("../", 1<<19), bad, "bytes"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			why, got := badName(c.name), bad
			if why == "" {
				why, got = ignoredName(c.name), ignored
			}
			if why == "" {
				got = fine
			}
			says := strings.Trim(c.says, `'`)
			if got != c.want || !strings.Contains(why, says) {
				t.Errorf("%.60q is %s (%s), expected %s with %q", c.name, got, why, c.want, says)
			}
			if len(why) > 200 {
				t.Errorf("the reason has %d bytes", len(why))
			}
		})
	}
}

func TestShortenKeepsWholeCharacters(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"abc": "abc", "abcd": "abc…", "abéd": "ab…", "": ""} {
		if got := shorten(in, 3); got != want {
			t.Errorf("shorten(%q, 3) = %q, expected %q", in, got, want)
		}
	}
}
