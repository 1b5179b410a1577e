package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// discovery is the part of Google's description of an API that says which methods there are and what they answer.
type discovery struct {
	RootURL, ServicePath string
	Resources            map[string]resource
	Schemas              map[string]*schema
}

type resource struct {
	Methods map[string]struct {
		HTTPMethod, Path, FlatPath string
		Response                   struct {
			Ref string `json:"$ref"`
		}
	}
	Resources map[string]resource
}

type schema struct {
	Type                 string
	Ref                  string `json:"$ref"`
	Properties           map[string]*schema
	Items                *schema
	AdditionalProperties *schema
	Enum                 []string
}

// documents are the descriptions in the module of Google's generated clients, which the module graph has anyway.
func documents(t *testing.T) func(host, version string) *discovery {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		t.Skip("skipped: the module google.golang.org/api is not downloaded")
	}
	dir, read := strings.TrimSpace(string(out)), map[string]*discovery{}
	return func(host, version string) *discovery {
		name, _, _ := strings.Cut(apiOf(host), ".")
		path := filepath.Join(dir, name, version, name+"-api.json")
		if read[path] == nil {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d := &discovery{}
			if err := json.Unmarshal(b, d); err != nil {
				t.Fatal(err)
			}
			read[path] = d
		}
		return read[path]
	}
}

var (
	variable  = regexp.MustCompile(`\{[^}]*\}`)
	inVersion = regexp.MustCompile(`v\d+(beta\d+)?`)
)

// fits says whether a path of ours is one of a method, whose variables may stand for words that we write out.
func fits(method, ours string) bool {
	parts := variable.Split(method, -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("^" + strings.Join(parts, "[^/:]+") + "$").MatchString(ours)
}

// response is the schema of a method's answer, "" if the API has no such method.
func (d *discovery) response(method, path string) string {
	want := variable.ReplaceAllString(path, "x")
	var find func(map[string]resource) string
	find = func(all map[string]resource) string {
		for _, r := range all {
			for _, m := range r.Methods {
				for _, p := range []string{m.Path, m.FlatPath} {
					if m.HTTPMethod == method && p != "" && fits(d.ServicePath+p, want) {
						return m.Response.Ref
					}
				}
			}
			if ref := find(r.Resources); ref != "" {
				return ref
			}
		}
		return ""
	}
	return find(d.Resources)
}

// conforms compares an answer with its schema.
func (d *discovery) conforms(at string, value any, s *schema) []string {
	if s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	var problems []string
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" && s.Properties == nil {
			return []string{at + " is an object"}
		}
		for k, x := range v {
			switch p := s.Properties[k]; {
			case p != nil:
				problems = append(problems, d.conforms(at+"."+k, x, p)...)
			case s.AdditionalProperties == nil:
				problems = append(problems, at+"."+k+" is no property")
			}
		}
	case []any:
		if s.Type != "array" {
			return []string{at + " is a list"}
		}
		for i, x := range v {
			problems = append(problems, d.conforms(fmt.Sprintf("%s[%d]", at, i), x, s.Items)...)
		}
	default:
		want := map[string]bool{"string": true, "boolean": true, "integer": true}
		kind := map[bool]string{}
		switch v.(type) {
		case string:
			kind[true] = "string"
		case bool:
			kind[true] = "boolean"
		case float64:
			kind[true] = "integer"
		}
		if !want[s.Type] || kind[true] != s.Type {
			return []string{fmt.Sprintf("%s is %v, expected a %s", at, v, s.Type)}
		}
		if text, ok := v.(string); ok && len(s.Enum) > 0 && !strings.Contains(" "+strings.Join(s.Enum, " ")+" ", " "+text+" ") {
			return []string{fmt.Sprintf("%s is %q, expected one of %v", at, text, s.Enum)}
		}
	}
	return problems
}

// every gives all endpoints.
func every() []endpoint {
	return append([]endpoint{getProject, projectPolicy, projectTest, billing, apis, quota, getBucket, notifications, objects, database, indexes, repositories, jobs,
		runServices, servicePolicy, subscription, subPolicy, topicPolicy, triggers, accounts, accountPolicy, accountTest, pools, poolProviders, modelEndpoints}, locationsOf...)
}

// What is asked are methods of Google's APIs, and what the tests answer has their form.
func TestOfTheFormOfGooglesAPIs(t *testing.T) {
	t.Parallel()
	document := documents(t)
	w := healthy()
	used := map[string]bool{}
	for _, e := range every() {
		d := document(e.host, inVersion.FindString(e.path))
		ref := d.response(e.method, e.path)
		if ref == "" {
			t.Errorf("%s has no %s %s", e.host, e.method, e.path)
			continue
		}
		pattern := regexp.QuoteMeta(e.method + " /" + e.host + "/" + e.path)
		pattern = strings.NewReplacer(`\{region\}-`, `[a-z0-9-]+-`).Replace(pattern)
		pattern = "^" + regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(pattern, `[^/:]+`) + "$"
		for key, answer := range w {
			if !regexp.MustCompile(pattern).MatchString(key) {
				continue
			}
			used[key] = true
			b, err := json.Marshal(answer)
			if err != nil {
				t.Fatal(err)
			}
			var plain any
			if err := json.Unmarshal(b, &plain); err != nil {
				t.Fatal(err)
			}
			for _, p := range d.conforms(key, plain, &schema{Ref: ref}) {
				t.Error(p)
			}
		}
	}
	for key := range w {
		if !used[key] {
			t.Errorf("%s is an answer to nothing that is asked", key)
		}
	}
}
