package score

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/catboost"
	"github.com/millrace-ml/millrace/shared/forest/lightgbm"
	"github.com/millrace-ml/millrace/shared/forest/xgboost"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/onnx"
)

// maxArtifact bounds a trained file, which is held in memory while it is read.
const maxArtifact = 256 << 20

// artifactName is where the trained file lies in the folder. One that is declared by a URI is fetched when the unit is
// bundled, under the object's last name, so that a process never loads over the network.
func artifactName(a *manifest.Artifact) string {
	if a.Path != "" {
		return a.Path
	}
	object, _, _ := strings.Cut(a.URI, "#")
	return path.Join("artifact", path.Base(object))
}

func readArtifact(fsys fs.FS, a *manifest.Artifact) ([]byte, error) {
	name := artifactName(a)
	data, err := readBounded(fsys, name, maxArtifact)
	if errors.Is(err, fs.ErrNotExist) && a.URI != "" {
		return nil, fault.New(fault.NotFound, err, "%s is not there: it is fetched from %s when the model is bundled", name, a.URI)
	}
	return data, err
}

// readBounded reads a file of the folder, but not one larger than limit.
func readBounded(fsys fs.FS, name string, limit int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, fault.New(fault.NotFound, err, "%s cannot be read", name)
	}
	if info.Size() > limit {
		return nil, fault.New(fault.Invalid, nil, "%s has %d bytes, at most %d MiB are read", name, info.Size(), limit>>20)
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fault.New(fault.NotFound, err, "%s cannot be read", name)
	}
	return data, nil
}

func checkDigest(data []byte, a *manifest.Artifact) (string, error) {
	sum := sha256.Sum256(data)
	got := hex.EncodeToString(sum[:])
	if !strings.EqualFold(got, a.SHA256) {
		return "", fault.New(fault.Invalid, nil, "%s has the sha256 %s, %s says %s: another file, or the manifest was not brought up to date",
			artifactName(a), got, manifest.File, a.SHA256)
	}
	return "sha256:" + got, nil
}

// readers of the artifact formats, by what the manifest calls them. The texts of categories are for formats that know them
// by their hashes only.
var readers = []struct {
	format string
	sniff  func([]byte) bool
	read   func(data []byte, categories [][]string) (engine, error)
}{
	{"xgboost", xgboost.Sniff, readCodes(xgboost.Read)},
	{"lightgbm", lightgbm.Sniff, readCodes(lightgbm.Read)},
	{"catboost", catboost.Sniff, readTrees(catboost.Read)},
	{"onnx", onnx.Sniff, readGraph},
}

// readCodes is readTrees for formats that know categories by their codes.
func readCodes(read func([]byte) (*forest.Model, error)) func([]byte, [][]string) (engine, error) {
	return readTrees(func(data []byte, _ [][]string) (*forest.Model, error) { return read(data) })
}

// readTrees makes an engine of what a reader of tree ensembles gives.
func readTrees(read func([]byte, [][]string) (*forest.Model, error)) func([]byte, [][]string) (engine, error) {
	return func(data []byte, categories [][]string) (engine, error) {
		m, err := read(data, categories)
		if err != nil {
			return nil, err
		}
		return treeEngine{m}, nil
	}
}

// readEngine opens the artifact by its content. The manifest's format must agree; where the content tells nothing, its
// reader says what is wrong.
func readEngine(data []byte, format string, categories [][]string) (engine, error) {
	for _, r := range readers {
		if !r.sniff(data) {
			continue
		}
		if r.format != format {
			return nil, fault.New(fault.Invalid, nil, "the artifact is of the format %s, %s says %s", r.format, manifest.File, format)
		}
		return r.read(data, categories)
	}
	var known []string
	for _, r := range readers {
		if r.format == format {
			return r.read(data, categories)
		}
		known = append(known, r.format)
	}
	return nil, fault.New(fault.Invalid, nil, "artifact.format %s is not read; known are %s", format, fmt.Sprint(known))
}
