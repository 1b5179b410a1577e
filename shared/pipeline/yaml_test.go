package pipeline

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

func TestDecodeForeignFiles(t *testing.T) {
	t.Parallel()
	text := example(t)
	for name, data := range map[string]string{
		"a second document for Kubernetes": text + "\n---\nplatforms: {kubernetes: {deploymentSpec: {executors: {}}}}\n",
		"a comment and a leading marker":   "# PIPELINE DEFINITION\n---\n" + text,
		"executor fields newer than ours":  strings.Replace(text, "cpuLimit: 2.0", `resourceCpuLimit: "2", cpuLimit: 2.0`, 1),
		"a byte order mark":                "\ufeff" + text,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := check(data); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data, want string
		kind       fault.Kind
	}{
		"nothing":           {"", "is empty", fault.Invalid},
		"a list":            {"[a, b]", "is no mapping", fault.Invalid},
		"no YAML":           {"a: [", "pipeline.yaml: yaml:", fault.Invalid},
		"a binary file":     {"\x89PNG\r\n\x1a\n\x00", "pipeline.yaml: yaml:", fault.Invalid},
		"a repeated key":    {"root: {}\nroot: {}", "already defined", fault.Invalid},
		"an infinity":       {"root: {inputDefinitions: {parameters: {a: {defaultValue: .inf}}}}", "unsupported value", fault.Invalid},
		"a key no string":   {"root: {1.5: a}", "expected a string", fault.Invalid},
		"components a list": {"components: [a]", `components: a list, expected a mapping`, fault.Invalid},
		"tasks with a null": {"root: {dag: {tasks: {a: null}}}", `root.dag.tasks.a: nothing, expected a mapping`, fault.Invalid},
		"args no list":      {"root: {dag: {tasks: {a: {dependentTasks: b}}}}", `dependentTasks: "b", expected a list`, fault.Invalid},
		"an alias bomb": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]", "excessive aliasing", fault.Invalid},
		"too many bytes": {strings.Repeat(" ", maxSpec+1), "at most", fault.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode("pipeline.yaml", []byte(tc.data))
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("root: {dag: {tasks: {a: {}}}}\nschemaVersion: 2.1.0"))
	f.Add([]byte("deploymentSpec: {executors: {a: {container: {image: 1}}}}"))
	f.Add([]byte("components: {a: {dag: {tasks: {b: {componentRef: {name: a}, parameterIterator: {items: {raw: '[]'}}}}}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := Decode("x", data)
		if err != nil {
			return
		}
		_ = Lint(spec) // must not panic, whatever the spec
		out, err := Encode(spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode("y", out); err != nil {
			t.Fatalf("what Encode wrote does not decode: %v\n%s", err, out)
		}
	})
}
