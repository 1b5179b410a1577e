package folder

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/manifest"
)

const gitLimit = time.Minute

// errNew says that the base has no such model.
var errNew = errors.New("the model is new")

// checkout opens the model as it was at a git revision, below the folder temp.
func (d Diff) checkout(ctx context.Context, temp string) (*local, error) {
	rev := d.Base
	if rev == "" {
		rev = "HEAD"
	}
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, errors.New("git is not installed: compare with a running server, --url")
	}
	ctx, cancel := context.WithTimeout(ctx, gitLimit)
	defer cancel()
	at := d.Models
	run := func(args ...string) ([]byte, error) {
		var out, said bytes.Buffer
		cmd := exec.CommandContext(ctx, git, append([]string{"-C", at}, args...)...)
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("git %s: %s", args[0], strings.TrimSpace(said.String()))
		}
		return out.Bytes(), nil
	}
	place, err := run("rev-parse", "--show-toplevel", "--show-prefix")
	if err != nil {
		return nil, fmt.Errorf("%s is in no git repository: compare with a running server, --url", d.Models)
	}
	top, prefix, _ := strings.Cut(string(place), "\n")
	at = top // git archive wants the folder it runs in to be in the tree
	if _, err := run("rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}"); err != nil {
		return nil, fmt.Errorf("--base %q: there is no such revision here (git fetch brings others; a shallow clone has few)", rev)
	}
	tree := rev + ":" + strings.TrimSuffix(prefix, "\n") + d.Model
	if _, err := run("rev-parse", "--verify", "--quiet", "--end-of-options", tree+"/"+manifest.File); err != nil {
		return nil, errNew
	}
	archive, err := run("archive", "--format=tar", tree)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(temp, d.Model)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if err := unpack(archive, dir); err != nil {
		return nil, err
	}
	if err := d.artifactOf(ctx, dir); err != nil {
		return nil, err
	}
	return openSide(dir, rev)
}

// artifactOf fetches the artifact of a folder from git that has only its URI.
func (d Diff) artifactOf(ctx context.Context, dir string) error {
	m, err := manifest.Load(os.DirFS(dir), manifest.File)
	if err != nil || m.Artifact.URI == "" {
		return err
	}
	data, _, err := Fetch(ctx, d.Getenv, m.Artifact.URI)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, artifactPath(m, "", m.Artifact.URI)), data)
}

// unpack writes the files of git's archive below dir, and nothing outside of it. Links are left out: a model folder has none.
func unpack(archive []byte, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("git archive: %w", err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("git archive: %w", err)
		}
		if err := root.WriteFile(h.Name, data, 0o644); err != nil {
			return err
		}
	}
}
