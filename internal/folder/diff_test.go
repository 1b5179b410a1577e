package folder_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/entry"
)

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	args = append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"}, args...)
	if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func TestDiffAgainstGit(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: git is not installed")
	}
	s := newShop(t)
	d := folder.Diff{Models: s.models, Model: "shop"}
	if r, err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no git repository") {
		t.Errorf("without a repository: %+v, %v", r, err)
	}
	root := filepath.Dir(s.models)
	git(t, root, "init", "-q")
	git(t, root, "commit", "-q", "--allow-empty", "-m", "empty")
	if r, err := d.Run(t.Context()); err != nil || !r.New {
		t.Errorf("a new model: %+v, %v", r, err)
	}
	git(t, root, "add", "models")
	git(t, root, "commit", "-q", "-m", "one")
	if r, err := d.Run(t.Context()); err != nil || r.Rows != 16 || r.Differ != 0 || len(r.Largest) != 0 {
		t.Errorf("unchanged: %+v, %v", r, err)
	}
	if _, err := (folder.Update{Models: s.models, Model: "shop", Artifact: s.artifact, Parity: s.parity}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.File = filepath.Join(s.models, "shop", "sample.csv")
	r, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Base.Version != "1-9" || r.Here.Version != "1-10" || r.Rows != 16 || r.Differ != 16 || len(r.Largest) != 10 || r.Outputs[0].Max <= 0 || r.Outputs[0].Max > 0.03 ||
		r.Outputs[0].Mean <= 0 || r.Outputs[0].Mean > r.Outputs[0].Max || r.Outputs[0].Shift != r.Outputs[0].Mean {
		t.Errorf("a higher base score: %+v", r)
	}
	for i, c := range r.Largest[1:] {
		if c.By > r.Largest[i].By {
			t.Errorf("largest[%d] is larger than the one before", i+1)
		}
	}
	d.Base = "HEAD~7"
	if r, err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "no such revision") {
		t.Errorf("a revision that is not there: %+v, %v", r, err)
	}
}

// A server is asked over HTTP, and its rows are counted that it does not take.
func TestDiffAgainstAServer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	f, err := predict.Open(t.Context(), func(key string) string { return map[string]string{"MODEL_DIR": filepath.Join(s.models, "shop")}[key] })
	if err != nil {
		t.Fatal(err)
	}
	var token string
	h := entry.Serve("Predict", f, entry.ServeOptions{Log: entry.NewLogger(&bytes.Buffer{})})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	if _, err := (folder.Update{Models: s.models, Model: "shop", Artifact: s.artifact, Parity: s.parity}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := filepath.Join(t.TempDir(), "rows.json")
	if err := os.WriteFile(rows, []byte(`{"instances": [{"size":1,"age":2,"colour":"red","shop":10},{"size":1,"age":2,"colour":"red","agee":9},{"size":3,"age":2,"colour":"blue","shop":3}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := folder.Diff{Models: s.models, Model: "shop", URL: web.URL, Token: "secret", File: rows}.Run(t.Context())
	if err != nil || r.Rows != 2 || r.Refused != 1 || r.Differ != 2 || r.Base.Version != "1-9" || token != "Bearer secret" || r.Largest[0].Row == 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if strings.Join(r.Notes, "") != `"agee" in the rows is no input of the folder's version` {
		t.Errorf("notes: %q", r.Notes)
	}
	web.Close()
	if r, err := (folder.Diff{Models: s.models, Model: "shop", URL: web.URL}).Run(t.Context()); err == nil {
		t.Errorf("a server that is gone: %+v", r)
	}
}
