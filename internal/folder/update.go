package folder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

const (
	baselineFile = "baseline.json"
	// maxArtifact is what score opens.
	maxArtifact = 256 << 20
)

// Update says what a model folder gets.
type Update struct {
	Models, Model string
	Artifact      string // a file, or gs://bucket/object with or without #generation
	Version       string // "" counts the last number of the version up
	Parity        string // a file of recorded rows of the new artifact; "" keeps the old ones, which rarely fit
	Baseline      string // the new distribution; "" keeps the old one
	Getenv        func(string) string
}

// Updated is what changed.
type Updated struct {
	OldVersion, Version string
	OldSHA256, SHA256   string
	Source              string   // the path inside the folder, or the pinned URI
	Files               []string // of the folder, that were written
}

// Run brings the artifact in: it makes the changed folder beside the old one, checks it as a deployment does, and only then
// moves the changed files in, the manifest last. Nothing is replaced before the check has passed.
func (u Update) Run(ctx context.Context) (_ *Updated, err error) {
	if err := exists(u.Models, u.Model); err != nil {
		return nil, err
	}
	dir := filepath.Join(u.Models, u.Model)
	old, err := manifest.LoadDir(os.DirFS(u.Models), u.Model)
	if err != nil {
		return nil, err
	}
	files, done, err := u.prepare(ctx, dir, old)
	if err != nil {
		return nil, err
	}
	// One level deeper than models are, so that nothing that watches the folder takes it for one.
	temp, err := os.MkdirTemp(u.Models, ".update-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	next := filepath.Join(temp, u.Model)
	if err := os.CopyFS(next, os.DirFS(dir)); err != nil {
		return nil, err
	}
	for _, f := range files {
		if err := write(filepath.Join(next, f.name), f.data); err != nil {
			return nil, err
		}
	}
	if _, err := Check(temp, u.Model); err != nil {
		return nil, u.explain(err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("interrupted, nothing was changed: %w", err)
	}
	if err := swap(dir, next, files); err != nil {
		return nil, err
	}
	kept := false
	before := artifactPath(old, "", old.Artifact.URI)
	for _, f := range files {
		done.Files = append(done.Files, f.name)
		kept = kept || f.name == before
	}
	if !kept { // the manifest names another file now
		if err := os.Remove(filepath.Join(dir, before)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return done, nil
}

// explain adds what is most likely wrong: recorded rows belong to one artifact.
func (u Update) explain(err error) error {
	if u.Parity == "" && strings.Contains(err.Error(), score.ParityFile) {
		return fmt.Errorf("%w\nnothing was changed: %s holds the old artifact's predictions; give the new one's with --parity FILE (millrace_export writes them)", err, score.ParityFile)
	}
	return fmt.Errorf("%w\nnothing was changed", err)
}

// changed is a file of the folder with its new content.
type changed struct {
	name string
	data []byte
}

// prepare reads everything that comes in and makes the new manifest. The manifest is the last file.
func (u Update) prepare(ctx context.Context, dir string, old *manifest.Manifest) ([]changed, *Updated, error) {
	data, uri, err := u.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(data)
	done := &Updated{OldVersion: old.Version, OldSHA256: old.Artifact.SHA256, SHA256: hex.EncodeToString(sum[:]), Version: u.Version}
	same := done.SHA256 == old.Artifact.SHA256 && uri == old.Artifact.URI
	if same && u.Version == "" && u.Parity == "" && u.Baseline == "" {
		return nil, nil, fmt.Errorf("model %s has this artifact already (sha256 %s): nothing to update", u.Model, done.SHA256)
	}
	switch {
	case u.Version == "" && same:
		done.Version = old.Version
	case u.Version == "":
		if done.Version, err = nextVersion(old.Version); err != nil {
			return nil, nil, err
		}
	case u.Version == old.Version && done.SHA256 != old.Artifact.SHA256:
		return nil, nil, fmt.Errorf("--version %s is the old artifact's: two artifacts need two versions", u.Version)
	}
	var files []changed
	want := *old
	want.Version = done.Version
	want.Artifact.SHA256, want.Artifact.URI = done.SHA256, uri
	name := artifactPath(old, u.Artifact, uri)
	want.Artifact.Path = name
	done.Source = name
	if uri != "" {
		want.Artifact.Path, done.Source = "", uri
		// The file is needed here for tests, and is fetched again when the unit is bundled: it stays out of git.
		files = append(files, changed{path.Join(path.Dir(name), ".gitignore"), []byte(path.Base(name) + "\n")})
	}
	files = append(files, changed{name, data})
	for _, f := range [][2]string{{score.ParityFile, u.Parity}, {baselineFile, u.Baseline}} {
		if f[1] == "" {
			continue
		}
		content, err := os.ReadFile(f[1])
		if err != nil {
			return nil, nil, err
		}
		files = append(files, changed{f[0], content})
	}
	text, err := rewrite(dir, old, &want)
	return append(files, changed{manifest.File, text}), done, err
}

// rewrite edits the manifest from old to want.
func rewrite(dir string, old, want *manifest.Manifest) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(dir, manifest.File))
	if err != nil {
		return nil, err
	}
	values, rename := map[string]string{}, map[string]string{}
	if old.Version != want.Version {
		values["version"] = want.Version
	}
	if old.Artifact.SHA256 != want.Artifact.SHA256 {
		values["artifact.sha256"] = want.Artifact.SHA256
	}
	key, other := "artifact.path", "uri"
	if old.Artifact.URI != "" {
		key, other = "artifact.uri", "path"
	}
	from, to := old.Artifact.Path+old.Artifact.URI, want.Artifact.Path+want.Artifact.URI // one of the two is empty
	if from != to {
		values[key] = to
		if (old.Artifact.URI == "") != (want.Artifact.URI == "") {
			rename[key] = other
		}
	}
	out, err := edit(text, values, rename)
	if err != nil {
		return nil, err
	}
	got, err := manifest.Parse(manifest.File, out)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(got, want) {
		return nil, fmt.Errorf("%s is written in a way that cannot be edited safely: change version and artifact by hand to %q and %+v", manifest.File, want.Version, want.Artifact)
	}
	return out, nil
}

// artifactPath is where the file goes: in the place of the old one, with the new one's extension.
func artifactPath(old *manifest.Manifest, source, uri string) string {
	if uri != "" {
		object, _, _ := strings.Cut(uri, "#")
		return path.Join("artifact", path.Base(object)) // where score looks for it
	}
	ext := path.Ext(filepath.ToSlash(source))
	if old.Artifact.Path == "" {
		return "artifact/model" + ext
	}
	if ext == "" || ext == path.Ext(old.Artifact.Path) {
		return old.Artifact.Path
	}
	return strings.TrimSuffix(old.Artifact.Path, path.Ext(old.Artifact.Path)) + ext
}

func (u Update) read(ctx context.Context) (data []byte, uri string, err error) {
	if strings.HasPrefix(u.Artifact, "gs://") {
		return Fetch(ctx, u.Getenv, u.Artifact)
	}
	info, err := os.Stat(u.Artifact)
	switch {
	case err != nil:
		return nil, "", err
	case !info.Mode().IsRegular():
		return nil, "", fmt.Errorf("%s is no file", u.Artifact)
	case info.Size() > maxArtifact:
		return nil, "", fmt.Errorf("%s has %d bytes, at most %d MiB are read", u.Artifact, info.Size(), maxArtifact>>20)
	}
	data, err = os.ReadFile(u.Artifact)
	return data, "", err
}

var lastNumber = regexp.MustCompile(`^(.*?)([0-9]+)([^0-9]*)$`)

// nextVersion counts the last number of a version up: 7 gives 8, v1-9 gives v1-10.
func nextVersion(v string) (string, error) {
	parts := lastNumber.FindStringSubmatch(v)
	if parts == nil || len(parts[2]) > 18 {
		return "", fmt.Errorf("version %q has no number to count up: give the new one with --version", v)
	}
	n, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s%0*d%s", parts[1], len(parts[2]), n+1, parts[3]), nil
}

func write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// swap moves the changed files in, the manifest last, and takes all back if one cannot be moved. A process that is killed
// between two moves leaves a folder that is refused for its sha256; the same update mends it.
func swap(dir, next string, files []changed) (err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range undo {
				f()
			}
		}
	}()
	for _, f := range files {
		target := filepath.Join(dir, f.name)
		before, readErr := os.ReadFile(target)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(next, f.name), target); err != nil {
			return err
		}
		undo = append(undo, func() {
			if readErr != nil {
				_ = os.Remove(target) // it was not there
				return
			}
			_ = os.WriteFile(target, before, 0o644) // the error that led here is the one to report
		})
	}
	return nil
}
