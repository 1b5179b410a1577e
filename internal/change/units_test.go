package change

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// deployed are the records of the small project as it is.
var deployed = sync.OnceValues(func() ([]Record, error) {
	dir, err := os.MkdirTemp("", "millrace-change-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for name, text := range project() {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return records(dir)
})

func records(dir string) ([]Record, error) {
	ctx, cancel := testContext()
	defer cancel()
	units, err := Units(ctx, dir)
	var out []Record
	for _, u := range units {
		out = append(out, Record{Unit: u.Name, Hash: u.Hash, Parts: u.Parts})
	}
	return out, err
}

// touched are the units with something to do, "unit action" to the reasons.
func touched(changes []Change) map[string]string {
	out := map[string]string{}
	for _, c := range changes {
		if c.Action != Keep {
			out[c.Unit+" "+string(c.Action)] = strings.Join(c.Reasons, "; ")
		}
	}
	return out
}

const image = "the step image changed"

type edit = map[string]string // file to new text; "-" removes it

func TestAnEditTouchesExactlyTheUnitsThatCarryIt(t *testing.T) {
	t.Parallel()
	rename := func(from, to string) edit { return edit{from: "-", to: project()[from]} }
	bump := func(modules ...string) edit {
		e := edit{}
		require(e, modules...)
		return e
	}
	const bikeYAML, flightsYAML = "models/bike/model.yaml", "models/flights/model.yaml"
	for name, c := range map[string]struct {
		edit edit
		want map[string]string
	}{
		"nothing": {nil, map[string]string{}},
		"a line of shared/table/csv": {edit{"shared/table/csv/csv.go": project()["shared/table/csv/csv.go"] + "\nconst Comma = ','\n"},
			map[string]string{"step deploy": "shared/table/csv changed", "batch@bike deploy": image}},
		"a comment only": {edit{"shared/batch/batch.go": project()["shared/batch/batch.go"] + "\n// A word more.\n"},
			map[string]string{"onupload deploy": "shared/batch changed", "batchtrigger deploy": "shared/batch changed", "step deploy": "shared/batch changed", "batch@bike deploy": image}},
		"a file renamed within its package": {rename("shared/table/csv/csv.go", "shared/table/csv/read.go"),
			map[string]string{"step deploy": "shared/table/csv changed", "batch@bike deploy": image}},
		"a package renamed": {edit{"shared/table/csv/csv.go": "-", "shared/table/text/text.go": project()["shared/table/csv/csv.go"],
			"cmd/step/main.go": strings.Replace(project()["cmd/step/main.go"], "table/csv", "table/text", 1)},
			map[string]string{"step deploy": "cmd/step changed; shared/table/csv removed; shared/table/text added", "batch@bike deploy": image}},
		"a nested file of a model": {edit{"models/bike/notes/deep/why.md": "because\n"},
			map[string]string{"predict@bike deploy": "models/bike/notes/deep/why.md added", "batch@bike deploy": "models/bike/notes/deep/why.md added"}},
		"testdata of a model, which is released with it": {edit{"models/bike/testdata/rows.csv": "x\n"},
			map[string]string{"predict@bike deploy": "models/bike/testdata/rows.csv added", "batch@bike deploy": "models/bike/testdata/rows.csv added"}},
		"tests and testdata of a package": {edit{"shared/fault/fault_test.go": "package fault_test\n", "shared/fault/testdata/golden.txt": "new\n"}, map[string]string{}},
		"a hidden file of a model":        {edit{"models/bike/.DS_Store": "x"}, map[string]string{}},
		"documents":                       {edit{"README.md": "new\n", "terraform/README.md": "new\n"}, map[string]string{}},
		"an embedded file": {edit{"shared/score/rules/clip.txt": "min 1\n"},
			map[string]string{"predict@bike deploy": "shared/score changed", "step deploy": "shared/score changed", "batch@bike deploy": image}},
		"a file for another processor": {edit{"shared/score/score_arm64.s": "// still nothing\n"},
			map[string]string{"predict@bike deploy": "shared/score changed", "step deploy": "shared/score changed", "batch@bike deploy": image}},
		"a program that is run by hand": {edit{"shared/score/make_rules.go": "//go:build ignore\n\npackage main\n\n// new\n"}, map[string]string{}},
		"a module that one function links": {bump(frameworkModule+"@v1.9.2", "example.test/wire@v1.1.0", "example.test/csv@v1.0.0", "example.test/tool@v1.0.0"),
			map[string]string{"onupload deploy": "module example.test/wire v1.0.0 → v1.1.0"}},
		"a module that only tools link": {bump(frameworkModule+"@v1.9.2", "example.test/wire@v1.0.0", "example.test/csv@v1.0.0", "example.test/tool@v1.1.0"), map[string]string{}},
		"the framework, which the step does not link": {bump(frameworkModule+"@v1.9.3", "example.test/wire@v1.0.0", "example.test/csv@v1.0.0", "example.test/tool@v1.0.0"),
			map[string]string{"onupload deploy": "module " + frameworkModule + " v1.9.2 → v1.9.3", "batchtrigger deploy": "module " + frameworkModule + " v1.9.2 → v1.9.3",
				"predict@bike deploy": "module " + frameworkModule + " v1.9.2 → v1.9.3"}},
		"the Go version": {edit{"go.mod": strings.Replace(project()["go.mod"], "go 1.26.0", "go 1.26.1", 1)},
			map[string]string{"onupload deploy": "go 1.26.0 → 1.26.1", "batchtrigger deploy": "go 1.26.0 → 1.26.1", "predict@bike deploy": "go 1.26.0 → 1.26.1", "step deploy": "go 1.26.0 → 1.26.1", "batch@bike deploy": image}},
		"a new import": {edit{"functions/batchtrigger/function.go": project()["functions/batchtrigger/function.go"] + "\nimport _ \"example.test/wire/wire\"\n"},
			map[string]string{"batchtrigger deploy": "functions/batchtrigger changed; module example.test/wire v1.0.0 added"}},
		"a model removed": {edit{bikeYAML: "-"}, map[string]string{
			"predict@bike remove": "models/bike is gone, or does not serve realtime any more", "batch@bike remove": "models/bike is gone, or does not serve batch any more",
			"terraform deploy": bikeYAML + " removed"}},
		"a model that stops to serve in real time": {edit{bikeYAML: strings.NewReplacer("realtime, batch", "batch", "realtime: {}\n", "").Replace(project()[bikeYAML])}, map[string]string{
			"predict@bike remove": "models/bike is gone, or does not serve realtime any more", "batch@bike deploy": bikeYAML + " changed", "terraform deploy": bikeYAML + " changed"}},
		"a manifest": {edit{flightsYAML: project()[flightsYAML] + "description: Late\n"},
			map[string]string{"batch@flights deploy": flightsYAML + " changed", "terraform deploy": flightsYAML + " changed"}},
		"the fetched copy of an artifact": {edit{"models/flights/artifact/big.ubj": "trees"}, map[string]string{}},
		"a graph of the user's own":       {edit{"models/flights/pipeline.yaml": "new\n"}, map[string]string{"batch@flights deploy": "models/flights/pipeline.yaml changed"}},
		"how the image is built":          {edit{"tools/ko/.ko.yaml": "flags: [-v]\n"}, map[string]string{"step deploy": "tools/ko/.ko.yaml changed", "batch@bike deploy": image}},
		"a Terraform module":              {edit{"terraform/modules/function/main.tf": "new\n"}, map[string]string{"terraform deploy": "terraform/modules/function/main.tf changed"}},
		"the lock of Terraform's providers": {edit{"terraform/.terraform.lock.hcl": "provider 2\n"},
			map[string]string{"terraform deploy": "terraform/.terraform.lock.hcl changed"}},
		"the indexes that Terraform reads": {edit{"shared/ledger/indexes.json": "[]\n"}, map[string]string{"terraform deploy": "shared/ledger/indexes.json changed"}},
		"state and tests of Terraform":     {edit{"terraform/terraform.tfstate": "x", "terraform/x.tftest.hcl": "x", "terraform/.terraform/p": "x"}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			was, err := deployed()
			if err != nil {
				t.Fatal(err)
			}
			now, err := Units(t.Context(), edited(t, c.edit))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, touched(Compare(now, was))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// edited is the small project with an edit.
func edited(t *testing.T, e edit) string {
	t.Helper()
	files := project()
	maps.Copy(files, e)
	maps.DeleteFunc(files, func(_, text string) bool { return text == "-" })
	dir := t.TempDir()
	lay(t, dir, files)
	return dir
}

func TestWithoutARecordEverythingIsDeployed(t *testing.T) {
	t.Parallel()
	units, err := Units(t.Context(), edited(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, name := range []string{"batch@bike", "batch@flights", "batchtrigger", "onupload", "predict@bike", "step", "terraform"} {
		want[name+" deploy"] = "new: there is no record of it"
	}
	if diff := cmp.Diff(want, touched(Compare(units, nil))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAHashOfAnotherMakingSaysSo(t *testing.T) {
	t.Parallel()
	u := newUnit("step", map[string]string{"go": "1.26.0"})
	got := Compare([]Unit{u}, []Record{{Unit: "step", Hash: "sha256:0", Parts: u.Parts}})
	if len(got) != 1 || got[0].Action != Deploy || got[0].Reasons[0] != "the recorded hash was made in another way" {
		t.Errorf("got %+v", got)
	}
}

func TestAModelThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	_, err := Units(t.Context(), edited(t, edit{"models/bike/model.yaml": "name: bike\n", "models/flights/model.yaml": "x: ["}))
	if err == nil || !strings.Contains(err.Error(), "models/bike/model.yaml") || !strings.Contains(err.Error(), "models/flights/model.yaml") {
		t.Errorf("error %v, want both files", err)
	}
}

// The project itself: what only the steps link touches the step image and what carries its digest.
func TestThisProject(t *testing.T) {
	for key, value := range real {
		t.Setenv(key, value)
	}
	dir := t.TempDir()
	for _, name := range []string{"cmd", "functions", "models", "pipelines", "shared"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		lay(t, dir, map[string]string{name: string(data)})
	}
	was, err := records(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "shared/table/csv/csv.go"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("\n// A line more.\n")
	f.Close()
	now, err := Units(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"step deploy": "shared/table/csv changed"}
	for _, u := range now {
		if strings.HasPrefix(u.Name, BatchPrefix) {
			want[u.Name+" deploy"] = image
		}
	}
	if diff := cmp.Diff(want, touched(Compare(now, was))); diff != "" || len(want) < 2 {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
