package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// check is what happens to a user's file: decoded, then linted.
func check(data string) error {
	spec, err := Decode("pipeline.yaml", []byte(data))
	if err != nil {
		return err
	}
	return Lint(spec)
}

func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLintAcceptsTheExample(t *testing.T) {
	t.Parallel()
	if err := check(example(t)); err != nil {
		t.Fatal(err)
	}
}

// TestLintRefuses has one or more mutations of the example for each class of fault that decoding as protobuf accepts (or,
// for the first class, reports without a place).
func TestLintRefuses(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]struct{ old, new, want string }{
		"1 unknown enum value":              {"total: {parameterType: NUMBER_INTEGER}", "total: {parameterType: NUMBER_INTEGR}", `outputDefinitions.parameters.total.parameterType: "NUMBER_INTEGR", expected "NUMBER_INTEGER" perhaps`},
		"1 value of the wrong type":         {"maxRetryCount: 2", "maxRetryCount: often", `comp-each-part.dag.tasks.rate.retryPolicy.maxRetryCount: "often", expected a whole number`},
		"1 bad duration":                    {"backoffDuration: 30s", "backoffDuration: soon", `retryPolicy.backoffDuration: "soon", expected a duration such as "30s"`},
		"1 wrong type in an executor":       {"cpuLimit: 2.0", "cpuLimit: two", `deploymentSpec.executors.exec-split.container.resources.cpuLimit: "two", expected a number`},
		"1 unknown field":                   {"dependentTasks: [split]", "dependantTasks: [split]", `when-any.dependantTasks: unknown field, expected "dependentTasks" perhaps`},
		"1 parameter without a type":        {"part: {parameterType: STRUCT}", "part: {}", `parameters.part.parameterType: "PARAMETER_TYPE_ENUM_UNSPECIFIED", expected one of NUMBER_DOUBLE`},
		"1 default of the wrong type":       {"defaultValue: 50000", "defaultValue: many", `comp-split.inputDefinitions.parameters.part_rows.defaultValue: "many", expected a NUMBER_INTEGER`},
		"1 constant of the wrong type":      {"constant: 20000", "constant: many", `tasks.split.inputs.parameters.part_rows: a STRING, expected a NUMBER_INTEGER`},
		"2 componentRef names no component": {"componentRef: {name: comp-rate}", "componentRef: {name: comp-rat}", `comp-each-part.dag.tasks.rate.componentRef.name: "comp-rat" names no component, expected "comp-rate" perhaps`},
		"3 executorLabel names no executor": {"executorLabel: exec-rate", "executorLabel: exec-score", `components.comp-rate.executorLabel: "exec-score" names no executor, expected one of exec-close, exec-rate, exec-split`},
		"4 producerTask names no task":      {"{producerTask: split, outputParameterKey: parts}", "{producerTask: splitt, outputParameterKey: parts}", `parameters.parts.taskOutputParameter.producerTask: "splitt" names no task of this dag, expected "split" perhaps`},
		"4 producer of an artifact":         {"{producerTask: split, outputArtifactKey: clean}", "{producerTask: other, outputArtifactKey: clean}", `artifacts.clean.taskOutputArtifact.producerTask: "other" names no task`},
		"4 producer of a final status":      {"taskFinalStatus: {producerTask: work}", "taskFinalStatus: {producerTask: wrok}", `close.inputs.parameters.status.taskFinalStatus.producerTask: "wrok" names no task`},
		"4 producer of a dag's output":      {"producerSubtask: split", "producerSubtask: spilt", `comp-work.dag.outputs.parameters.total.producerSubtask: "spilt" names no task`},
		"5 output the producer has not":     {"{producerTask: split, outputParameterKey: total}", "{producerTask: split, outputParameterKey: totals}", `outputParameterKey: "totals" is no output of task split, expected "total" perhaps`},
		"5 artifact the producer has not":   {"outputArtifactKey: clean", "outputArtifactKey: raw", `outputArtifactKey: "raw" is no output of task split, expected one of clean`},
		"5 output of a dag":                 {"{producerSubtask: split, outputParameterKey: total}", "{producerSubtask: split, outputParameterKey: sum}", `outputs.parameters.total.outputParameterKey: "sum" is no output of task split`},
		"6 dependentTasks names no task":    {"dependentTasks: [work]", "dependentTasks: [work, wait]", `root.dag.tasks.close.dependentTasks.1: "wait" names no task of this dag`},
		"7 producer not waited for":         {"dependentTasks: [split]", "dependentTasks: []", `when-any.inputs.parameters.parts.taskOutputParameter.producerTask: "split" is not among the dependentTasks`},
		"7 final status not waited for":     {"dependentTasks: [work]", "dependentTasks: []", `close.inputs.parameters.status.taskFinalStatus.producerTask: "work" is not among the dependentTasks`},
		"8 condition is no CEL":             {"int(inputs.parameter_values['total']) > 0", "int(inputs.parameter_values['total']) >", `when-any.triggerPolicy.condition: "int(inputs.parameter_values['total']) >" is no CEL condition`},
		"8 condition is no bool":            {"int(inputs.parameter_values['total']) > 0", "int(inputs.parameter_values['total'])", `it is a int, not a bool`},
		"8 condition reads no input":        {"int(inputs.parameter_values['total'])", "int(inputs.parameter_values['totl'])", `reads "totl", which is no input of the task, expected "total" perhaps`},
		"9 itemInput is no input":           {"itemInput: part,", "itemInput: piece,", `each-part.parameterIterator.itemInput: "piece" is no input of the loop's component`},
		"9 items is no input":               {"items: {inputParameter: parts}", "items: {inputParameter: pieces}", `parameterIterator.items.inputParameter: "pieces" is no input of the task`},
		"9 raw items are no array":          {"items: {inputParameter: parts}", "items: {raw: 'a, b'}", `parameterIterator.items.raw: "a, b", expected a JSON array`},
		"10 componentInputParameter":        {"run_id: {componentInputParameter: run_id}", "run_id: {componentInputParameter: runid}", `close.inputs.parameters.run_id.componentInputParameter: "runid" is no input of this dag, expected "run_id" perhaps`},
		"10 componentInputArtifact":         {"clean: {componentInputArtifact: clean}", "clean: {componentInputArtifact: dirty}", `componentInputArtifact: "dirty" is no input artifact of this dag`},
		"10 input is not given":             {"            source: {componentInputParameter: source}\n", "", `comp-work.dag.tasks.split.inputs.parameters.source: nothing, expected a value: comp-split needs it`},
		"10 input is misspelt":              {"part_rows: {runtimeValue", "part_row: {runtimeValue", `split.inputs.parameters.part_row: "part_row" is no input of comp-split, expected "part_rows" perhaps`},
		"11 placeholder of an unknown input": {"{{$.inputs.parameters['model']}}", "{{$.inputs.parameters['modle']}}",
			`exec-rate.container.args.2: "{{$.inputs.parameters['modle']}}": "modle" is no input parameter of the component, expected "model" perhaps`},
		"11 placeholder of an unknown output": {"{{$.outputs.artifacts['rated'].uri}}", "{{$.outputs.artifacts['rates'].uri}}", `"rates" is no output artifact of the component`},
		"11 output parameter without file":    {"['rows'].output_file}}", "['rows']}}", `has no .output_file`},
		"11 unknown placeholder":              {"{{$.inputs.artifacts['clean'].path}}", "{{$.pipeline_jobname}}", `"{{$.pipeline_jobname}}" is unknown, expected ".pipeline_job_name" perhaps`},
		"11 IfPresent of an unknown input":    {`"InputName": "model"`, `"InputName": "mode"`, `args.5: "mode" is no input parameter of the component`},
		"12 schema version":                   {"schemaVersion: 2.1.0", "schemaVersion: 2.0.9", `schemaVersion: "2.0.9", expected "2.1.0"`},
		"12 name":                             {"name: harbour-batch", "name: Harbour_Batch", `pipelineInfo.name: "Harbour_Batch", expected a name that matches`},
		"1 unknown field at the top":          {"\nroot:", "\nroot: {}\nunknown:", `unknown field`},
		"13 cycle between tasks":              {"cachingOptions: {enableCache: true}", "dependentTasks: [when-any]", `split: waits for itself: split → when-any → split`},
		"13 task waits for itself":            {"dependentTasks: [work]", "dependentTasks: [work, close]", `close: waits for itself: close → close`},
		"13 component contains itself":        {"componentRef: {name: comp-each-part}", "componentRef: {name: comp-work}", `contains itself: comp-when-any → comp-work → comp-when-any`},
		"image is missing":                    {"image: registry.example/step@sha256:0000000000000000000000000000000000000000000000000000000000000000", "image: ''", `exec-split.container.image: nothing, expected the name of an image`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := example(t)
			if !strings.Contains(text, m.old) {
				t.Fatalf("the example does not have %q", m.old)
			}
			err := check(strings.Replace(text, m.old, m.new, 1))
			if err == nil {
				t.Fatal("accepted")
			}
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), m.want) {
				t.Errorf("got\n%v\nwant something with\n%s", err, m.want)
			}
		})
	}
}

func TestLintTellsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	err := check(strings.NewReplacer("schemaVersion: 2.1.0", "schemaVersion: 2.0.9", "executorLabel: exec-rate", "executorLabel: exec-score",
		"dependentTasks: [work]", "dependentTasks: []").Replace(example(t)))
	got := fault.Public(err)
	if len(got.Problems) != 3 || strings.Count(got.Message, "\n") != 2 {
		t.Fatalf("got %d problems in\n%s", len(got.Problems), got.Message)
	}
	if p := got.Problems[1]; p.Pointer != "/root/dag/tasks/close/inputs/parameters/status/taskFinalStatus/producerTask" || p.Code != "order" {
		t.Errorf("got %+v", p)
	}
}

func TestLintRefusesNothing(t *testing.T) {
	t.Parallel()
	if err := Lint(nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	if err := check("root: {}\nschemaVersion: 2.1.0\n"); err == nil || !strings.Contains(err.Error(), "root.dag.tasks: nothing") {
		t.Errorf("got %v", err)
	}
}

// TestLintOfTheReference runs the classes again on a pipeline that nobody here wrote for the lint.
func TestLintOfTheReference(t *testing.T) {
	t.Parallel()
	data := shared(t, "reference/pipeline-example.yaml")
	if err := check(data); err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string][2]string{
		"1":  {"parameterType: NUMBER_INTEGER", "parameterType: NUMBER"},
		"2":  {"componentRef: {name: comp-score}", "componentRef: {name: comp-x}"},
		"3":  {"executorLabel: exec-score", "executorLabel: exec-x"},
		"4":  {"producerTask: prepare", "producerTask: x"},
		"5":  {"outputParameterKey: shards", "outputParameterKey: x"},
		"6":  {"dependentTasks: [work]", "dependentTasks: [work, x]"},
		"7":  {"dependentTasks: [prepare]", "dependentTasks: []"},
		"8":  {"['row_count']) > 0", "['row_count']) >"},
		"9":  {"itemInput: shards-item", "itemInput: x"},
		"10": {"componentInputParameter: input_uri", "componentInputParameter: x"},
		"11": {"{{$.inputs.parameters['model_uri']}}", "{{$.inputs.parameters['x']}}"},
		"12": {"schemaVersion: 2.1.0", "schemaVersion: 2.0.9"},
		"13": {"cachingOptions: {enableCache: true}", "dependentTasks: [when-rows]"},
	} {
		if mutant := strings.Replace(data, m[0], m[1], 1); mutant == data || check(mutant) == nil {
			t.Errorf("class %s: accepted", name)
		}
	}
}

// shared reads a file of the folder that may lie beside the repository (or at MILLRACE_SHARED), or skips the test.
func shared(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("MILLRACE_SHARED")
	if dir == "" {
		root, err := filepath.Abs(".")
		if err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil || root == filepath.Dir(root) {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("%s is not here", name)
	}
	return string(b)
}
