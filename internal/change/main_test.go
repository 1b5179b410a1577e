package change

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// The tests work on a small project whose modules come from a proxy in a folder, into a module cache of their own: so they
// need no network, and bumps are bumps.
var (
	real = map[string]string{} // what the go command uses outside the tests
	sums = map[string]string{} // module@version → its lines of go.sum
)

const frameworkModule = "github.com/GoogleCloudPlatform/functions-framework-go"

// published are the modules of the proxy: name@version to its packages.
var published = map[string][]string{
	frameworkModule + "@v1.9.2": {"functions", "funcframework"},
	frameworkModule + "@v1.9.3": {"functions", "funcframework"},
	"example.test/wire@v1.0.0":  {"wire"},
	"example.test/wire@v1.1.0":  {"wire"},
	"example.test/csv@v1.0.0":   {"csv"},
	"example.test/tool@v1.0.0":  {"tool"},
	"example.test/tool@v1.1.0":  {"tool"},
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	out, err := exec.Command("go", "env", "-json", "GOMODCACHE", "GOPROXY", "GOSUMDB").Output()
	if err == nil {
		err = json.Unmarshal(out, &real)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "go env:", err)
		return 1
	}
	dir, err := os.MkdirTemp("", "millrace-change-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = publish(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// publish writes the proxy and fills the cache; everything after that is offline.
func publish(dir string) error {
	for key, value := range map[string]string{
		"GOPROXY": "file://" + filepath.ToSlash(filepath.Join(dir, "proxy")), "GOMODCACHE": filepath.Join(dir, "cache"),
		"GOSUMDB": "off", "GOFLAGS": "-modcacherw", "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_SYSTEM": os.DevNull,
	} {
		os.Setenv(key, value)
	}
	args := []string{"mod", "download", "-json"}
	for name, packages := range published {
		path, version, _ := strings.Cut(name, "@")
		if err := publishModule(filepath.Join(dir, "proxy"), path, version, packages); err != nil {
			return err
		}
		args = append(args, name)
	}
	sort.Strings(args[3:])
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go mod download: %w\n%s", err, out)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var d struct{ Path, Version, Sum, GoModSum string }
		if err := dec.Decode(&d); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		sums[d.Path+"@"+d.Version] = fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", d.Path, d.Version, d.Sum, d.Path, d.Version, d.GoModSum)
	}
}

func publishModule(proxy, path, version string, packages []string) error {
	escaped := ""
	for _, r := range path { // as the proxy protocol writes capitals
		if 'A' <= r && r <= 'Z' {
			escaped += "!"
		}
		escaped += strings.ToLower(string(r))
	}
	dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	gomod := "module " + path + "\n\ngo 1.21\n"
	var body bytes.Buffer
	z := zip.NewWriter(&body)
	files := map[string]string{"go.mod": gomod}
	for _, p := range packages {
		files[p+"/"+p+".go"] = fmt.Sprintf("package %s\n\nconst Version = %q\n", p, version)
	}
	for name, text := range files {
		w, err := z.Create(path + "@" + version + "/" + name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	var g errgroup.Group
	for ext, data := range map[string][]byte{".mod": []byte(gomod), ".zip": body.Bytes(), ".info": fmt.Appendf(nil, `{"Version":%q}`, version)} {
		g.Go(func() error { return os.WriteFile(filepath.Join(dir, version+ext), data, 0o644) })
	}
	return g.Wait()
}

// project is the small project: file to text.
func project() map[string]string {
	const ours = "github.com/millrace-ml/millrace/"
	model := func(name, serve, artifact, more string) string {
		return "name: " + name + "\nversion: \"1\"\nserve: [" + serve + "]\nartifact: {" + artifact + ", format: xgboost, sha256: " + strings.Repeat("a", 64) + "}\n" +
			"inputs: [{name: x, type: number}]\nfeatures: [x]\noutputs: [{name: y}]\n" + more
	}
	files := map[string]string{
		"shared/fault/fault.go":              "package fault\n",
		"shared/fault/fault_test.go":         "package fault\n",
		"shared/fault/testdata/golden.txt":   "old\n",
		"shared/entry/entry.go":              "package entry\n",
		"shared/score/score.go":              "package score\n\nimport (\n\t_ \"embed\"\n\n\t_ \"" + ours + "shared/fault\"\n)\n\n//go:embed rules/clip.txt\nvar Rules string\n",
		"shared/score/rules/clip.txt":        "min 0\n",
		"shared/score/score_arm64.s":         "// nothing\n",
		"shared/score/make_rules.go":         "//go:build ignore\n\npackage main\n",
		"shared/batch/batch.go":              "package batch\n\nimport _ \"" + ours + "shared/fault\"\n",
		"shared/table/csv/csv.go":            "package csv\n\nimport _ \"example.test/csv/csv\"\n",
		"shared/ledger/indexes.json":         "{}\n",
		"functions/predict/function.go":      "package predict\n\nimport (\n\t_ \"" + frameworkModule + "/functions\"\n\t_ \"" + ours + "shared/score\"\n)\n",
		"functions/onupload/function.go":     "package onupload\n\nimport (\n\t_ \"example.test/wire/wire\"\n\t_ \"" + ours + "shared/batch\"\n)\n",
		"functions/batchtrigger/function.go": "package batchtrigger\n\nimport _ \"" + ours + "shared/batch\"\n",
		"cmd/step/main.go":                   "package main\n\nimport (\n\t_ \"" + ours + "shared/batch\"\n\t_ \"" + ours + "shared/score\"\n\t_ \"" + ours + "shared/table/csv\"\n)\n\nfunc main() {}\n",
		"internal/tool/tool.go":              "package tool\n\nimport _ \"example.test/tool/tool\"\n",
		"models/bike/model.yaml":             model("bike", "realtime, batch", "path: artifact/m", "realtime: {}\nbatch:\n  uploads: {prefix: \"bike/\", mode: each}\n"),
		"models/bike/parity.jsonl":           "{}\n",
		"models/flights/model.yaml":          model("flights", "batch", "uri: \"gs://bucket/flights/big.ubj#7\"", "batch:\n  uploads: {prefix: \"flights/\", mode: each}\n"),
		"models/flights/pipeline.yaml":       "own: graph\n",
		"terraform/main.tf":                  "resource {}\n",
		"terraform/modules/function/main.tf": "resource {}\n",
		"terraform/.terraform.lock.hcl":      "provider 1\n",
		"tools/ko/.ko.yaml":                  "flags: []\n",
		"README.md":                          "a project\n",
	}
	require(files, frameworkModule+"@v1.9.2", "example.test/wire@v1.0.0", "example.test/csv@v1.0.0", "example.test/tool@v1.0.0")
	return files
}

// require writes go.mod and go.sum.
func require(files map[string]string, modules ...string) {
	mod, sum := "module github.com/millrace-ml/millrace\n\ngo 1.26.0\n\nrequire (\n", ""
	for _, m := range modules {
		mod += "\t" + strings.Replace(m, "@", " ", 1) + "\n"
		sum += sums[m]
	}
	files["go.mod"], files["go.sum"] = mod+")\n", sum
}

func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
