package manifest

import (
	"io/fs"
	"path"

	"github.com/goccy/go-yaml"
)

// Parse reads a manifest strictly and checks it. The error is fault.Invalid; its message has every problem, one a line,
// as "name:line:column: path: what is wrong; what would be right".
func Parse(name string, data []byte) (*Manifest, error) { return parse(name, data, "") }

// Load is Parse of a file.
func Load(fsys fs.FS, name string) (*Manifest, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parse(name, data, "")
}

// LoadDir reads <dir>/model.yaml, whose name must be that of the folder.
func LoadDir(fsys fs.FS, dir string) (*Manifest, error) {
	name := path.Join(dir, File)
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parse(name, data, path.Base(dir))
}

func parse(name string, data []byte, folder string) (*Manifest, error) {
	m := &Manifest{}
	return m, yaml.UnmarshalWithOptions(data, m, yaml.Strict())
}
