package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
)

// callsAtOnce bounds the calls that publish has open.
const callsAtOnce = 16

// publish puts a scored run into the outbox.
func (t *task) publish(ctx context.Context) (outputs, error) {
	p, err := t.dataInput()
	if err != nil {
		return nil, err
	}
	if err := t.in.need(batchscore.ParamOutbox); err != nil {
		return nil, err
	}
	var count float64 // an integer, however the platform prints it
	if err := t.in.value(batchscore.ParamCount, &count); err != nil {
		return nil, err
	}
	p.shards = int(count)
	return nil, t.settle(ctx, t.publishRun(ctx, p))
}

// outcome is a run before it is published: the plan, and a checked result for each of its shards.
type outcome struct {
	plan                   *runPlan
	results                []*shardResult
	rows, scored, rejected int64
	causes                 []causeCount
}

func (t *task) publishRun(ctx context.Context, p *planInput) error {
	if ended, err := t.store.readJSON(ctx, p.staging, batch.VerdictObject(p.run), &batch.Verdict{}); err != nil || ended {
		return err
	}
	begin := t.now()
	o, err := t.collect(ctx, p)
	if err != nil {
		return err
	}
	rejects, err := t.joinRejects(ctx, p, o)
	if err != nil {
		return err
	}
	if !o.plan.MaxRejected.Allows(o.rejected, o.rows) {
		t.logRejects(ctx, p, o)
		return tooManyRejected(p, o)
	}
	summary, err := t.writeSummary(ctx, p, o)
	if err != nil {
		return err
	}
	objects, err := t.copyAll(ctx, p, o, rejects, summary)
	if err != nil {
		return err
	}
	if err := t.commit(ctx, p, o, objects); err != nil {
		return err
	}
	if o.rejected > 0 {
		t.logRejects(ctx, p, o)
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "published", slog.String("run_id", p.run), slog.String("model", p.model), slog.String("version", o.plan.Version),
		slog.Int64("rows", o.rows), slog.Int64("scored", o.scored), slog.Int64("rejected", o.rejected), slog.Int64("ms", t.now().Sub(begin).Milliseconds()))
	return nil
}

// logRejects writes the line that the alert on rejected rows rests on. A run whose output stays in staging is the trial of a
// candidate, which package batch marks in the same way.
func (t *task) logRejects(ctx context.Context, p *planInput, o *outcome) {
	attrs := []slog.Attr{slog.String("event", "row_rejects"), slog.String("run_id", p.run), slog.String("model", p.model),
		slog.String("version", o.plan.Version), slog.Int64("rows", o.rows), slog.Int64("rejected", o.rejected), slog.String("reason", worst(o)),
		slog.Bool("over_limit", !o.plan.MaxRejected.Allows(o.rejected, o.rows))}
	if p.outbox == p.staging {
		attrs = append(attrs, slog.Bool("candidate", true))
	}
	t.log.LogAttrs(ctx, slog.LevelWarn, "rows were rejected", attrs...)
}

func worst(o *outcome) string {
	if len(o.causes) == 0 {
		return ""
	}
	c := o.causes[0]
	if c.Column == "" {
		return fmt.Sprintf("%d could not be split into fields", c.Rows)
	}
	return fmt.Sprintf("%d for column %q: %s", c.Rows, c.Column, c.Code)
}

func tooManyRejected(p *planInput, o *outcome) error {
	return &verdict{state: stateFailed, reason: fmt.Sprintf("%d of %d rows were rejected, batch.max_rejected allows %s; most often: %s; all of them with reasons: gs://%s/%s",
		o.rejected, o.rows, o.plan.MaxRejected, worst(o), p.staging, rejectsObject(p.run))}
}

// collect reads the plan and the result of each of its shards, and checks that every file of theirs is what the result
// says and that every row that plan counted is accounted for.
func (t *task) collect(ctx context.Context, p *planInput) (*outcome, error) {
	o := &outcome{plan: &runPlan{}}
	found, err := t.store.readJSON(ctx, p.staging, planObject(p.run), o.plan)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fault.New(fault.NotFound, nil, "gs://%s/%s is not there: plan has not ended", p.staging, planObject(p.run))
	case o.plan.RunID != p.run || o.plan.FolderDigest != p.folderDigest || p.shards > 0 && p.shards != len(o.plan.Shards):
		return nil, otherContent(p.staging, planObject(p.run))
	}
	files, err := t.listFiles(ctx, p)
	if err != nil {
		return nil, err
	}
	o.results = make([]*shardResult, len(o.plan.Shards))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(callsAtOnce)
	for i := range o.plan.Shards {
		g.Go(func() error {
			r := &shardResult{}
			name := shardName(p.run, p.folderDigest, &o.plan.Shards[i]) + ".json"
			found, err := t.store.readJSON(gctx, p.staging, name, r)
			if err == nil && !found {
				err = fault.New(fault.NotFound, nil, "gs://%s/%s is not there: the shard is not scored", p.staging, name)
			}
			o.results[i] = r
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return o, o.check(p, files)
}

// listFiles gives what there is of the run in staging, by name.
func (t *task) listFiles(ctx context.Context, p *planInput) (map[string]batch.Object, error) {
	ctx, watch := newWatch(ctx, t.store.stall)
	defer watch.close(ctx, nil) //nolint:errcheck // there is no error to turn
	q := &storage.Query{Prefix: p.run + "/"}
	if err := q.SetAttrSelection([]string{"Name", "Size", "CRC32C"}); err != nil {
		return nil, fmt.Errorf("list gs://%s/%s: %w", p.staging, q.Prefix, err)
	}
	files := map[string]batch.Object{}
	it := t.store.client.Bucket(p.staging).Objects(ctx, q)
	for {
		watch.begin()
		a, err := it.Next()
		watch.end()
		if errors.Is(err, iterator.Done) {
			return files, nil
		}
		if err != nil {
			return nil, storageFault(err, "list gs://%s/%s", p.staging, q.Prefix)
		}
		files[a.Name] = batch.Object{Name: a.Name, CRC32C: a.CRC32C, Size: a.Size}
	}
}

// check compares plan, results and files, and adds the results up.
func (o *outcome) check(p *planInput, files map[string]batch.Object) error {
	causes := map[cause]int64{}
	for i, r := range o.results {
		want := &o.plan.Shards[i]
		switch {
		case r.RunID != p.run || r.FolderDigest != p.folderDigest || r.Shard.Index != want.Index || r.Shard.Offset != want.Offset || r.Shard.Length != want.Length:
			return fault.New(fault.Conflict, nil, "the result of shard %d is of another run or plan", i)
		case r.Rows != want.Rows || r.Scored+r.Rejected != r.Rows:
			return fault.New(fault.Conflict, nil, "shard %d: %d scored and %d rejected of %d rows, the plan counted %d", i, r.Scored, r.Rejected, r.Rows, want.Rows)
		case files[r.Predictions.Name] != r.Predictions:
			return fault.New(fault.Conflict, nil, "gs://%s/%s is not what shard %d wrote", p.staging, r.Predictions.Name, i)
		case (r.Rejects != nil) != (r.Rejected > 0) || r.Rejects != nil && files[r.Rejects.Name] != *r.Rejects:
			return fault.New(fault.Conflict, nil, "the rejected rows of shard %d are not what it wrote", i)
		}
		o.rows, o.scored, o.rejected = o.rows+r.Rows, o.scored+r.Scored, o.rejected+r.Rejected
		for _, c := range r.Causes {
			causes[cause{c.Column, c.Code}] += c.Rows
		}
	}
	o.causes = countCauses(causes)
	if o.rows != o.plan.Rows {
		return fault.New(fault.Conflict, nil, "the shards have %d rows, the plan counted %d", o.rows, o.plan.Rows)
	}
	return nil
}

func rejectsObject(run string) string { return run + "/rejected_rows.csv" }

// joinRejects puts the rejected rows of all shards under one header. There is always such a file, so that nobody has to
// ask why there is none.
func (t *task) joinRejects(ctx context.Context, p *planInput, o *outcome) (batch.Object, error) {
	line, err := headerLine(rejectColumns)
	if err != nil {
		return batch.Object{}, err
	}
	w := t.store.write(ctx, p.staging, rejectsObject(p.run), csvType)
	_, err = w.Write(line)
	for _, r := range o.results {
		if r.Rejects != nil && err == nil {
			err = t.appendObject(ctx, w, p.staging, r.Rejects.Name)
		}
	}
	if err != nil {
		w.abort()
		return batch.Object{}, err
	}
	return w.Close()
}

func (t *task) appendObject(ctx context.Context, w io.Writer, bucket, name string) error {
	r, err := t.store.read(ctx, bucket, name, -1, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

// copyAll copies everything but _SUCCESS.json into the outbox.
func (t *task) copyAll(ctx context.Context, p *planInput, o *outcome, rejects, summary batch.Object) ([]batch.Object, error) {
	prefix := batch.OutputPrefix(p.model, p.run)
	objects := make([]batch.Object, len(o.results)+2)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(callsAtOnce)
	to := func(i int, name string, from batch.Object) {
		g.Go(func() (err error) {
			objects[i], err = t.store.copyOnce(gctx, p.staging, p.outbox, prefix+name, from)
			return err
		})
	}
	for i, r := range o.results {
		to(i, fmt.Sprintf("predictions-%05d-of-%05d.csv", i, len(o.results)), r.Predictions)
	}
	to(len(o.results), "rejected_rows.csv", rejects)
	to(len(o.results)+1, "summary.json", summary)
	return objects, g.Wait()
}

// commit writes _SUCCESS.json, which makes all the rest count. One of the same run and digest that is there already is
// ours, or that of a twin who did the same work.
func (t *task) commit(ctx context.Context, p *planInput, o *outcome, objects []batch.Object) error {
	name := batch.SuccessObject(p.model, p.run)
	s := &batch.Success{RunID: p.run, Model: p.model, Version: o.plan.Version, Digest: o.plan.Digest, Rows: o.rows, Scored: o.scored,
		Rejected: o.rejected, Objects: objects, Finished: t.now().UTC()}
	there, err := ensureJSON(ctx, t.store, p.outbox, name, s)
	if err != nil {
		return err
	}
	if there.RunID != s.RunID || there.Digest != s.Digest {
		return otherContent(p.outbox, name)
	}
	return nil
}
