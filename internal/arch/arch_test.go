package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/millrace-ml/millrace/"

// sdks are the import paths that mark an SDK, by the name that the table uses.
var sdks = map[string]string{
	"storage": "cloud.google.com/go/storage", "firestore": "cloud.google.com/go/firestore",
	"aiplatform": "cloud.google.com/go/aiplatform", "pubsub": "cloud.google.com/go/pubsub", "bigquery": "cloud.google.com/go/bigquery",
	"framework": "github.com/GoogleCloudPlatform/functions-framework-go", "cloudevents": "github.com/cloudevents/sdk-go",
	"pipelinespec": "github.com/kubeflow/pipelines/api", "grpc": "google.golang.org/grpc",
}

// row is a line of the table in docs/architecture.md: what non-test files import of ours directly, and which SDKs the
// package reaches at all. A pattern ending in /* covers one level below. grpc comes with any Google client.
type row struct{ pkg, ours, sdks string }

var table = []row{
	{"shared/fault", "", ""},
	{"shared/table", "shared/fault", ""},
	{"shared/table/*", "shared/table shared/fault", ""},
	{"shared/entry", "shared/fault", ""},
	{"shared/cloud", "shared/fault", "storage firestore aiplatform grpc"},
	{"shared/manifest", "shared/fault", ""},
	{"shared/linear", "shared/fault", ""},
	{"shared/forest", "shared/linear shared/fault", ""},
	{"shared/forest/document", "", ""},
	{"shared/forest/*", "shared/forest shared/forest/document shared/linear shared/fault", ""},
	{"shared/onnx", "shared/forest shared/fault", ""},
	{"shared/feature", "shared/manifest shared/table shared/fault", ""},
	{"shared/score", "shared/manifest shared/feature shared/forest shared/forest/* shared/onnx shared/table shared/fault", ""},
	{"shared/protocol", "shared/score shared/feature shared/manifest shared/fault", ""},
	{"shared/protocol/*", "shared/protocol shared/score shared/feature shared/manifest shared/fault", ""},
	{"shared/ledger", "shared/fault", "firestore grpc"},
	{"shared/pipeline", "shared/manifest shared/fault", "aiplatform storage pipelinespec grpc"},
	{"shared/batch", "shared/ledger shared/pipeline shared/manifest shared/fault", "aiplatform storage pipelinespec firestore cloudevents grpc"},
	{"pipelines/batchscore", "shared/pipeline shared/manifest shared/fault", "aiplatform storage pipelinespec grpc"},
	{"pipelines/batchscore/step", "pipelines/batchscore shared/entry shared/cloud shared/score shared/feature shared/manifest shared/table shared/table/* shared/batch shared/ledger shared/pipeline shared/fault",
		"storage firestore aiplatform cloudevents pipelinespec grpc"},
	{"functions/predict", "shared/entry shared/protocol shared/protocol/* shared/score shared/manifest shared/fault", "framework cloudevents"},
	{"functions/onupload", "shared/entry shared/cloud shared/batch shared/ledger shared/pipeline shared/manifest shared/fault",
		"framework cloudevents storage firestore aiplatform pipelinespec grpc"},
	{"functions/batchtrigger", "shared/entry shared/cloud shared/batch shared/ledger shared/pipeline shared/manifest shared/fault",
		"framework cloudevents storage firestore aiplatform pipelinespec grpc"},
	{"cmd/step", "shared/entry pipelines/batchscore/step", "storage firestore aiplatform cloudevents pipelinespec grpc"},
	// The command line's step is the step container's, so it may import what it likes; so may tools and tests.
	{"cmd/millrace", "*", "*"},
	{"templates", "", ""},
	{"internal/*", "*", "*"},
	{"internal/*/*", "*", "*"},
	{"internal/*/*/*", "*", "*"},
	{"test/*", "*", "*"},
	{"test/*/*", "*", "*"},
}

type pkg struct {
	ImportPath    string
	Imports, Deps []string
	GoFiles       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", "disable_grpc_modules", "-json=ImportPath,Imports,Deps,GoFiles", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// find gives the row of a package: the exact one, else the first pattern that fits.
func find(name string) (row, bool) {
	if i := slices.IndexFunc(table, func(r row) bool { return r.pkg == name }); i >= 0 {
		return table[i], true
	}
	i := slices.IndexFunc(table, func(r row) bool { return fits(r.pkg, name) })
	if i < 0 {
		return row{}, false
	}
	return table[i], true
}

func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func allowed(list, name string) bool {
	return list == "*" || slices.ContainsFunc(strings.Fields(list), func(p string) bool { return fits(p, name) })
}

// violations are the breaches of the table, one text each.
func violations(all []pkg) []string {
	var out []string
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module)
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		r, ok := find(name)
		if !ok {
			out = append(out, name+" is not in the table")
			continue
		}
		for _, imp := range p.Imports {
			if ours, cut := strings.CutPrefix(imp, module); cut && !allowed(r.ours, ours) {
				out = append(out, name+" imports "+ours)
			}
		}
		for sdk, prefix := range sdks {
			if i := slices.IndexFunc(p.Deps, func(d string) bool { return d == prefix || strings.HasPrefix(d, prefix+"/") }); i >= 0 && !allowed(r.sdks, sdk) {
				out = append(out, name+" reaches "+sdk+" through "+p.Deps[i])
			}
		}
	}
	slices.Sort(out)
	return out
}

func TestImportTable(t *testing.T) {
	t.Parallel()
	for _, v := range violations(list(t)) {
		t.Error(v)
	}
}

func TestABreachIsFound(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		p    pkg
		want string
	}{
		"a forbidden package":     {pkg{module + "shared/feature", []string{module + "shared/ledger"}, nil, []string{"a.go"}}, "shared/feature imports shared/ledger"},
		"a forbidden SDK":         {pkg{module + "functions/predict", nil, []string{"cloud.google.com/go/storage/internal"}, []string{"a.go"}}, "functions/predict reaches storage through cloud.google.com/go/storage/internal"},
		"an unknown package":      {pkg{module + "shared/util", nil, nil, []string{"a.go"}}, "shared/util is not in the table"},
		"a tool that is deployed": {pkg{module + "functions/onupload", []string{module + "internal/localcloud"}, nil, []string{"a.go"}}, "functions/onupload imports internal/localcloud"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := violations([]pkg{tc.p}); len(got) != 1 || got[0] != tc.want {
				t.Errorf("violations = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNoGoFileAtTheRoot(t *testing.T) {
	t.Parallel()
	for _, p := range list(t) {
		if p.ImportPath+"/" == module {
			t.Errorf("the repository's root holds a Go package (%v): the buildpack would compile it", p.GoFiles)
		}
	}
}
