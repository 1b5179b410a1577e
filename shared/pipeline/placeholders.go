package pipeline

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

var (
	placeholder = regexp.MustCompile(`\{\{\$(\.[^{}]*)?\}\}`)
	reference   = regexp.MustCompile(`^\.(inputs|outputs)\.(parameters|artifacts)\[['"]([^'"\]]+)['"]\](.*)$`)
	artifactTo  = regexp.MustCompile(`^(\.(uri|path|name|metadata|schema_title)|\.metadata\[['"][^'"\]]+['"]\])?$`)

	// plainPlaceholders are those that name nothing of the component.
	plainPlaceholders = []string{"", ".outputs.output_file", ".outputs.output_metadata_uri", ".pipeline_job_name",
		".pipeline_job_resource_name", ".pipeline_job_uuid", ".pipeline_task_name", ".pipeline_task_uuid", ".pipeline_root",
		".pipeline_job_create_time_utc", ".pipeline_job_schedule_time_utc"}
)

// placeholders checks the texts of a container (or the URI of an importer) against the inputs and outputs of the component
// that uses it: an unknown placeholder would reach the program as it stands.
func (l *linter) placeholders(at place, e *executorSpec, c *pipelinespec.ComponentSpec) {
	if name := e.GetImporter().GetArtifactUri().GetRuntimeParameter(); name != "" {
		l.inputParameter(at.at("importer", "artifactUri", "runtimeParameter"), name, c)
	}
	k := e.GetContainer()
	if k == nil {
		return
	}
	at = at.at("container")
	l.text(at.at("image"), k.GetImage(), c)
	for i, s := range k.GetCommand() {
		l.text(at.at("command", itoa(i)), s, c)
	}
	for i, s := range k.GetArgs() {
		l.text(at.at("args", itoa(i)), s, c)
	}
	for i, env := range k.GetEnv() {
		l.text(at.at("env", itoa(i), "value"), env.GetValue(), c)
	}
}

func (l *linter) text(at place, s string, c *pipelinespec.ComponentSpec) {
	if strings.HasPrefix(s, `{"IfPresent"`) || strings.HasPrefix(s, `{"Concat"`) {
		var v any
		if err := json.Unmarshal([]byte(s), &v); err != nil {
			l.add(at, "placeholder", got(s)+" is no JSON", `{"Concat": […]} or {"IfPresent": {…}}`)
			return
		}
		l.ifPresent(at, v, c)
	}
	for _, m := range placeholder.FindAllStringSubmatch(s, -1) {
		l.placeholder(at, m[0], m[1], c)
	}
}

// ifPresent finds the InputName of every IfPresent in the tree.
func (l *linter) ifPresent(at place, v any, c *pipelinespec.ComponentSpec) {
	switch x := v.(type) {
	case []any:
		for _, e := range x {
			l.ifPresent(at, e, c)
		}
	case map[string]any:
		if name, ok := x["InputName"].(string); ok && c.GetInputDefinitions().GetArtifacts()[name] == nil {
			l.inputParameter(at, name, c)
		}
		for _, k := range sortedKeys(x) {
			l.ifPresent(at, x[k], c)
		}
	}
}

func (l *linter) inputParameter(at place, name string, c *pipelinespec.ComponentSpec) {
	if have := c.GetInputDefinitions().GetParameters(); have[name] == nil {
		l.add(at, "placeholder", got(name)+" is no input parameter of the component", oneOf(name, sortedKeys(have)))
	}
}

func (l *linter) placeholder(at place, whole, inner string, c *pipelinespec.ComponentSpec) {
	m := reference.FindStringSubmatch(inner)
	if m == nil {
		if !slices.Contains(plainPlaceholders, inner) && !strings.HasPrefix(inner, ".json_escape[") {
			l.add(at, "placeholder", got(whole)+" is unknown", oneOf(inner, plainPlaceholders[1:]))
		}
		return
	}
	direction, kind, name, rest := m[1], m[2], m[3], m[4]
	have := declared(c, direction, kind)
	if !slices.Contains(have, name) {
		what := map[string]string{"inputs": "input", "outputs": "output"}[direction] + " " + strings.TrimSuffix(kind, "s")
		l.add(at, "placeholder", got(whole)+": "+got(name)+" is no "+what+" of the component", oneOf(name, have))
		return
	}
	switch {
	case direction == "inputs" && kind == "parameters":
		if rest != "" && !strings.HasPrefix(rest, ".json_escape[") {
			l.add(at, "placeholder", got(whole)+" goes on after the parameter", "nothing there")
		}
	case direction == "outputs" && kind == "parameters":
		if rest != ".output_file" {
			l.add(at, "placeholder", got(whole)+" has no .output_file", ".output_file after the parameter")
		}
	case !artifactTo.MatchString(rest):
		l.add(at, "placeholder", got(whole)+": an artifact has no "+rest, ".uri, .path or .metadata['key']")
	}
}

func declared(c *pipelinespec.ComponentSpec, direction, kind string) []string {
	switch direction + kind {
	case "inputsparameters":
		return sortedKeys(c.GetInputDefinitions().GetParameters())
	case "inputsartifacts":
		return sortedKeys(c.GetInputDefinitions().GetArtifacts())
	case "outputsparameters":
		return parameterOutputs(c)
	}
	return artifactOutputs(c)
}
