package vertex

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"
)

// checkJob refuses what could not run, with every problem of the job at once. The spec's own faults come alone: the
// parameters cannot be judged without it.
func (s *Server) checkJob(job *aiplatformpb.PipelineJob) error {
	if job == nil {
		return errors.New("pipeline_job is missing")
	}
	if len(job.GetPipelineSpec().GetFields()) == 0 {
		if job.TemplateUri != "" {
			return fmt.Errorf("pipeline_spec is empty and template_uri %q cannot be fetched here: send the spec", job.TemplateUri)
		}
		return errors.New("pipeline_spec is missing")
	}
	spec, err := decodeSpec(job.PipelineSpec)
	if err != nil {
		return err
	}
	if s.o.Lint != nil {
		if err := s.o.Lint(spec); err != nil {
			return fmt.Errorf("pipeline_spec: %w", err)
		}
	}
	p, err := s.exprs.compile(spec)
	if err != nil {
		return fmt.Errorf("pipeline_spec: %w", err)
	}
	problems := checkRuntime(job.RuntimeConfig, p.root.spec.GetInputDefinitions())
	if utf8.RuneCountInString(job.DisplayName) > 128 {
		problems = append(problems, errors.New("display_name is longer than 128 characters"))
	}
	return errors.Join(append(problems, checkLabels(job.Labels)...)...)
}

func checkLabels(labels map[string]string) (problems []error) {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k == "" || !labelText(k) {
			problems = append(problems, fmt.Errorf("label key %q: want 1 to 64 lower-case letters, digits, _ or -", k))
		}
		if !labelText(labels[k]) {
			problems = append(problems, fmt.Errorf("label %s: value %q: want at most 64 lower-case letters, digits, _ or -", k, labels[k]))
		}
	}
	return problems
}

// labelText allows letters of every script that has no upper case form in the text.
func labelText(s string) bool {
	if utf8.RuneCountInString(s) > 64 {
		return false
	}
	for _, r := range s {
		if r != '_' && r != '-' && !unicode.IsDigit(r) && (!unicode.IsLetter(r) || unicode.IsUpper(r)) {
			return false
		}
	}
	return true
}

// checkRuntime checks the runtime config against the root's inputs.
func checkRuntime(c *aiplatformpb.PipelineJob_RuntimeConfig, in *pipelinespec.ComponentInputsSpec) (problems []error) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if err := checkRoot(c.GetGcsOutputDirectory()); err != nil {
		problems = append(problems, err)
	}
	if len(c.GetParameters()) > 0 { //nolint:staticcheck // the field of old schemas is refused by name
		say("runtime_config.parameters is of schema 2.0.0: use parameter_values")
	}
	for _, k := range slices.Sorted(maps.Keys(c.GetInputArtifacts())) {
		say("runtime_config.input_artifacts: %q: there is no metadata store here to take artifacts from", k)
	}
	values, params := c.GetParameterValues(), in.GetParameters()
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if params[k] == nil {
			say("parameter %q is unknown, the pipeline has %s", k, list(slices.Sorted(maps.Keys(params))))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(params)) {
		v, given := values[k]
		switch {
		case given && !isNull(v):
			if err := checkType(v, params[k].ParameterType); err != nil {
				say("parameter %q: %w", k, err)
			}
		case params[k].DefaultValue == nil && !params[k].IsOptional:
			say("parameter %q is missing, it has no default", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(in.GetArtifacts())) {
		if !in.Artifacts[k].IsOptional {
			say("the pipeline needs the input artifact %q: there is no metadata store here to take it from", k)
		}
	}
	return problems
}

// checkRoot wants a gs:// folder whose name is also a safe relative path.
func checkRoot(uri string) error {
	if uri == "" {
		return errors.New("runtime_config.gcs_output_directory is missing")
	}
	if _, err := localPath(strings.TrimRight(uri, "/")); err != nil {
		return fmt.Errorf("runtime_config.gcs_output_directory: %w", err)
	}
	return nil
}

// localPath is the path of a gs:// URI below a folder: bucket/name. URIs that would leave the folder, or that two
// spellings of one path would confuse, are refused.
func localPath(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, "gs://")
	if !ok || rest == "" || strings.HasPrefix(rest, "/") {
		return "", fmt.Errorf("%q is not gs://BUCKET/NAME", uri)
	}
	if clean := path.Clean(rest); clean != rest || strings.HasPrefix(clean, "../") || clean == ".." || clean == "." || strings.ContainsAny(rest, "\x00\\") {
		return "", fmt.Errorf("%q cannot be a path: it has empty, . or .. parts", uri)
	}
	return rest, nil
}

// list writes names for an error.
func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func isNull(v *structpb.Value) bool {
	if v == nil || v.Kind == nil {
		return true
	}
	_, null := v.Kind.(*structpb.Value_NullValue)
	return null
}
