package batch

import (
	"context"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// vertexTimeout is the deadline of one read from Vertex.
const vertexTimeout = 5 * time.Second

// jobName is the resource name of a run's job.
func jobName(project, region, runID string) string {
	return "projects/" + project + "/locations/" + region + "/pipelineJobs/" + runID
}

func jobState(job *aiplatformpb.PipelineJob) string {
	return strings.TrimPrefix(job.GetState().String(), "PIPELINE_STATE_")
}

// job reads a run's job, nil if Vertex has none.
func (b *Batch) job(ctx context.Context, run *ledger.Run) (*aiplatformpb.PipelineJob, error) {
	ctx, cancel := context.WithTimeout(ctx, vertexTimeout)
	defer cancel()
	name := run.Job
	if name == "" {
		name = jobName(b.cfg.Project, b.cfg.Region, run.ID)
	}
	job, err := b.pipelines.GetPipelineJob(ctx, &aiplatformpb.GetPipelineJobRequest{Name: name})
	switch status.Code(err) {
	case codes.OK:
		return job, nil
	case codes.NotFound:
		return nil, nil
	case codes.PermissionDenied, codes.InvalidArgument:
		return nil, fault.New(fault.Forbidden, err, "Vertex refuses to show the job %s", run.ID)
	}
	return nil, fault.New(fault.Unavailable, err, "Vertex does not answer")
}

// spec reads the pipeline that the run was claimed with and proves that it is the one. Only what will be wrong next time too
// is an error that may not be tried again.
func (b *Batch) spec(ctx context.Context, run *ledger.Run) ([]byte, error) {
	if run.Release.Spec == "" && run.Trial() {
		return nil, fault.New(fault.NotFound, nil, "the candidate %.300s cannot be read any more", run.Trigger.Candidate)
	}
	if run.Release.Spec == "" {
		return nil, fault.New(fault.NotFound, nil, "the model %s is not released", run.Model)
	}
	if !strings.HasPrefix(run.Release.Spec, "gs://"+b.cfg.Artifacts+"/") {
		return nil, fault.New(fault.Invalid, nil, "%.200q is not in the bucket %q", run.Release.Spec, b.cfg.Artifacts)
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	data, err := pipeline.ReadSpec(ctx, b.storage, run.Release.Spec, run.Release.SpecDigest)
	if err != nil && !forGood(err) {
		return nil, fault.New(fault.Unavailable, err, "the released pipeline cannot be read")
	}
	return data, err
}

// send submits the run's job: its id, its release, nothing that depends on when or by whom.
func (b *Batch) send(ctx context.Context, run *ledger.Run, spec []byte) (pipeline.Outcome, error) {
	params, err := b.parameters(run, spec)
	if err != nil {
		return pipeline.Refused, err
	}
	return pipeline.Submit(ctx, b.pipelines, pipeline.Job{
		Project: b.cfg.Project, Region: b.cfg.Region, ID: run.ID, Spec: spec, Parameters: params, Labels: labels(run),
		OutputDir: "gs://" + b.cfg.Staging + "/" + run.ID + "/pipeline", ServiceAccount: b.cfg.ServiceAccount,
	})
}

// parameters are what was released, and what every run is given where its pipeline declares it.
func (b *Batch) parameters(run *ledger.Run, data []byte) (map[string]any, error) {
	spec, err := pipeline.Decode(run.Release.Spec, data)
	if err != nil {
		return nil, err
	}
	params, err := run.Release.Values()
	if err != nil {
		return nil, fmt.Errorf("parameters of run %s: %w", run.ID, err)
	}
	declared := pipeline.Parameters(spec)
	for name, value := range map[string]any{
		"run_id": run.ID, "model": run.Model, "key": run.Key,
		"project": b.cfg.Project, "region": b.cfg.Region, "database": b.cfg.Database,
		"staging": b.cfg.Staging, "outbox": b.outboxOf(run),
		"model_uri": run.Release.Folder, "model_digest": run.Release.FolderDigest,
		"dataset": run.Dataset,
	} {
		if _, ok := declared[name]; ok {
			params[name] = value
		}
	}
	return params, nil
}
