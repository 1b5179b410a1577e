package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// key finds a key of the manifest by its path. Its type is that of an entry where it is a list.
func key(from reflect.Type, path string) (reflect.StructField, bool) {
	var field reflect.StructField
	for _, name := range strings.Split(path, ".") {
		for from.Kind() == reflect.Pointer || from.Kind() == reflect.Slice {
			from = from.Elem()
		}
		if from.Kind() != reflect.Struct {
			return field, false
		}
		found := false
		for i := range from.NumField() {
			if tag, _, _ := strings.Cut(from.Field(i).Tag.Get("yaml"), ","); tag == name {
				field, found = from.Field(i), true
			}
		}
		if !found {
			return field, false
		}
		from = field.Type
	}
	return field, true
}

// readers are the names under which models.tf reads a manifest and one of its schedules.
var readers = []struct {
	name, defaults string // defaults: below which key of manifest_defaults
	from           reflect.Type
}{
	{"manifest", "", reflect.TypeFor[manifest.Manifest]()},
	{"schedule", "schedule.", reflect.TypeFor[manifest.Schedule]()},
}

// Every key that Terraform reads is one of the manifest's, and stands for the same when it is left out.
func TestTerraformReadsManifestsAsTheCodeDoes(t *testing.T) {
	t.Parallel()
	body := file(t, "models.tf")
	models, defaults := local(t, body, "models"), values(t, local(t, body, "manifest_defaults"))
	used := map[string]bool{}
	for _, r := range readers {
		paths := traversals(models, r.name)
		if len(paths) < 2 {
			t.Fatalf("models.tf reads %q of %s, expected several keys", paths, r.name)
		}
		for _, path := range paths {
			field, ok := key(r.from, path)
			if !ok {
				t.Errorf("models.tf reads %s.%s, which the manifest does not have", r.name, path)
				continue
			}
			used[r.defaults+path] = true
			compare(t, r.defaults+path, field, defaults)
		}
	}
	for path := range defaults {
		if !used[path] {
			t.Errorf("manifest_defaults has %s, which models.tf does not read", path)
		}
	}
}

// compare holds the default of a key to the tag of its field. A list without one is empty, a text without one is none.
func compare(t *testing.T, path string, field reflect.StructField, defaults map[string]string) {
	t.Helper()
	got, has := defaults[path]
	want, tagged := field.Tag.Lookup("default")
	switch {
	case tagged && (!has || got != want):
		t.Errorf("models.tf takes %q for %s when it is left out, the code takes %q", got, path, want)
	case !tagged && has && got != "":
		t.Errorf("models.tf takes %q for %s when it is left out, the code has no default", got, path)
	}
}

// values flattens an object of literals: a list as its entries by comma, null as nothing.
func values(t *testing.T, e hclsyntax.Expression) map[string]string {
	t.Helper()
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	all := map[string]string{}
	var walk func(prefix string, v cty.Value)
	walk = func(prefix string, v cty.Value) {
		switch {
		case v.IsNull():
			all[prefix] = ""
		case v.Type().IsObjectType():
			for k, of := range v.AsValueMap() {
				walk(strings.TrimPrefix(prefix+"."+k, "."), of)
			}
		case v.Type().IsTupleType():
			all[prefix] = strings.Trim(fmt.Sprint(v.AsValueSlice()), "[]")
		case v.Type() == cty.Number:
			all[prefix] = v.AsBigFloat().Text('f', -1)
		default:
			all[prefix] = v.AsString()
		}
	}
	walk("", v)
	return all
}

// The function module has the same defaults, for who uses it alone.
func TestTheFunctionModuleHasTheManifestsDefaults(t *testing.T) {
	t.Parallel()
	given := map[string]string{}
	for _, b := range file(t, "modules/function/variables.tf").Blocks {
		if d := b.Body.Attributes["default"]; d != nil {
			if v, diags := d.Expr.Value(nil); !diags.HasErrors() && v.Type() == cty.String {
				given[b.Labels[0]] = v.AsString()
			} else if !diags.HasErrors() && v.Type() == cty.Number {
				given[b.Labels[0]] = v.AsBigFloat().Text('f', -1)
			}
		}
	}
	for variable, suffix := range map[string]string{"memory": "", "cpu": "", "concurrency": "", "timeout": "s"} {
		field, ok := key(reflect.TypeFor[manifest.Manifest](), "realtime."+variable)
		if want := field.Tag.Get("default"); !ok || given[variable]+suffix != want {
			t.Errorf("modules/function has %s = %q, the manifest %q", variable, given[variable]+suffix, want)
		}
	}
}
