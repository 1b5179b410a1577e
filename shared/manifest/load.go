package manifest

import (
	"io/fs"
	"path"
	"reflect"
	"slices"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Parse reads a manifest strictly, fills in the defaults and checks it. The error is fault.Invalid; its message has every
// problem, one a line, as "name:line:column: path: what is wrong; what would be right".
func Parse(name string, data []byte) (*Manifest, error) { return parseIn(name, data, "") }

// Load is Parse of a file. It does not compare the model's name with a folder's.
func Load(fsys fs.FS, name string) (*Manifest, error) {
	data, err := readFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parseIn(name, data, "")
}

// LoadDir reads <dir>/model.yaml, whose name must be that of the folder.
func LoadDir(fsys fs.FS, dir string) (*Manifest, error) {
	name := path.Join(dir, File)
	data, err := readFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return parseIn(name, data, path.Base(dir))
}

// LoadAll reads the manifests of all folders in dir that have one, by name, and checks them against each other. Problems
// of several manifests come in one error.
func LoadAll(fsys fs.FS, dir string) ([]*Manifest, error) {
	names, err := fs.Glob(fsys, path.Join(dir, "*", File))
	if err != nil {
		return nil, err
	}
	var all []*Manifest
	var problems []problem
	for _, name := range names {
		data, err := readFile(fsys, name)
		if err != nil {
			return nil, err
		}
		m, r := read(name, data, path.Base(path.Dir(name)))
		problems = append(problems, r.problems...)
		all = append(all, m)
	}
	if err := asError(problems); err != nil {
		return nil, err
	}
	return all, CheckAll(all)
}

func readFile(fsys fs.FS, name string) ([]byte, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fault.New(fault.NotFound, err, "%s cannot be read", name)
	}
	return data, nil
}

func parseIn(name string, data []byte, folder string) (*Manifest, error) {
	m, r := read(name, data, folder)
	if err := r.err(); err != nil {
		return nil, err
	}
	return m, nil
}

func read(name string, data []byte, folder string) (*Manifest, *report) {
	m, r := &Manifest{}, newReport(name)
	r.decode(data, m)
	r.fillDefaults("", reflect.ValueOf(m).Elem())
	r.check(m)
	if folder != "" && m.Name != folder {
		r.add("name", finding{"conflict", quote(m.Name), "is not the name of the folder", "write " + quote(folder) + " or rename the folder"})
	}
	return m, r
}

// Check makes the same checks on a manifest that does not come from a file. Its problems have no line.
func (m *Manifest) Check() error {
	r := newReport("")
	r.positions = nil
	r.check(m)
	return r.err()
}

// CheckAll checks what several models share: names, and the objects of the inbox. An upload prefix must not cover another
// model's uploads nor the dataset of any schedule, or one object would start two models' runs.
func CheckAll(all []*Manifest) error {
	var problems []problem
	add := func(m *Manifest, path string, f finding) {
		problems = append(problems, problem{file: m.Name, path: path, finding: f})
	}
	for i, m := range all {
		for _, other := range all[:i] {
			if m.Name == other.Name {
				add(m, "name", finding{"duplicate", quote(m.Name), "is the name of two models", "rename one"})
			}
		}
		if m.Batch == nil || m.Batch.Uploads == nil {
			continue
		}
		prefix := m.Batch.Uploads.Prefix
		for j, other := range all {
			if i == j || other.Batch == nil {
				continue
			}
			if u := other.Batch.Uploads; u != nil && j < i && overlap(prefix, u.Prefix) {
				add(m, "batch.uploads.prefix", finding{"conflict", quote(prefix), "overlaps with " + quote(u.Prefix) + " of the model " + other.Name, "write prefixes of which none begins with the other"})
			}
			for k, s := range other.Batch.Schedules {
				if s.reaches(prefix) {
					add(other, index("batch.schedules", k)+".dataset", finding{"conflict", quote(s.Dataset), "lies where uploads start runs of the model " + m.Name, "write a name outside of " + quote(prefix)})
				}
			}
		}
	}
	return asError(slices.Clip(problems))
}
