package pipeline

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
)

func folder(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o600, ModTime: time.Now()}
	}
	return m
}

// contents reads every file below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		out[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTarAndBack(t *testing.T) {
	t.Parallel()
	visible := map[string]string{"model.yaml": "name: x\n", "artifact/model.ubj": "\x00\x01", "empty": "", strings.Repeat("long/", 40) + "name": "é"}
	files := maps.Clone(visible)
	files[".git/config"], files["artifact/.hidden"], files[".DS_Store"] = "x", "x", "x"
	data, digest, err := Tar(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	if digest != Digest(data) || len(digest) != len("sha256:")+64 {
		t.Errorf("digest is %q", digest)
	}
	dir := t.TempDir()
	if err := Untar(bytes.NewReader(data), dir); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(visible, contents(t, dir)); d != "" {
		t.Errorf("-packed +unpacked:\n%s", d)
	}
}

// The digest names the content, so nothing else may go into it.
func TestTarDependsOnContentOnly(t *testing.T) {
	t.Parallel()
	files := map[string]string{"b": "2", "a/c": "1", "model.yaml": "x"}
	_, want, err := Tar(folder(files))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	_, got, err := Tar(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the same files on disk give %s, in memory %s", got, want)
	}
	const known = "sha256:6711ea86e341f90435b7413c0aeb1b00b13cdacbf160a73e6add741d97f853a0"
	if want != known {
		t.Errorf("got %s, expected %s: a new digest for old content releases every model again", want, known)
	}
}

func TestTarRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	many := fstest.MapFS{}
	for i := range maxFolderFiles + 1 {
		many[itoa(i)] = &fstest.MapFile{}
	}
	for name, tc := range map[string]struct {
		fsys fs.FS
		kind fault.Kind
		want string
	}{
		"a link":              {os.DirFS(dir), fault.Invalid, "link: is no plain file"},
		"a backslash":         {folder(map[string]string{`a\b`: ""}), fault.Invalid, `"a\\b": is no name`},
		"a control character": {folder(map[string]string{"a\nb": ""}), fault.Invalid, "is no name"},
		"too many files":      {many, fault.TooLarge, "more than 10000 files"},
		"too many bytes":      {hugeFS{}, fault.TooLarge, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Tar(tc.fsys)
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

// hugeFS has one file that says it is as large as a model folder may be, and more.
type hugeFS struct{ fstest.MapFS }

func (hugeFS) Open(name string) (fs.File, error) {
	f, err := folder(map[string]string{"huge": ""}).Open(name)
	return hugeFile{f}, err
}

func (hugeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	return folder(map[string]string{"huge": ""}).ReadDir(name)
}

type hugeFile struct{ fs.File }

func (f hugeFile) Stat() (fs.FileInfo, error) {
	i, err := f.File.Stat()
	return hugeInfo{i}, err
}

type hugeInfo struct{ fs.FileInfo }

func (hugeInfo) Size() int64 { return maxFolder + 1 }

func archive(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, h.Size)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarFile(name string) *tar.Header {
	return &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 1}
}

func TestUntarRefuses(t *testing.T) {
	t.Parallel()
	file := tarFile
	for name, data := range map[string][]byte{
		"a name that leads out":     archive(t, file("../out")),
		"one that leads out within": archive(t, file("a/../../out")),
		"an absolute name":          archive(t, file("/out")),
		"a drive":                   archive(t, file("c:out")),
		"a link":                    archive(t, &tar.Header{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}),
		"a hard link":               archive(t, &tar.Header{Name: "a", Linkname: "b", Typeflag: tar.TypeLink}),
		"a device":                  archive(t, &tar.Header{Name: "a", Typeflag: tar.TypeChar}),
		"a folder":                  archive(t, &tar.Header{Name: "a/", Typeflag: tar.TypeDir, Mode: 0o777}),
		"a file that comes twice":   archive(t, file("a"), file("a")),
		"a file below a file":       archive(t, file("a"), file("a/b")),
		"a torn archive":            archive(t, file("a"))[:512],
		"no archive":                []byte(strings.Repeat("x", 1024)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "in")
			if err := Untar(bytes.NewReader(data), dir); err == nil {
				t.Error("accepted")
			}
			if got := contents(t, filepath.Dir(dir)); len(got) != len(contents(t, dir)) {
				t.Errorf("wrote outside: %v", got)
			}
		})
	}
}

func TestUntarLimits(t *testing.T) {
	t.Parallel()
	data := archive(t, tarFile("a"), tarFile("b"), tarFile("c"))
	for name, tc := range map[string]struct {
		files int
		bytes int64
		want  bool
	}{
		"as much as it may hold": {3, 3, true},
		"a file too many":        {2, 3, false},
		"a byte too many":        {3, 2, false},
	} {
		err := untar(bytes.NewReader(data), filepath.Join(t.TempDir(), "in"), tc.files, tc.bytes)
		if (err == nil) != tc.want || err != nil && fault.KindOf(err) != fault.TooLarge {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func FuzzUntar(f *testing.F) {
	good, _, err := Tar(folder(map[string]string{"model.yaml": "x", "a/b": "y"}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "in")
		err := Untar(bytes.NewReader(data), dir)
		entries, rerr := os.ReadDir(outer)
		if rerr != nil || len(entries) != 1 {
			t.Fatalf("wrote outside: %v %v", entries, rerr)
		}
		if err != nil {
			return
		}
		packed, _, err := Tar(os.DirFS(dir))
		if err != nil {
			t.Fatalf("what was unpacked cannot be packed: %v", err)
		}
		if err := Untar(bytes.NewReader(packed), filepath.Join(outer, "again")); err != nil {
			t.Fatal(err)
		}
	})
}
