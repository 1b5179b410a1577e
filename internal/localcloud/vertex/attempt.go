package vertex

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// paths are the places of one attempt: its folder, with gcs/ in it standing for /gcs/.
type paths struct{ root, gcs, tmp, log string }

// jobFolder is where all tasks of a job have their folders.
func jobFolder(dir string, n jobName) string { return filepath.Join(dir, n.project, n.location, n.id) }

func attemptFolder(dir string, n jobName, taskID int64, attempt int) paths {
	root := filepath.Join(jobFolder(dir, n), strconv.FormatInt(taskID, 10), strconv.Itoa(attempt))
	return paths{root: root, gcs: filepath.Join(root, "gcs"), tmp: filepath.Join(root, "tmp"), log: filepath.Join(root, "log")}
}

// id is the number of a task as resource names and paths write it.
func (rec *record) id() string { return strconv.FormatInt(rec.detail.TaskId, 10) }

// jobUUID is a number of a job that stays the same.
func jobUUID(name string) int64 {
	sum := sha256.Sum256([]byte(name))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 1)
}

// gcsPath is where Cloud Storage FUSE shows an object.
func gcsPath(uri string) string {
	if rest, ok := strings.CutPrefix(uri, "gs://"); ok {
		return "/gcs/" + rest
	}
	return uri
}

// attemptIO is what one attempt reads and writes, as Vertex would say it: paths begin with /gcs/.
type attemptIO struct {
	paths
	input *pipelinespec.ExecutorInput
}

// newIO lays out the inputs and outputs of an attempt. Every attempt has output paths of its own.
func (r *run) newIO(t *task, rec *record, in *values) *attemptIO {
	folder := rec.id()
	if rec.attempt > 1 {
		folder += "-" + strconv.Itoa(rec.attempt)
	}
	base := strings.TrimRight(r.job.GetRuntimeConfig().GetGcsOutputDirectory(), "/") + "/" + r.name.id + "/" + folder + "/"
	out := &pipelinespec.ExecutorInput_Outputs{
		Parameters: map[string]*pipelinespec.ExecutorInput_OutputParameter{},
		Artifacts:  map[string]*pipelinespec.ArtifactList{},
		OutputFile: gcsPath(base + "executor_output.json"),
	}
	defs := t.component.spec.GetOutputDefinitions()
	for k := range defs.GetParameters() {
		out.Parameters[k] = &pipelinespec.ExecutorInput_OutputParameter{OutputFile: gcsPath(base + k)}
	}
	for k, a := range defs.GetArtifacts() {
		out.Artifacts[k] = &pipelinespec.ArtifactList{Artifacts: []*pipelinespec.RuntimeArtifact{
			{Name: r.artifactName(rec, k), Uri: base + k, Type: a.ArtifactType, Metadata: a.Metadata},
		}}
	}
	return &attemptIO{
		paths: attemptFolder(r.s.dir, r.name, rec.detail.TaskId, rec.attempt),
		input: &pipelinespec.ExecutorInput{Inputs: &pipelinespec.ExecutorInput_Inputs{ParameterValues: in.params, Artifacts: in.lists()}, Outputs: out},
	}
}

// makeFolder empties the folder: an attempt that a kill cut off begins anew.
func (io *attemptIO) makeFolder() error {
	if err := os.RemoveAll(io.root); err != nil {
		return fmt.Errorf("empty the task folder: %w", err)
	}
	for _, d := range []string{io.gcs, io.tmp} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make the task folder: %w", err)
		}
	}
	return nil
}

// clean removes all but the log.
func (io *attemptIO) clean() error {
	if err := os.RemoveAll(io.gcs); err != nil {
		return err
	}
	return os.RemoveAll(io.tmp)
}

// local is a path as the process gets it: there is no mount, so /gcs/ lies in the task folder.
func (io *attemptIO) local(p string) string {
	if strings.HasPrefix(p, "/gcs/") {
		return io.root + p
	}
	return p
}

// argument is local for a command-line argument or a variable's value, where a path may also follow a flag's "=".
func (io *attemptIO) argument(a string) string {
	if flag, value, ok := strings.Cut(a, "="); ok && strings.HasPrefix(value, "/gcs/") && !strings.ContainsAny(flag, `{"' `) {
		return flag + "=" + io.local(value)
	}
	return io.local(a)
}

// json is the executor input as the process gets it, which is what {{$}} stands for.
func (io *attemptIO) json() (string, error) {
	data, err := protojson.Marshal(io.input)
	if err != nil {
		return "", fmt.Errorf("executor input: %w", err)
	}
	v, err := parseJSON(data)
	if err != nil {
		return "", fmt.Errorf("executor input: %w", err)
	}
	mapped, err := mapStrings(v, func(s string) (string, error) { return io.local(s), nil })
	if err != nil {
		return "", err
	}
	return toJSON(mapped.AsInterface()), nil
}

// outputLimit bounds a file that a step gives values back in.
const outputLimit = 16 << 20

func readOutput(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > outputLimit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that values may have", path, info.Size(), outputLimit)
	}
	return os.ReadFile(path)
}

// collect reads what the process gave back. executor_output.json wins over single files, key by key; a declared
// parameter that neither has is an error.
func (io *attemptIO) collect(defs *pipelinespec.ComponentOutputsSpec) (*values, error) {
	got := &pipelinespec.ExecutorOutput{}
	data, err := readOutput(io.local(io.input.Outputs.OutputFile))
	switch {
	case os.IsNotExist(err):
	case err != nil:
		return nil, err
	default:
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, got); err != nil {
			return nil, fmt.Errorf("executor_output.json: %w", err)
		}
	}
	out := newValues()
	for k, d := range defs.GetParameters() {
		v := got.ParameterValues[k]
		if v == nil {
			if v, err = io.single(k, d.ParameterType); err != nil {
				return nil, err
			}
		}
		if err := checkType(v, d.ParameterType); err != nil {
			return nil, fmt.Errorf("output parameter %s: %w", k, err)
		}
		out.params[k] = v
	}
	for k, d := range defs.GetArtifacts() {
		given := io.input.Outputs.Artifacts[k].Artifacts
		arts, err := mergeArtifacts(k, given, got.Artifacts[k].GetArtifacts(), d.IsArtifactList)
		if err != nil {
			return nil, err
		}
		out.arts[k] = arts
	}
	return out, nil
}

// single reads a parameter's own file: text as it is for STRING, JSON for the rest.
func (io *attemptIO) single(key string, t pipelinespec.ParameterType_ParameterTypeEnum) (*structpb.Value, error) {
	data, err := readOutput(io.local(io.input.Outputs.Parameters[key].OutputFile))
	if os.IsNotExist(err) {
		return nil, fmt.Errorf("output parameter %s was not written, neither to executor_output.json nor to its own file", key)
	}
	if err != nil {
		return nil, fmt.Errorf("output parameter %s: %w", key, err)
	}
	if t == typeString {
		return structpb.NewStringValue(string(data)), nil
	}
	v, err := parseJSON(data)
	if err != nil {
		return nil, fmt.Errorf("output parameter %s: %s is no JSON: %w", key, shorten(string(data), 60), err)
	}
	return v, nil
}

// mergeArtifacts lays what the process says of an output over what it was given. The name of an artifact is its identity
// in the metadata store: Vertex wants it unchanged.
func mergeArtifacts(key string, given, said []*pipelinespec.RuntimeArtifact, isList bool) ([]*pipelinespec.RuntimeArtifact, error) {
	if len(said) == 0 {
		return given, nil
	}
	if len(said) > 1 && !isList {
		return nil, fmt.Errorf("output artifact %s: executor_output.json has %d, it is declared as one", key, len(said))
	}
	for i, a := range said {
		if !isList && a.Name != "" && a.Name != given[0].Name {
			return nil, fmt.Errorf("output artifact %s: executor_output.json changes its name from %q to %q", key, given[0].Name, a.Name)
		}
		if a.Name == "" {
			a.Name = given[0].Name
			if i > 0 {
				a.Name += "-" + strconv.Itoa(i)
			}
		}
		if a.Uri == "" {
			a.Uri = given[0].Uri
		}
		if a.Type == nil {
			a.Type = given[0].Type
		}
		if a.Metadata == nil {
			a.Metadata = given[0].Metadata
		}
	}
	return said, nil
}
