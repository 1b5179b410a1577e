package manifest_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

var update = flag.Bool("update", false, "write the golden files")

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestParseValid(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("found the files %q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			m, err := manifest.Load(os.DirFS("."), filepath.ToSlash(file))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Check(); err != nil {
				t.Errorf("the same manifest without its file: %v", err)
			}
			got, err := json.MarshalIndent(m, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".yaml") + ".json"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("as JSON (-golden +got):\n%s", diff)
			}
			var back manifest.Manifest
			if err := json.Unmarshal(want, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(m, &back); diff != "" {
				t.Errorf("to JSON and back (-before +after):\n%s", diff)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("model.yaml", []byte(read(t, "valid/minimal.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	want := &manifest.Realtime{
		Memory: "256Mi", CPU: "1", Concurrency: 80, Timeout: manifest.Duration(60e9),
		Scale: manifest.Scale{Max: 10}, Limits: manifest.Limits{Rows: 10_000, Bytes: 1 << 20},
	}
	if diff := cmp.Diff(want, m.Realtime); diff != "" {
		t.Errorf("realtime: {} (-want +got):\n%s", diff)
	}
	m, err = manifest.Parse("model.yaml", []byte(read(t, "valid/batch-only.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	b := &manifest.Batch{
		Uploads:     &manifest.Uploads{Prefix: "batch-only/in/", Mode: "each"},
		MaxRejected: manifest.Rejects{Rows: 100}, ShardBytes: 64 << 20, Parallelism: 8, SmallBytes: 16 << 20,
		Machine: manifest.Machine{CPU: 2, Memory: 4 << 30}, Delimiter: ",", TimeLimit: manifest.Duration(24 * 3600e9),
	}
	if diff := cmp.Diff(b, m.Batch); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
	if m.Serves("realtime") || !m.Serves("batch") {
		t.Errorf("Serves: %v", m.Serve)
	}
}

// TestBad edits the full manifest in one place and expects the whole list of problems.
func TestBad(t *testing.T) {
	t.Parallel()
	full := read(t, "valid/full.yaml")
	for name, tc := range badCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(full, tc.old) != 1 {
				t.Fatalf("%q is in the file %d times", tc.old, strings.Count(full, tc.old))
			}
			_, err := manifest.Parse("m.yaml", []byte(strings.Replace(full, tc.old, tc.new, 1)))
			if err == nil {
				t.Fatal("no error")
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind != fault.Invalid {
				t.Fatalf("the error is no fault.Invalid: %v", err)
			}
			if diff := cmp.Diff(tc.want, strings.Split(err.Error(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(f.Problems) != len(tc.want) {
				t.Errorf("%d problems stand beside %d lines", len(f.Problems), len(tc.want))
			}
			for _, p := range f.Problems {
				if p.Code == "" || p.Got == "" {
					t.Errorf("the problem %+v has no code or says nothing", p)
				}
			}
		})
	}
}

func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("m.yaml", []byte(read(t, "bad.yaml")))
	if err == nil {
		t.Fatal("no error")
	}
	golden := "testdata/bad.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(read(t, "bad.txt"), err.Error()+"\n"); diff != "" {
		t.Errorf("(-golden +got):\n%s", diff)
	}
}

func TestNotYAML(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":            {"", "m.yaml:1:1: is empty; write at least name"},
		"only a comment":     {"# nothing\n", "m.yaml:1:1: is empty; write at least name"},
		"text":               {"hello", "m.yaml:1:1: the text \"hello\" stands where keys and values should"},
		"a list":             {"- name: x", "m.yaml:1:1: a list stands where keys and values should"},
		"an open bracket":    {"name: [a", "m.yaml:1:7: sequence end token ']' not found"},
		"two documents":      {"name: a\n---\nname: b\n", "m.yaml:3:1: holds several documents"},
		"too long":           {"name: " + strings.Repeat("x", 1<<20), "m.yaml:1:1: has 1048582 bytes; a manifest has at most 1 MiB"},
		"nested without end": {"inputs: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "m.yaml:1:10: inputs[0]: a list stands where keys and values should"},
		"a number as a key":  {"1: x\nname: a", "m.yaml:1:1: 1 is no key; expected one of name, version"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("m.yaml", []byte(tc.in))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q in it", err, tc.want)
			}
			if lines := strings.Count(err.Error(), "\n"); name != "a number as a key" && lines > 0 && !strings.HasPrefix(tc.in, "inputs") {
				t.Errorf("what could not be read is called missing too: %v", err)
			}
		})
	}
}

func TestLoadDir(t *testing.T) {
	t.Parallel()
	minimal := &fstest.MapFile{Data: []byte(read(t, "valid/minimal.yaml"))}
	fsys := fstest.MapFS{"models/tiny/model.yaml": minimal, "models/other/model.yaml": minimal, "models/README.md": minimal}
	if m, err := manifest.LoadDir(fsys, "models/tiny"); err != nil || m.Name != "tiny" {
		t.Errorf("in the folder of its name: %v", err)
	}
	want := `models/other/model.yaml:1:7: name: "tiny" is not the name of the folder; write "other" or rename the folder`
	if _, err := manifest.LoadDir(fsys, "models/other"); err == nil || err.Error() != want {
		t.Errorf("in another folder:\ngot  %v\nwant %s", err, want)
	}
	if _, err := manifest.LoadDir(fsys, "models/none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("without a file: %v", err)
	}
	if _, err := manifest.LoadAll(fsys, "models"); err == nil || err.Error() != want {
		t.Errorf("LoadAll:\ngot  %v\nwant %s", err, want)
	}
	delete(fsys, "models/other/model.yaml")
	if all, err := manifest.LoadAll(fsys, "models"); err != nil || len(all) != 1 {
		t.Errorf("LoadAll of the good one: %v, %v", all, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"valid/full.yaml", "valid/minimal.yaml", "valid/batch-only.yaml", "bad.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{a: {b: {c: [x, {y: 1e999}]}}, ? [x] : y, !!t z: |\n  w}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Parse("m.yaml", data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("the error is no fault.Invalid: %v", err)
			}
			return
		}
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back manifest.Manifest
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(m, &back); diff != "" {
			t.Fatalf("to JSON and back (-before +after):\n%s", diff)
		}
		if err := back.Check(); err != nil {
			t.Fatalf("taken from a file, refused without: %v", err)
		}
	})
}
