package change

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Base gives the units of an earlier state in git as if they had been recorded: those of the last commit that rev and HEAD
// have in common, so that only what this branch itself did counts. Models that nobody could read then count as not
// deployed.
func Base(ctx context.Context, root, rev string) (records []Record, commit string, err error) {
	if commit, err = mergeBase(ctx, root, rev); err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "millrace-base-")
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	archive, err := git(ctx, root, "archive", "--format=tar", commit)
	if err != nil {
		return nil, "", err
	}
	if err := unpack(bytes.NewReader(archive), dir); err != nil {
		return nil, "", fmt.Errorf("unpack %s: %w", commit, err)
	}
	if err := dropUnreadable(dir); err != nil {
		return nil, "", err
	}
	units, err := Units(ctx, dir)
	if err != nil {
		return nil, "", fmt.Errorf("the units of %.12s: %w", commit, err)
	}
	for _, u := range units {
		records = append(records, Record{Unit: u.Name, Hash: u.Hash, Parts: u.Parts, Commit: commit})
	}
	return records, commit, nil
}

// Dirty says whether files of the checkout differ from its last commit; there is nothing to say without git.
func Dirty(ctx context.Context, root string) bool {
	out, err := git(ctx, root, "status", "--porcelain", "--", ".")
	return err == nil && len(bytes.TrimSpace(out)) > 0
}

// mergeBase is the last commit that rev and HEAD have in common. Its errors say what to do.
func mergeBase(ctx context.Context, root, rev string) (string, error) {
	if _, err := git(ctx, root, "rev-parse", "--git-dir"); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fault.New(fault.Invalid, nil, "--base %s: git is not on PATH; install it, or compare with what is deployed (--deployed)", rev)
		}
		return "", fault.New(fault.Invalid, nil, "--base %s: %s is no git checkout; compare with what is deployed (--deployed)", rev, root)
	}
	deepen := ""
	if out, err := git(ctx, root, "rev-parse", "--is-shallow-repository"); err == nil && strings.TrimSpace(string(out)) == "true" {
		deepen = "; this clone is shallow and may lack it: git fetch --unshallow brings the rest"
	}
	if strings.HasPrefix(rev, "-") {
		return "", fault.New(fault.Invalid, nil, "--base %q is no revision", rev)
	}
	if _, err := git(ctx, root, "rev-parse", "--verify", "--quiet", rev+"^{commit}"); err != nil {
		return "", fault.New(fault.NotFound, nil, "--base %s: there is no such revision%s", rev, deepen)
	}
	out, err := git(ctx, root, "merge-base", rev, "HEAD")
	if err != nil {
		return "", fault.New(fault.NotFound, nil, "--base %s has no commit in common with HEAD%s", rev, deepen)
	}
	return strings.TrimSpace(string(out)), nil
}

// git runs one git command in root.
func git(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "LC_ALL=C", "GIT_OPTIONAL_LOCKS=0") // looking must not take the index's lock
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// unpack writes the plain files of a git archive below dir. Links are left out: nothing that a unit is made of is one.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg:
			continue
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(t)
		if err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, data, 0o644); err != nil {
			return err
		}
	}
}

// dropUnreadable removes the manifests of an earlier state that today's loader refuses: their models have no units there.
func dropUnreadable(root string) error {
	for _, m := range listModels(root) {
		if m.err != nil {
			if err := os.Remove(filepath.Join(root, filepath.FromSlash(m.file))); err != nil {
				return err
			}
		}
	}
	return nil
}
