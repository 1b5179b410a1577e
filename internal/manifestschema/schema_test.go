package manifestschema

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/millrace-ml/millrace/shared/manifest"
)

var update = flag.Bool("update", false, "write the golden file")

const golden = "../../docs/reference/model.schema.json"

func TestNoDrift(t *testing.T) {
	t.Parallel()
	got, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs from the types; run go test ./internal/manifestschema -update (-file +types):\n%s", golden, diff)
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(ID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(ID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate reads YAML as an editor does, without our loader.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	text = strings.NewReplacer("1e3", "1000", "1e-9", "0.000000001").Replace(text) // this library takes them for text
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestValidManifests(t *testing.T) {
	t.Parallel()
	s := compile(t)
	var files []string
	for _, pattern := range []string{"../../shared/manifest/testdata/valid/*.yaml", "../../models/*/model.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: found %q, %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, s, string(text)); err != nil {
			t.Errorf("%s: the schema refuses it: %v", file, err)
		}
		if _, err := manifest.Parse(file, text); err != nil {
			t.Errorf("the loader refuses it: %v", err)
		}
	}
}

func TestBlockMissing(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../shared/manifest/testdata/valid/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "realtime: {}\n", "", 1)
	if err := validate(t, compile(t), text); err == nil || !strings.Contains(err.Error(), "realtime") {
		t.Errorf("serve: [realtime] without its block: %v", err)
	}
}

// TestBadManifests edits a good manifest in one place; the schema and the loader must both refuse the result.
func TestBadManifests(t *testing.T) {
	t.Parallel()
	s := compile(t)
	data, err := os.ReadFile("../../shared/manifest/testdata/valid/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	full := string(data)
	for name, edit := range map[string][2]string{
		"unknown key":             {"owner:", "onwer:"},
		"unknown key deep down":   {"mode: each}", "mode: each, wndow: 5}"},
		"key missing":             {"version: \"1-4-0\"\n", ""},
		"number for text":         {`version: "1-4-0"`, "version: 1.5"},
		"text for a list":         {"serve: [realtime, batch]", "serve: realtime"},
		"text for a number":       {"parallelism: 4", `parallelism: "4"`},
		"half for whole":          {"parallelism: 4", "parallelism: 4.5"},
		"bad name":                {"name: full-house", "name: Full"},
		"name of a route":         {"name: full-house", "name: stats"},
		"serve unknown":           {"serve: [realtime, batch]", "serve: [realtime, batch, stream]"},
		"serve twice":             {"serve: [realtime, batch]", "serve: [realtime, batch, batch]"},
		"serve empty":             {"serve: [realtime, batch]", "serve: []"},
		"format unknown":          {"format: xgboost", "format: pickle"},
		"artifact nowhere":        {"path: artifact/model.ubj, ", ""},
		"artifact twice":          {"path: artifact/model.ubj", "path: artifact/model.ubj, uri: \"gs://bkt/o#1\""},
		"sha256 short":            {"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "abc"},
		"type unknown":            {"type: integer", "type: int"},
		"categories missing":      {`values: [winter, spring, "3", fall], default: spring`, "nullable: false"},
		"category of truth":       {"3.5, 4]", "3.5, true]"},
		"category twice":          {`"3", fall]`, `"3", winter]`},
		"layouts missing":         {`layouts: [rfc3339, "1/2/2006 15:04", unix], `, ""},
		"tolerance of everything": {"tolerance: 1e-9", "tolerance: 2.5"},
		"open to all":             {`"group:data@example.com"`, "allUsers"},
		"memory in bytes":         {"memory: 1Gi", "memory: 1GB"},
		"too many rows":           {"rows: 500", "rows: 10001"},
		"size in megabytes":       {"bytes: 2MiB", "bytes: 2MB"},
		"timeout of two units":    {"timeout: 30s", "timeout: 1m30s"},
		"prefix without end":      {"prefix: full-house/", "prefix: full-house"},
		"mode unknown":            {"mode: each", "mode: window"},
		"rejects as text":         {"max_rejected: 2.5%", "max_rejected: some"},
		"rejects negative":        {"max_rejected: 2.5%", "max_rejected: -1"},
		"delimiter odd":           {`delimiter: ";"`, "delimiter: x"},
		"feature of a number":     {"  - {name: weathersit}", "  - 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Count(full, edit[0]) != 1 {
				t.Fatalf("%q is in the file %d times", edit[0], strings.Count(full, edit[0]))
			}
			text := strings.Replace(full, edit[0], edit[1], 1)
			if err := validate(t, s, text); err == nil {
				t.Error("the schema takes it")
			}
			if _, err := manifest.Parse("m.yaml", []byte(text)); err == nil {
				t.Error("the loader takes it")
			}
		})
	}
}
