package folder

import "testing"

func TestEditKeepsTheRest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"block style":           {"a: 1 # one\nversion: \"1\" # v\nartifact:\n  path: x.ubj\n  sha256: abc\n", "a: 1 # one\nversion: \"2\" # v\nartifact:\n  uri: \"gs://b/o#1\"\n  sha256: abc\n"},
		"flow style":            {"version: '1'\nartifact: {sha256: abc, path: x.ubj}\n", "version: \"2\"\nartifact: {sha256: abc, uri: \"gs://b/o#1\"}\n"},
		"after wide characters": {"{name: \"größer 日本 🚲\", version: one, artifact: {path: \"x.ubj\", format: f}}\n", "{name: \"größer 日本 🚲\", version: \"2\", artifact: {uri: \"gs://b/o#1\", format: f}}\n"},
		"quotes in quotes":      {"version: 'it''s'  # v\nartifact: {path: \"a\\\"b\", format: f}\n", "version: \"2\"  # v\nartifact: {uri: \"gs://b/o#1\", format: f}\n"},
		"CRLF":                  {"version: 1\r\nartifact: {path: x}\r\n", "version: \"2\"\r\nartifact: {uri: \"gs://b/o#1\"}\r\n"},
		"no last line end":      {"artifact: {path: x}\nversion: 1", "artifact: {uri: \"gs://b/o#1\"}\nversion: \"2\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := edit([]byte(c.text), map[string]string{"version": "2", "artifact.path": "gs://b/o#1"}, map[string]string{"artifact.path": "uri"})
			if err != nil || string(got) != c.want {
				t.Errorf("%v\ngot  %q\nwant %q", err, got, c.want)
			}
		})
	}
	if _, err := edit([]byte("version: 1\n"), map[string]string{"artifact.path": "x"}, nil); err == nil {
		t.Error("a key that is not there is edited")
	}
}

func TestNextVersion(t *testing.T) {
	t.Parallel()
	for v, want := range map[string]string{"1": "2", "2011": "2012", "1-9": "1-10", "v3-final": "v4-final", "007": "008", "2026-01-09": "2026-01-10", "spring": "", "9999999999999999999": ""} {
		if got, err := nextVersion(v); got != want || (err != nil) != (want == "") {
			t.Errorf("nextVersion(%s) = %q, %v, want %q", v, got, err, want)
		}
	}
}
