package batchscore

import (
	"time"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// Entrypoint is where the step binary lies in its image: ko names it after the last element of cmd/step.
const Entrypoint = "/ko-app/step"

// Publishing and closing a run copy and count; they need little whatever the model needs.
const (
	smallCPU    = 1
	smallMemory = 2 // GB
)

// retry is for what passes by itself: a preempted machine, storage that does not answer. What cannot pass is a verdict, not
// a failure.
var retry = pipeline.Retry{Count: 3, Backoff: 5 * time.Second, Factor: 2, Longest: time.Minute}

// graph is the parts of one Build.
type graph struct {
	b      *pipeline.Builder
	image  string
	params map[string]*pipeline.Value
}

// Build compiles the pipeline of a batch model. image is the step container, by digest in production. Of the manifest only
// the name, the machine and the parallelism go into the spec; the rest is read by the steps from the model folder.
func Build(m *manifest.Manifest, image string) (*pipelinespec.PipelineSpec, error) {
	if m == nil || m.Batch == nil {
		return nil, fault.New(fault.Invalid, nil, "batchscore: the manifest has no batch block")
	}
	if image == "" {
		return nil, fault.New(fault.Invalid, nil, "batchscore: model %s: there is no step image", m.Name)
	}
	g := &graph{b: pipeline.New("batchscore-"+m.Name, "Scores a dataset with the model "+m.Name+"."), image: image}
	g.declare()
	machine := pipeline.Container{CPU: m.Batch.Machine.CPU, Memory: float64(m.Batch.Machine.Memory) / 1e9}
	small := pipeline.Container{CPU: smallCPU, Memory: smallMemory}

	work := g.b.Root().Group(TaskWork)
	plan := work.Task(TaskPlan, g.step(StepPlan, machine), g.inputs(nil, ParamOutbox, ParamDataset, ParamSpecDigest, ParamImage, ParamCommit)).Retry(retry)
	mode, shards := plan.Parameter(OutMode, pipeline.String), plan.Parameter(OutShards, pipeline.List)
	count, header := plan.Parameter(OutCount, pipeline.Integer), plan.Parameter(OutHeader, pipeline.List)

	sharded := work.When(TaskSharded, "inputs.parameter_values['"+OutMode+"'] == '"+ModeSharded+"'", pipeline.Inputs{OutMode: mode})
	loop := sharded.ForEach(TaskScoreShards, shards, ParamShard, pipeline.Struct, m.Batch.Parallelism)
	loop.Task(TaskScore, g.step(StepScore, machine), g.inputs(pipeline.Inputs{ParamShard: loop.Item(), ParamHeader: header})).Retry(retry)
	sharded.Task(TaskPublish, g.step(StepPublish, small),
		g.inputs(pipeline.Inputs{ParamCount: count}, ParamOutbox, ParamSpecDigest, ParamImage, ParamCommit)).Retry(retry).After(loop.AsTask())

	g.b.Root().Exit(TaskFinish, work, ParamStatus, g.step(StepFinish, small), g.only(ParamRunID, ParamModel, ParamKey,
		ParamProject, ParamRegion, ParamDatabase, ParamStaging, ParamOutbox)).Retry(retry)
	return g.b.Spec()
}

func (g *graph) declare() {
	g.params = map[string]*pipeline.Value{}
	for _, name := range []string{ParamRunID, ParamModel, ParamKey, ParamProject, ParamRegion, ParamDatabase, ParamStaging,
		ParamOutbox, ParamModelURI, ParamModelDigest} {
		g.params[name] = g.b.Parameter(name, pipeline.String)
	}
	g.params[ParamDataset] = g.b.Parameter(ParamDataset, pipeline.Struct)
	for name, def := range map[string]string{ParamSpecDigest: "", ParamCommit: "", ParamImage: g.image} {
		g.params[name] = g.b.Optional(name, pipeline.String, def)
	}
}

// step is a container that runs one subcommand of the step binary.
func (g *graph) step(subcommand string, c pipeline.Container) pipeline.Container {
	c.Image, c.Command = g.image, []string{Entrypoint}
	c.Args = []string{subcommand, FlagExecutorInput, "{{$}}"}
	return c
}

// inputs are those that every step that touches data takes, and more.
func (g *graph) inputs(own pipeline.Inputs, more ...string) pipeline.Inputs {
	in := g.only(append(more, ParamRunID, ParamModel, ParamProject, ParamStaging, ParamModelURI, ParamModelDigest)...)
	for name, v := range own {
		in[name] = v
	}
	return in
}

func (g *graph) only(names ...string) pipeline.Inputs {
	in := pipeline.Inputs{}
	for _, name := range names {
		in[name] = g.params[name]
	}
	return in
}
