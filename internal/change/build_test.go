package change

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
)

func TestABuildComesBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "build")
	want := &Build{Commit: "1111", Committed: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Branch: "main", Units: []Change{
		{Unit: OnUpload, Action: Deploy, Hash: "sha256:1", Reasons: []string{"new"}, Parts: map[string]string{"go": "1.26.0"}}, {Unit: "predict@old", Action: Remove, Was: "sha256:0"}}}
	if _, err := ReadBuild(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(fault.Public(err).Message, "run: make changed") {
		t.Errorf("before it is written: %v", err)
	}
	for range 2 { // in the place of the one before, too
		if err := want.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadBuild(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("the folder holds %v, %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, BuildFile), []byte("["), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadBuild(dir); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("rubbish: %v", err)
	}
}

func TestABuildKnowsItsCommit(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) func(string) string {
		return func(key string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == key {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	bare := NewBuild(t.Context(), t.TempDir(), env("COMMIT_SHA", "1111", "BRANCH_NAME", "main"), nil)
	if bare.Commit != "1111" || bare.Branch != "main" || !bare.Committed.IsZero() || bare.Dirty {
		t.Errorf("without git: %+v", bare)
	}
	if github := NewBuild(t.Context(), t.TempDir(), env("GITHUB_SHA", "2222", "GITHUB_REF_NAME", "topic"), nil); github.Commit != "2222" || github.Branch != "topic" {
		t.Errorf("without git, on GitHub: %+v", github)
	}
}

func TestARecordIsReadAlone(t *testing.T) {
	t.Parallel()
	store := Folder(t.TempDir())
	if r, err := store.Read(t.Context(), OnUpload); err != nil || r != nil {
		t.Errorf("without a record: %v, %v", r, err)
	}
	want := Record{Unit: OnUpload, Hash: "sha256:1", Committed: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Revision: "onupload-2", Previous: "onupload-1", Image: "i"}
	if err := store.Write(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := store.Read(t.Context(), OnUpload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, err := store.Read(t.Context(), "../x"); err == nil {
		t.Error("a path is taken as a unit's name")
	}
}
