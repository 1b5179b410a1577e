package bundle

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// vendor writes the linked packages of the closure's modules below dest/vendor, and a go.mod, a go.sum and a
// vendor/modules.txt that name exactly these modules: so a bundle changes only when something that it links does, and
// `go build -mod=vendor`, which the buildpack chooses where there is a vendor folder, finds the three consistent.
func vendor(c *Closure, repo, dest string) error {
	sums, err := goSum(c, filepath.Join(repo, "go.sum"))
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dest, "go.mod"), goMod(c)); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dest, "go.sum"), sums); err != nil {
		return err
	}
	var list bytes.Buffer
	for _, m := range c.Modules {
		fmt.Fprintf(&list, "# %s %s\n## explicit", m.Path, m.Version)
		if m.Go != "" { // without it the go command takes the packages for Go 1.16
			fmt.Fprintf(&list, "; go %s", m.Go)
		}
		list.WriteByte('\n')
		for _, p := range m.Packages {
			fmt.Fprintln(&list, p.Path)
		}
		if err := copyModule(&m, filepath.Join(dest, "vendor")); err != nil {
			return fmt.Errorf("vendor %s: %w", m.Path, err)
		}
	}
	return writeFile(filepath.Join(dest, "vendor", "modules.txt"), list.Bytes())
}

func goMod(c *Closure) []byte {
	version, toolchain, ok := strings.Cut(c.Go, " ")
	var b bytes.Buffer
	fmt.Fprintf(&b, "module %s\n\ngo %s\n", module, version)
	if ok {
		fmt.Fprintf(&b, "\ntoolchain %s\n", toolchain)
	}
	b.WriteString("\nrequire (\n")
	for _, m := range c.Modules {
		comment := ""
		if !m.Direct && m.Path != framework {
			comment = " // indirect"
		}
		fmt.Fprintf(&b, "\t%s %s%s\n", m.Path, m.Version, comment)
	}
	b.WriteString(")\n")
	return b.Bytes()
}

// goSum keeps the lines of the closure's modules. The buildpack wants the file, the go command does not read it.
func goSum(c *Closure, file string) ([]byte, error) {
	all, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, m := range c.Modules {
		want[m.Path+" "+m.Version] = true
		want[m.Path+" "+m.Version+"/go.mod"] = true
	}
	var b bytes.Buffer
	for line := range bytes.Lines(all) {
		if f := bytes.Fields(line); len(f) == 3 && want[string(f[0])+" "+string(f[1])] {
			b.Write(line)
		}
	}
	return b.Bytes(), nil
}

// copyModule copies the linked packages, and the licences that go with them.
func copyModule(m *Module, dest string) error {
	for _, p := range m.Packages {
		for _, name := range p.Files {
			if err := copyFile(filepath.Join(p.Dir, name), filepath.Join(dest, p.Path, name)); err != nil {
				return err
			}
		}
		// A licence covers what lies below its folder.
		for dir := p.Path; dir == m.Path || strings.HasPrefix(dir, m.Path+"/"); dir = path.Dir(dir) {
			from := filepath.Join(m.Dir, strings.TrimPrefix(dir, m.Path))
			if err := copyLicences(from, filepath.Join(dest, dir)); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyLicences(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !licence(e) {
			continue
		}
		if _, err := os.Stat(filepath.Join(to, e.Name())); err == nil {
			continue // another package of the module brought it
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func licence(e fs.DirEntry) bool {
	name := strings.ToUpper(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
	ext := strings.ToLower(filepath.Ext(e.Name()))
	return slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS", "COPYRIGHT"}, name) && ext != ".go"
}
