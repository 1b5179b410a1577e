package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-config-inspect/tfconfig"
)

var update = flag.Bool("update", false, "write docs/reference/terraform.md instead of comparing with it")

const introduction = `# Variables and outputs of the infrastructure
This page is made of ` + "`terraform/`" + `: ` + "`go test ./internal/iac/config -run TestReferencePage -update`" + `. How it is applied stands in ` + "[deploy.md](../deploy.md#from-an-empty-project)" + `.

A variable without a default must be given: in ` + "`terraform/environments/<environment>.tfvars`" + `, or in the shell as ` + "`TF_VAR_<name>`" + `.

`

// cell makes text fit into a table.
func cell(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", `\|`)
}

// standard writes the default of a variable.
func standard(t *testing.T, v *tfconfig.Variable) string {
	t.Helper()
	if v.Required {
		return ""
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v.Default); err != nil {
		t.Fatal(err)
	}
	return "`" + strings.TrimSpace(text.String()) + "`"
}

// section writes the tables of a module.
func section(t *testing.T, w *strings.Builder, folder, title string) {
	t.Helper()
	m, diags := tfconfig.LoadModule(folder)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	fmt.Fprintf(w, "## %s\n\n| Variable | Type | Default | Meaning |\n|---|---|---|---|\n", title)
	for _, name := range slices.Sorted(maps.Keys(m.Variables)) {
		v := m.Variables[name]
		if v.Description == "" || v.Type == "" {
			t.Errorf("%s: the variable %s has no description or no type", folder, name)
		}
		fmt.Fprintf(w, "| %s | `%s` | %s | %s |\n", name, cell(v.Type), standard(t, v), cell(v.Description))
	}
	fmt.Fprint(w, "\n| Output | Meaning |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(m.Outputs)) {
		if m.Outputs[name].Description == "" {
			t.Errorf("%s: the output %s has no description", folder, name)
		}
		fmt.Fprintf(w, "| %s | %s |\n", name, cell(m.Outputs[name].Description))
	}
	fmt.Fprintln(w)
}

func TestReferencePage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(introduction)
	section(t, &b, filepath.Join(root, "terraform"), "The root module")
	modules, err := filepath.Glob(filepath.Join(root, "terraform", "modules", "*", "versions.tf"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("there are no modules: %v", err)
	}
	for _, m := range modules {
		section(t, &b, filepath.Dir(m), "modules/"+filepath.Base(filepath.Dir(m)))
	}
	page := strings.TrimSuffix(b.String(), "\n")
	path := filepath.Join(root, "docs", "reference", "terraform.md")
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(have), "\n"), strings.Split(page, "\n")); diff != "" {
		t.Errorf("docs/reference/terraform.md (-page +terraform; go test ./internal/iac/config -run TestReferencePage -update):\n%s", diff)
	}
}

// Variables and outputs stand in their files in the order of the alphabet, where a reader looks for them.
func TestVariablesAndOutputsAreSorted(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.tf", "modules/*/*.tf"} {
		files, err := filepath.Glob(filepath.Join(root, "terraform", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name, err := filepath.Rel(filepath.Join(root, "terraform"), f)
			if err != nil {
				t.Fatal(err)
			}
			names := map[string][]string{}
			for _, b := range file(t, name).Blocks {
				names[b.Type] = append(names[b.Type], strings.Join(b.Labels, "."))
			}
			for kind, want := range map[string]string{"variable": "variables.tf", "output": "outputs.tf"} {
				if len(names[kind]) > 0 && filepath.Base(f) != want {
					t.Errorf("%s declares the %ss %q, expected them in %s", name, kind, names[kind], want)
				}
				if !slices.IsSorted(names[kind]) {
					t.Errorf("%s: the %ss are not sorted: %q", name, kind, names[kind])
				}
			}
		}
	}
}
