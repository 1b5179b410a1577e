package storage_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// TestGcloud runs what people type. It takes about a second a command.
func TestGcloud(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("-short: gcloud storage is not run")
	}
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("gcloud is not installed: its storage commands are not checked")
	}
	s := start(t, storage.Options{})
	if err := s.CreateBucket("box"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	big := data(9 << 20) // above gcloud's threshold for resumable uploads
	for name, content := range map[string]string{"a.csv": "1,2\n", "sub/b.csv": "3,4\n", "big.csv": big} {
		path := filepath.Join(dir, "src", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gcloud := func(args ...string) string { t.Helper(); return s.gcloud(t, dir, args...) }

	gcloud("cp", "src/a.csv", "gs://box/in/a.csv")
	if out := gcloud("cat", "gs://box/in/a.csv"); out != "1,2\n" {
		t.Errorf("cat: %q", out)
	}
	gcloud("cp", "src/big.csv", "gs://box/big.csv")
	s.holds(t, "big.csv", big)
	gcloud("cp", "gs://box/big.csv", "back.csv")
	if b, err := os.ReadFile(filepath.Join(dir, "back.csv")); err != nil || string(b) != big {
		t.Errorf("downloaded %d bytes, %v", len(b), err)
	}
	gcloud("mv", "gs://box/in/a.csv", "gs://box/in/moved.csv")
	s.send(t, "GET", "/box/in/a.csv", "").wants(t, 404)
	s.holds(t, "in/moved.csv", "1,2\n")
	gcloud("rsync", "-r", "src", "gs://box/sync")
	if out := gcloud("ls", "-r", "gs://box/sync"); !strings.Contains(out, "gs://box/sync/sub/b.csv") || !strings.Contains(out, "gs://box/sync/a.csv") {
		t.Errorf("ls: %s", out)
	}
	gcloud("rm", "gs://box/in/moved.csv")
	s.send(t, "GET", "/box/in/moved.csv", "").wants(t, 404)
	gcloud("rm", "-r", "gs://box")
	s.send(t, "GET", "/storage/v1/b/box", "").wants(t, 404)
}

// gcloud runs one command of gcloud storage, pointed at the server by its variables.
func (s *server) gcloud(t testing.TB, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gcloud", append([]string{"storage"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="+s.url+"/", "CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_PROJECT=any",
		"CLOUDSDK_CONFIG="+filepath.Join(dir, "gcloud"), "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gcloud storage %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// TestPythonClient runs google-cloud-storage in the Python that MILLRACE_TEST_PYTHON names.
func TestPythonClient(t *testing.T) {
	t.Parallel()
	python := os.Getenv("MILLRACE_TEST_PYTHON")
	if python == "" {
		t.Skip("MILLRACE_TEST_PYTHON does not name a Python with google-cloud-storage: that client is not checked")
	}
	s := start(t, storage.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "testdata/client.py")
	cmd.Env = append(os.Environ(), "STORAGE_EMULATOR_HOST="+s.url)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
