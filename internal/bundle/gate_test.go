package bundle

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGate(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, Predict, bike)
	if err := Gate(t.Context(), dir, Predict); err != nil {
		t.Fatal(err)
	}
	// The gate sees what the process itself says about a model that it cannot serve.
	replaceIn(t, filepath.Join(dir, ModelFolder, "parity.jsonl"), `"prediction": `, `"prediction": 1`)
	err := Gate(t.Context(), dir, Predict)
	if err == nil || !strings.Contains(err.Error(), "ended before it listened") || !strings.Contains(err.Error(), "parity") {
		t.Errorf("error %v, want that the program ended and why", err)
	}
}

func TestGateKnowsTheBuildpacksRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, text string // written over the bundle; an empty text removes the file
		want       string
	}{
		"a test of another package in the root":      {"root_test.go", "package bundle_test\n", `packages ["bundle" "bundle_test"]`},
		"no import of functions in the root":         {"function.go", "package bundle\n", "no file of the root imports"},
		"package main in the root":                   {"function.go", "package main\n", "package main"},
		"a file that does not parse":                 {"function.go", "pakage bundle\n", "expected 'package'"},
		"a module path without a dot":                {"go.mod", "module millrace/millrace\n", "no dot"},
		"no go.sum":                                  {"go.sum", "", "go.sum is not there"},
		"no list of vendored modules":                {"vendor/modules.txt", "", "vendor/modules.txt is not there"},
		"a Dockerfile that would win":                {"Dockerfile", "FROM scratch\n", "Dockerfile must not be"},
		"an ignore file that would empty the upload": {".gitignore", "vendor/\n", ".gitignore must not be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			code, err := rootSource(Predict)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{
				"function.go": string(code), "go.mod": "module " + module + "\n\ngo 1.26.0\n", "go.sum": "\n", "vendor/modules.txt": "\n",
				"vendor/" + framework + "/funcframework/x.go": "package funcframework\n",
			} {
				if err := writeFile(filepath.Join(dir, file), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if err := checkRoot(dir); err != nil {
				t.Fatalf("a good bundle is refused: %v", err)
			}
			if c.text == "" {
				err = os.Remove(filepath.Join(dir, c.file))
			} else {
				err = writeFile(filepath.Join(dir, c.file), []byte(c.text))
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := Gate(t.Context(), dir, Predict); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
