package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	repo = "../.."
	bike = "../../models/bike-demand"
)

func write(t *testing.T, f Function, model string) (dir, digest string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "bundle")
	digest, err := Write(t.Context(), Options{Repo: repo, Function: f, Model: model, Dest: dir})
	if err != nil {
		t.Fatal(err)
	}
	return dir, digest
}

// tree is all of a folder: per file its mode, time and content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		text := fmt.Sprint(info.Mode(), info.ModTime().UTC())
		if !e.IsDir() {
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			text += "\n" + string(data)
		}
		out[rel] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestABundleIsTheSameBytesEachTime(t *testing.T) {
	t.Parallel()
	a, digestA := write(t, Predict, bike)
	b, digestB := write(t, Predict, bike)
	if digestA != digestB {
		t.Errorf("two digests of one checkout: %s and %s", digestA, digestB)
	}
	if diff := cmp.Diff(tree(t, a), tree(t, b)); diff != "" {
		t.Errorf("two bundles of one checkout differ:\n%s", diff)
	}
}

// The unit's hash covers the root's text, so the hash lies beside it, and only there.
func TestABundleCarriesItsUnit(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bundle")
	if _, err := Write(t.Context(), Options{Repo: repo, Function: OnUpload, Unit: "sha256:1234", Dest: dir}); err != nil {
		t.Fatal(err)
	}
	for name, text := range tree(t, dir) {
		if strings.Contains(text, "sha256:1234") != (name == UnitFile) {
			t.Errorf("%s names the unit, or does not", name)
		}
	}
	settings, err := OnUpload.Settings()
	if err != nil {
		t.Fatal(err)
	}
	if code, err := os.ReadFile(filepath.Join(dir, "function.go")); err != nil || !bytes.Equal(code, settings["root"]) || !bytes.Contains(code, []byte("//go:embed "+UnitFile)) {
		t.Errorf("the root is not what the unit's hash covers (%v):\n%s", err, code)
	}
}

func TestABundleNamesNoMachine(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, Predict, bike)
	root, err := filepath.Abs(repo)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range tree(t, dir) {
		for _, place := range append(strings.Fields(string(out)), root, filepath.Dir(dir)) {
			if strings.Contains(text, place) {
				t.Errorf("%s names %s", name, place)
			}
		}
	}
}

// What a bundle carries is exactly what its function links: the go command, kept from everything else, finds it whole.
func TestAVendoredBundleIsWhole(t *testing.T) {
	t.Parallel()
	for _, f := range []Function{Predict, OnUpload, BatchTrigger} {
		t.Run(f.Folder, func(t *testing.T) {
			t.Parallel()
			dir, _ := write(t, f, "")
			offline := []string{"GOPROXY=off", "GOFLAGS=", "GOMODCACHE=" + t.TempDir(), "GOOS=linux", "GOARCH=amd64"}
			if _, err := goTool(t.Context(), dir, offline, "list", "-mod=vendor", "-deps", "-tags", BuildTags, "."); err != nil {
				t.Error(err)
			}
			sdk := filepath.Join(dir, "vendor", "cloud.google.com", "go", "storage")
			if _, err := os.Stat(sdk); (err == nil) != (f != Predict) {
				t.Errorf("the storage client: %v", err)
			}
			for _, name := range []string{"shared/fault/fault_test.go", "internal", "cmd", "shared/table/csv"} {
				if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
					t.Errorf("%s is in the bundle and not linked", name)
				}
			}
			if _, err := os.Stat(filepath.Join(dir, "vendor", "github.com", "GoogleCloudPlatform", "functions-framework-go", "LICENSE")); err != nil {
				t.Errorf("a module without its licence: %v", err)
			}
		})
	}
}

func TestWriteLeavesNothingHalfMade(t *testing.T) {
	t.Parallel()
	t.Run("the model is refused", func(t *testing.T) {
		t.Parallel()
		parent := t.TempDir()
		model := copyModel(t)
		replaceIn(t, filepath.Join(model, "model.yaml"), "sha256: \"a", "sha256: \"b")
		_, err := Write(t.Context(), Options{Repo: repo, Function: Predict, Model: model, Dest: filepath.Join(parent, "out")})
		if err == nil || !strings.Contains(err.Error(), "sha256") {
			t.Errorf("error %v, want one that names the sha256", err)
		}
		if left, _ := os.ReadDir(parent); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	t.Run("the folder is in use", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := writeFile(filepath.Join(dir, "mine"), nil); err != nil {
			t.Fatal(err)
		}
		_, err := Write(t.Context(), Options{Repo: repo, Function: Predict, Dest: dir})
		if err == nil || !strings.Contains(err.Error(), "not empty") {
			t.Errorf("error %v, want that the folder is not empty", err)
		}
	})
	t.Run("it is interrupted", func(t *testing.T) {
		t.Parallel()
		parent := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Write(ctx, Options{Repo: repo, Function: Predict, Dest: filepath.Join(parent, "out")}); err == nil {
			t.Error("no error")
		}
		if left, _ := os.ReadDir(parent); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestAReplacedModuleIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module " + module + "\n\ngo 1.26.0\n\nrequire example.test/y v0.0.0\n\nreplace example.test/y => ./y\n",
		"a/a.go":    "package a\n\nimport _ \"example.test/y\"\n",
		"y/go.mod":  "module example.test/y\n\ngo 1.26.0\n",
		"y/y.go":    "package y\n",
		"y/y_ci.go": "package y\n",
	} {
		if err := writeFile(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := List(t.Context(), dir, "./a"); err == nil || !strings.Contains(err.Error(), "go.mod replaces example.test/y by ./y") {
		t.Errorf("error %v, want one that names the replace", err)
	}
}

func copyModel(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bike-demand")
	if err := os.CopyFS(dir, os.DirFS(bike)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func replaceIn(t *testing.T, name, old, with string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s has no %q", name, old)
	}
	if err := os.WriteFile(name, bytes.Replace(data, []byte(old), []byte(with), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}
