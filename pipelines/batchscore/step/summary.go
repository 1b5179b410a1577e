package step

import (
	"context"
	"time"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
)

// summary is summary.json: what a run did, out of what, how long it took.
type summary struct {
	RunID       string       `json:"run_id"`
	Model       string       `json:"model"`
	Version     string       `json:"version"`
	Rows        int64        `json:"rows"`
	Scored      int64        `json:"scored"`
	Rejected    int64        `json:"rejected"`
	MaxRejected string       `json:"max_rejected"`
	RejectedBy  []causeCount `json:"rejected_by,omitempty"`
	Shards      int          `json:"shards"`
	Lineage     lineage      `json:"lineage"`
	Timings     timings      `json:"timings"`
}

// lineage is everything that the predictions follow from.
type lineage struct {
	Input          []inputObject `json:"input"`
	Ignored        []string      `json:"ignored,omitempty"`
	ArtifactDigest string        `json:"artifact_digest"`
	Folder         string        `json:"folder"`
	FolderDigest   string        `json:"folder_digest"`
	SpecDigest     string        `json:"spec_digest"`
	Image          string        `json:"image"`
	Commit         string        `json:"commit"`
}

// inputObject is one file of the dataset. Rows of the dataset are numbered from its FirstRow on.
type inputObject struct {
	Object     string `json:"object"`
	Generation int64  `json:"generation,string"`
	Size       int64  `json:"size"`
	CRC32C     uint32 `json:"crc32c"`
	FirstRow   int64  `json:"first_row"`
	Rows       int64  `json:"rows"`
}

type timings struct {
	Started   time.Time `json:"started"`  // of the plan step
	Finished  time.Time `json:"finished"` // before the copies to the outbox
	Planning  int64     `json:"plan_ms"`
	Scoring   int64     `json:"score_ms"`         // sum over the shards
	Slowest   int64     `json:"slowest_shard_ms"` // of these
	WallClock int64     `json:"wall_ms"`
}

func summaryObject(run string) string { return run + "/summary.json" }

// writeSummary writes summary.json to staging, once: it tells times, so a later try would write another one.
func (t *task) writeSummary(ctx context.Context, p *planInput, o *outcome) (batch.Object, error) {
	name := summaryObject(p.run)
	s, err := ensureJSON(ctx, t.store, p.staging, name, t.summarize(p, o))
	if err != nil {
		return batch.Object{}, err
	}
	if s.RunID != p.run || s.Lineage.FolderDigest != p.folderDigest || s.Rows != o.rows || s.Rejected != o.rejected {
		return batch.Object{}, otherContent(p.staging, name)
	}
	a, err := t.store.attrs(ctx, p.staging, name, 0)
	if err != nil {
		return batch.Object{}, err
	}
	return batch.Object{Name: name, CRC32C: a.CRC32C, Size: a.Size}, nil
}

func (t *task) summarize(p *planInput, o *outcome) *summary {
	plan := o.plan
	now := t.now().UTC()
	s := &summary{RunID: p.run, Model: p.model, Version: plan.Version, Rows: o.rows, Scored: o.scored, Rejected: o.rejected,
		MaxRejected: plan.MaxRejected.String(), RejectedBy: o.causes, Shards: len(plan.Shards),
		Lineage: lineage{Ignored: plan.Dataset.Ignored, ArtifactDigest: plan.Digest, Folder: plan.Folder, FolderDigest: plan.FolderDigest,
			SpecDigest: t.in.text(batchscore.ParamSpecDigest), Image: t.in.text(batchscore.ParamImage), Commit: t.in.text(batchscore.ParamCommit)},
		Timings: timings{Started: plan.Started, Finished: now, Planning: plan.PlanMillis, WallClock: now.Sub(plan.Started).Milliseconds()}}
	files := map[string]int{}
	for _, d := range plan.Dataset.Objects {
		files[d.Name] = len(s.Lineage.Input)
		s.Lineage.Input = append(s.Lineage.Input, inputObject{Object: "gs://" + plan.Dataset.Bucket + "/" + d.Name, Generation: d.Generation, Size: d.Size, CRC32C: d.CRC32C})
	}
	for i, r := range o.results {
		in := &s.Lineage.Input[files[plan.Shards[i].Object]]
		if in.Rows == 0 {
			in.FirstRow = plan.Shards[i].FirstRow
		}
		in.Rows += r.Rows
		s.Timings.Scoring += r.Millis
		s.Timings.Slowest = max(s.Timings.Slowest, r.Millis)
	}
	return s
}
