package model

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace-ml/millrace/internal/modeltest"
)

const trained = "../../shared/forest/xgboost/testdata/xgb-3.4.1/softprob.json"

// millrace runs the built program with answers on its standard input.
func millrace(t *testing.T, answers string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(answers), &out, &said
	err = cmd.Run()
	return out.String(), said.String(), err
}

// What millrace new makes passes its own tests, serves and scores at once, of every kind, at the limits of names, and goes
// away with its folder.
func TestNewModelsWorkAtOnce(t *testing.T) {
	t.Parallel()
	if os.Getenv("MODEL") != "" {
		t.Skip("skipped: MODEL asks for one model")
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		answers string
		args    []string
	}{
		"abc":                    {"y\n", []string{"abc"}},
		"a234567890123456789012": {"n\n", []string{"a234567890123456789012"}},
		"asked-for":              {"perhaps\nboth\nasked-for\n", nil},
		"by-flag":                {"", []string{"by-flag", "--kind", "both"}},
		"from-file":              {"", []string{"from-file", "--kind", "both", "--artifact", trained, "--labels", "s,m,l"}},
	} {
		if _, said, err := millrace(t, c.answers, append([]string{"new", "--models", dir}, c.args...)...); err != nil {
			t.Fatalf("new %s: %v\n%s", name, err, said)
		}
	}
	if out, said, err := millrace(t, "", "validate", "--models", dir); err != nil || strings.Count(out, ": ok") != 5 {
		t.Fatalf("validate: %v\n%s%s", err, out, said)
	}
	s := modeltest.Start(t, dir, binary)
	for _, name := range []string{"abc", "a234567890123456789012", "asked-for", "by-flag", "from-file"} {
		s.Test(t, name)
	}
	if err := os.RemoveAll(filepath.Join(dir, "abc")); err != nil {
		t.Fatal(err)
	}
	s.Gone(t, "abc")
}

// An interrupted question leaves nothing, and says so.
func TestAnInterruptedNewLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), binary, "new", "abc", "--models", dir)
	in, err := cmd.StdinPipe() // stays open: the program waits for an answer
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 64)
	if _, err := out.Read(said); err != nil { // the question: signals are taken from here on
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted new exits with 0")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
