package change

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// checkout is the small project in git.
func checkout(t *testing.T) string {
	t.Helper()
	dir := edited(t, nil)
	run1(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, nil)
	return dir
}

func run1(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t.Context(), dir, append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files, commits them and gives the revision.
func commit(t *testing.T, dir string, files edit) string {
	t.Helper()
	lay(t, dir, files)
	run1(t, dir, "add", "-A")
	run1(t, dir, "commit", "-q", "--allow-empty", "-m", "a change")
	return run1(t, dir, "rev-parse", "HEAD")
}

func since(t *testing.T, dir, rev string) map[string]string {
	t.Helper()
	was, _, err := Base(t.Context(), dir, rev)
	if err != nil {
		t.Fatal(err)
	}
	now, err := Units(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return touched(Compare(now, was))
}

func TestSinceARevision(t *testing.T) {
	t.Parallel()
	dir := checkout(t)
	first := run1(t, dir, "rev-parse", "HEAD")

	t.Run("several commits and their merge count together", func(t *testing.T) {
		t.Parallel()
		dir := clone(t, dir)
		run1(t, dir, "checkout", "-q", "-b", "topic")
		commit(t, dir, edit{"models/bike/parity.jsonl": "{} \n"})
		commit(t, dir, edit{"terraform/main.tf": "more\n"})
		run1(t, dir, "checkout", "-q", "main")
		main := commit(t, dir, edit{"models/flights/pipeline.yaml": "more\n"})
		run1(t, dir, "merge", "-q", "--no-edit", "topic")
		parity := "models/bike/parity.jsonl changed"
		topic := map[string]string{"predict@bike deploy": parity, "batch@bike deploy": parity, "terraform deploy": "terraform/main.tf changed"}
		if diff := cmp.Diff(topic, since(t, dir, main)); diff != "" {
			t.Errorf("since main (-want +got)\n%s", diff)
		}
		topic["batch@flights deploy"] = "models/flights/pipeline.yaml changed"
		if diff := cmp.Diff(topic, since(t, dir, first)); diff != "" {
			t.Errorf("since the first commit (-want +got)\n%s", diff)
		}
	})
	t.Run("what the base did meanwhile is not ours", func(t *testing.T) {
		t.Parallel()
		dir := clone(t, dir)
		run1(t, dir, "checkout", "-q", "-b", "topic")
		commit(t, dir, edit{"terraform/main.tf": "more\n"})
		run1(t, dir, "checkout", "-q", "main")
		commit(t, dir, edit{"models/flights/pipeline.yaml": "more\n"})
		run1(t, dir, "checkout", "-q", "topic")
		if diff := cmp.Diff(map[string]string{"terraform deploy": "terraform/main.tf changed"}, since(t, dir, "main")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("a dirty tree counts as it is", func(t *testing.T) {
		t.Parallel()
		dir := clone(t, dir)
		if Dirty(t.Context(), dir) {
			t.Error("a clean tree is called dirty")
		}
		lay(t, dir, edit{"models/flights/pipeline.yaml": "edited\n", "models/flights/new.txt": "new\n"})
		want := map[string]string{"batch@flights deploy": "models/flights/new.txt added; models/flights/pipeline.yaml changed"}
		if diff := cmp.Diff(want, since(t, dir, "HEAD")); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if !Dirty(t.Context(), dir) {
			t.Error("a dirty tree is called clean")
		}
	})
	t.Run("a model that the base could not read counts as new", func(t *testing.T) {
		t.Parallel()
		dir := clone(t, dir)
		broken := commit(t, dir, edit{"models/bike/model.yaml": "name: [\n"})
		commit(t, dir, edit{"models/bike/model.yaml": project()["models/bike/model.yaml"]})
		want := map[string]string{"predict@bike deploy": "new: there is no record of it", "batch@bike deploy": "new: there is no record of it", "terraform deploy": "models/bike/model.yaml added"}
		if diff := cmp.Diff(want, since(t, dir, broken)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
	t.Run("a shallow clone says how to get the rest", func(t *testing.T) {
		t.Parallel()
		from := clone(t, dir)
		commit(t, from, edit{"README.md": "new\n"})
		to := filepath.Join(t.TempDir(), "shallow")
		run1(t, from, "clone", "-q", "--depth=1", "file://"+from, to)
		refused(t, to, first, "there is no such revision; this clone is shallow and may lack it: git fetch --unshallow")
	})
	t.Run("a revision that is not there", func(t *testing.T) {
		t.Parallel()
		_, _, err := Base(t.Context(), dir, "nowhere")
		if err == nil || err.Error() != "--base nowhere: there is no such revision" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("an option in the place of a revision", func(t *testing.T) {
		t.Parallel()
		refused(t, dir, "--all", `"--all" is no revision`)
	})
	t.Run("another history", func(t *testing.T) {
		t.Parallel()
		dir := clone(t, dir)
		run1(t, dir, "checkout", "-q", "--orphan", "other")
		commit(t, dir, edit{"README.md": "other\n"})
		refused(t, dir, "main", "no commit in common")
	})
	t.Run("no git checkout", func(t *testing.T) {
		t.Parallel()
		refused(t, edited(t, nil), "main", "is no git checkout")
	})
}

func TestWithoutGit(t *testing.T) {
	dir := edited(t, nil)
	t.Setenv("PATH", t.TempDir())
	refused(t, dir, "main", "git is not on PATH")
	if Dirty(t.Context(), dir) {
		t.Error("without git nobody knows that a tree is dirty")
	}
}

func refused(t *testing.T, dir, rev, want string) {
	t.Helper()
	if _, _, err := Base(t.Context(), dir, rev); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func clone(t *testing.T, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "clone")
	run1(t, from, "clone", "-q", from, to)
	if _, err := os.Stat(filepath.Join(to, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return to
}
