package change

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// BuildFile is the name of a Build in the folder that the steps of a build share.
const BuildFile = "changed.json"

// Build is what a build knows of its checkout once it has compared: the steps after it need neither git nor Go to know what
// they deploy.
type Build struct {
	Commit    string    `json:"commit,omitempty"`
	Committed time.Time `json:"committed,omitzero"`
	Branch    string    `json:"branch,omitempty"` // "" if nobody says it, as in a checkout of one commit
	Dirty     bool      `json:"dirty,omitempty"`  // files differ from the commit
	Units     []Change  `json:"units"`
}

// NewBuild says what git knows of the checkout at root. A checkout without git has neither commit nor branch, and the
// variables that builds set (COMMIT_SHA, GITHUB_SHA; BRANCH_NAME, GITHUB_REF_NAME) stand in for it.
func NewBuild(ctx context.Context, root string, getenv func(string) string, units []Change) *Build {
	b := &Build{Units: units, Branch: BranchOf(getenv), Dirty: Dirty(ctx, root)}
	if out, err := git(ctx, root, "log", "-1", "--format=%H %cI"); err == nil {
		commit, at, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		b.Commit = commit
		if t, err := time.Parse(time.RFC3339, at); err == nil {
			b.Committed = t.UTC()
		}
	} else if b.Commit = getenv("COMMIT_SHA"); b.Commit == "" {
		b.Commit = getenv("GITHUB_SHA")
	}
	if b.Branch == "" {
		if out, err := git(ctx, root, "symbolic-ref", "--quiet", "--short", "HEAD"); err == nil {
			b.Branch = strings.TrimSpace(string(out))
		}
	}
	return b
}

// BranchOf is the branch that a build says it is of, "" outside of builds.
func BranchOf(getenv func(string) string) string {
	if name := getenv("BRANCH_NAME"); name != "" {
		return name
	}
	return getenv("GITHUB_REF_NAME")
}

// ReadBuild reads the Build of an earlier step from the folder dir.
func ReadBuild(dir string) (*Build, error) {
	name := filepath.Join(dir, BuildFile)
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, err, "%s is not there; run: make changed", name)
	}
	if err != nil {
		return nil, err
	}
	b := &Build{}
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fault.New(fault.Invalid, nil, "%s cannot be read (%v); run: make changed", name, err)
	}
	return b, nil
}

// Write puts the Build into the folder dir, whole or not at all.
func (b *Build) Write(dir string) error {
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp := filepath.Join(dir, "."+BuildFile)
	if err := os.WriteFile(temp, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(dir, BuildFile))
}
