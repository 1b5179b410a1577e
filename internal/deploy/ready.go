package deploy

import (
	"context"
	"os"
	"path/filepath"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
)

// mainBranch is the only one that is deployed.
const mainBranch = "main"

// Ready says why a checkout must not be deployed: what serves is to be a commit of main, whole, and the one that the build
// was made of.
func Ready(ctx context.Context, b *change.Build, root string, getenv func(string) string) error {
	now := change.NewBuild(ctx, root, getenv, nil)
	branch := now.Branch
	if branch == "" {
		branch = b.Branch
	}
	switch {
	case b.Dirty || now.Dirty:
		return fault.New(fault.Conflict, nil, "the checkout has changes that are not committed: commit them, then run make changed again; --dry-run shows what would be done")
	case branch == "":
		return fault.New(fault.Invalid, nil, "nobody says which branch this is: set BRANCH_NAME=%s if it is that one, no other is deployed", mainBranch)
	case branch != mainBranch:
		return fault.New(fault.Conflict, nil, "this is the branch %s: only %s is deployed, merge first; --dry-run shows what would be done", branch, mainBranch)
	case now.Commit != "" && b.Commit != "" && now.Commit != b.Commit:
		return fault.New(fault.Conflict, nil, "the build was made of commit %.12s, and this is %.12s; run: make changed", b.Commit, now.Commit)
	}
	return nil
}

// Find gives the path of gcloud among the folders of PATH.
func Find(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		name := filepath.Join(dir, "gcloud")
		if info, err := os.Stat(name); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fault.New(fault.NotFound, nil, "%s", missingGcloud)
}
