package vertex

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"
)

// expand replaces each {{$…}} in text by lookup's answer. What it puts in is not expanded again.
func expand(text string, lookup func(string) (string, error)) (string, error) {
	var b strings.Builder
	for {
		start := strings.Index(text, "{{$")
		if start < 0 {
			break
		}
		end := strings.Index(text[start:], "}}")
		if end < 0 {
			break
		}
		value, err := lookup(strings.TrimSpace(text[start+2 : start+end]))
		if err != nil {
			return "", err
		}
		b.WriteString(text[:start])
		b.WriteString(value)
		text = text[start+end+2:]
	}
	b.WriteString(text)
	return b.String(), nil
}

// subscript reads ['key'] or ["key"] and what follows it.
func subscript(s string) (key, rest string, err error) {
	for _, q := range []string{"'", `"`} {
		if inner, ok := strings.CutPrefix(s, "["+q); ok {
			if key, rest, ok := strings.Cut(inner, q+"]"); ok {
				return key, rest, nil
			}
		}
	}
	return "", "", fmt.Errorf("want ['name'], got %q", s)
}

// fact answers the placeholders that say where a task runs.
func (r *run) fact(p string, rec *record, t *task) (string, error) {
	switch p {
	case "$.pipeline_job_name":
		return r.name.id, nil
	case "$.pipeline_job_resource_name":
		return r.name.full, nil
	case "$.pipeline_job_uuid":
		return strconv.FormatInt(jobUUID(r.name.full), 10), nil
	case "$.pipeline_task_name":
		return t.name, nil
	case "$.pipeline_task_uuid":
		return rec.id(), nil
	case "$.pipeline_google_cloud_project_id":
		return r.name.project, nil
	case "$.pipeline_google_cloud_location":
		return r.name.location, nil
	case "$.pipeline_root":
		return strings.TrimRight(r.job.GetRuntimeConfig().GetGcsOutputDirectory(), "/"), nil
	case "$.pipeline_job_create_time_utc", "$.pipeline_job_schedule_time_utc":
		return r.job.GetCreateTime().AsTime().UTC().Format(time.RFC3339), nil
	}
	return "", fmt.Errorf("{{%s}} is no known placeholder", p)
}

// lookup answers all placeholders of a task. files is nil where there is no attempt yet, as in an importer.
func (r *run) lookup(t *task, rec *record, in *values, files *attemptIO) func(string) (string, error) {
	return func(p string) (string, error) {
		unknown := fmt.Errorf("{{%s}} is no known placeholder", p)
		rest, isInput := strings.CutPrefix(p, "$.inputs.")
		switch {
		case isInput:
			return lookupInput(t, in, files, rest, unknown)
		case files != nil && p == "$":
			return files.json()
		case files != nil && p == "$.outputs.output_file":
			return files.local(files.input.Outputs.OutputFile), nil
		case files != nil && strings.HasPrefix(p, "$.outputs."):
			return lookupOutput(files, strings.TrimPrefix(p, "$.outputs."), unknown)
		}
		return r.fact(p, rec, t)
	}
}

func lookupInput(t *task, in *values, files *attemptIO, p string, unknown error) (string, error) {
	defs := t.component.spec.GetInputDefinitions()
	if name, ok := strings.CutPrefix(p, "parameters"); ok {
		key, rest, err := subscript(name)
		if err != nil || rest != "" || defs.GetParameters()[key] == nil {
			return "", unknown
		}
		return text(in.params[key]), nil
	}
	name, ok := strings.CutPrefix(p, "artifacts")
	if !ok {
		return "", unknown
	}
	key, rest, err := subscript(name)
	if err != nil || defs.GetArtifacts()[key] == nil {
		return "", unknown
	}
	if len(in.arts[key]) == 0 {
		return "", nil
	}
	return artifactPart(in.arts[key][0], rest, files, unknown)
}

func lookupOutput(files *attemptIO, p string, unknown error) (string, error) {
	if name, ok := strings.CutPrefix(p, "parameters"); ok {
		key, rest, err := subscript(name)
		if param := files.input.Outputs.Parameters[key]; err == nil && rest == ".output_file" && param != nil {
			return files.local(param.OutputFile), nil
		}
		return "", unknown
	}
	name, ok := strings.CutPrefix(p, "artifacts")
	if !ok {
		return "", unknown
	}
	key, rest, err := subscript(name)
	list := files.input.Outputs.Artifacts[key].GetArtifacts()
	if err != nil || len(list) == 0 {
		return "", unknown
	}
	return artifactPart(list[0], rest, files, unknown)
}

// artifactPart is .uri, .path, .name, .metadata or .metadata['key'] of an artifact.
func artifactPart(a *pipelinespec.RuntimeArtifact, part string, files *attemptIO, unknown error) (string, error) {
	switch part {
	case ".uri":
		return a.Uri, nil
	case ".name":
		return a.Name, nil
	case ".metadata":
		return toJSON(a.GetMetadata().AsMap()), nil
	case ".path":
		if files == nil {
			return "", unknown
		}
		return files.local(gcsPath(a.Uri)), nil
	}
	if name, ok := strings.CutPrefix(part, ".metadata"); ok {
		if key, rest, err := subscript(name); err == nil && rest == "" {
			return text(a.GetMetadata().GetFields()[key]), nil
		}
	}
	return "", unknown
}

// arguments expands the elements of a command or argument list. An element that is a JSON object with the one key Concat
// or IfPresent is taken apart first; the text of values never is.
func arguments(list []string, in *values, lookup func(string) (string, error)) ([]string, error) {
	var out []string
	for _, element := range list {
		v, err := parseJSON([]byte(element))
		if err != nil || !structural(v) {
			v = structpb.NewStringValue(element)
		}
		more, err := flatten(v, in, lookup)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func structural(v *structpb.Value) bool {
	f := v.GetStructValue().GetFields()
	return len(f) == 1 && (f["Concat"] != nil || f["IfPresent"] != nil)
}

// ifPresent is the object below the key of that name.
type ifPresent struct {
	InputName  string
	Then, Else any
}

func flatten(v *structpb.Value, in *values, lookup func(string) (string, error)) ([]string, error) {
	if l := v.GetListValue(); l != nil {
		var out []string
		for _, item := range l.Values {
			more, err := flatten(item, in, lookup)
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		return out, nil
	}
	if !structural(v) {
		s, err := expand(text(v), lookup)
		return []string{s}, err
	}
	f := v.GetStructValue().GetFields()
	if c := f["Concat"]; c != nil {
		parts, err := flatten(c, in, lookup)
		return []string{strings.Join(parts, "")}, err
	}
	var cond ifPresent
	if err := json.Unmarshal([]byte(toJSON(f["IfPresent"].AsInterface())), &cond); err != nil || cond.InputName == "" {
		return nil, fmt.Errorf("IfPresent wants InputName, Then and Else, got %s", shorten(text(f["IfPresent"]), 80))
	}
	branch := cond.Else
	if in.params[cond.InputName] != nil || len(in.arts[cond.InputName]) > 0 {
		branch = cond.Then
	}
	if branch == nil {
		return nil, nil
	}
	b, err := structpb.NewValue(branch)
	if err != nil {
		return nil, err
	}
	return flatten(b, in, lookup)
}
