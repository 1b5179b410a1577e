package bundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Options say which bundle Write makes, and where.
type Options struct {
	Repo     string // the checkout
	Function Function
	Model    string // the model folder that it carries; predict only
	Unit     string // the hash of the unit, which the function tells who asks; "" outside of a deployment
	Dest     string // must not exist, or be empty

	// Storage opens Cloud Storage, for a model whose artifact lies there. It is called only then.
	Storage func(context.Context) (*storage.Client, error)
}

// Write makes the bundle that is deployed: with its modules below vendor/, so that the build needs no network and takes
// what was tested, and with the model's artifact in place and proven by the parity rows. The same checkout gives the same
// bytes and times on every machine. Dest is there whole or not at all. The digest names the bundle's content.
func Write(ctx context.Context, o Options) (digest string, err error) {
	dest, err := filepath.Abs(o.Dest)
	if err != nil {
		return "", err
	}
	_, missing := os.Lstat(dest)
	if err := empty(dest); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dest), ".bundle-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, os.RemoveAll(work)); err != nil && missing != nil {
			_ = os.Remove(dest) // the empty folder that was made here
		}
	}()
	stage := filepath.Join(work, "stage")
	c, err := List(ctx, o.Repo, o.Function.Packages()...)
	if err != nil {
		return "", err
	}
	if err := stageOurs(c, o.Function, o.Unit, stage); err != nil {
		return "", err
	}
	if err := vendor(c, o.Repo, stage); err != nil {
		return "", err
	}
	if o.Model != "" {
		if m, err := loadManifest(o.Model); err != nil {
			return "", err
		} else if !m.Serves(manifest.ServeRealtime) {
			return "", fault.New(fault.Invalid, nil, "model %s does not serve realtime, only such models have a function", m.Name)
		}
		if err := Model(ctx, o.Model, filepath.Join(stage, ModelFolder), o.Storage); err != nil {
			return "", err
		}
	}
	if digest, err = seal(stage); err != nil {
		return "", err
	}
	if err := os.Remove(dest); err != nil {
		return "", err
	}
	return digest, os.Rename(stage, dest)
}

// epoch stands for every file's time: the first that a zip can hold.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// seal gives all files one time and one mode, and digests their names and contents.
func seal(dir string) (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o755)
		if !e.IsDir() {
			mode = 0o644
			data, err := fileDigest(name)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return err
			}
			fmt.Fprintf(sum, "%s\x00%s\n", filepath.ToSlash(rel), data)
		}
		if err := os.Chmod(name, mode); err != nil {
			return err
		}
		return os.Chtimes(name, epoch, epoch)
	})
	return "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

// fileDigest is the sha256 of a file in hex.
func fileDigest(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
