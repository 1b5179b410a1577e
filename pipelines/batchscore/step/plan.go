package step

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// planInput is what every task about data takes.
type planInput struct {
	run, model, staging, outbox string
	folder, folderDigest        string
	dataset                     batch.Dataset // plan only
	shards                      int           // publish only: how many the loop had
}

// runPlan is plan.json: how a run's dataset is cut, and all that publish needs to judge the outcome.
type runPlan struct {
	RunID        string             `json:"run_id"`
	Model        string             `json:"model"`
	Version      string             `json:"version"`
	Digest       string             `json:"digest"` // of the artifact
	Folder       string             `json:"folder"`
	FolderDigest string             `json:"folder_digest"`
	MaxRejected  manifest.Rejects   `json:"max_rejected"`
	Delimiter    string             `json:"delimiter"`
	Header       []string           `json:"header"` // of the dataset's files; a shard of another one brings its own
	Dataset      *dataset           `json:"dataset"`
	Rows         int64              `json:"rows"`
	Shards       []batchscore.Shard `json:"shards"`
	Started      time.Time          `json:"started"`
	PlanMillis   int64              `json:"plan_ms"`
}

func planObject(run string) string { return run + "/plan.json" }

// maxShards keeps lists of shards within what platforms take as one parameter; larger datasets get larger shards.
const maxShards = 1000

func (t *task) dataInput() (*planInput, error) {
	in := t.in
	if err := in.need(batchscore.ParamRunID, batchscore.ParamModel, batchscore.ParamStaging, batchscore.ParamModelURI, batchscore.ParamModelDigest); err != nil {
		return nil, err
	}
	return &planInput{run: in.text(batchscore.ParamRunID), model: in.text(batchscore.ParamModel),
		staging: in.text(batchscore.ParamStaging), outbox: in.text(batchscore.ParamOutbox),
		folder: in.text(batchscore.ParamModelURI), folderDigest: in.text(batchscore.ParamModelDigest)}, nil
}

// plan cuts the dataset into shards. A small one it scores and publishes itself: starting a task costs more than that.
func (t *task) plan(ctx context.Context) (outputs, error) {
	p, err := t.dataInput()
	if err != nil {
		return nil, err
	}
	if err := t.in.need(batchscore.ParamOutbox); err != nil {
		return nil, err
	}
	if err := t.in.value(batchscore.ParamDataset, &p.dataset); err != nil {
		return nil, err
	}
	done := outputs{batchscore.OutMode: batchscore.ModeDone, batchscore.OutShards: []any{}, batchscore.OutCount: 0, batchscore.OutHeader: []string{}}
	if settled, err := t.settled(ctx, p); err != nil || settled {
		return done, err
	}
	out, err := t.planData(ctx, p)
	if err != nil {
		return done, t.settle(ctx, err)
	}
	if out == nil {
		return done, nil
	}
	return out, nil
}

// settled says whether an earlier try has written the run's end.
func (t *task) settled(ctx context.Context, p *planInput) (bool, error) {
	var success batch.Success
	if found, err := t.store.readJSON(ctx, p.outbox, batch.SuccessObject(p.model, p.run), &success); err != nil || found {
		return found, err
	}
	return t.store.readJSON(ctx, p.staging, batch.VerdictObject(p.run), &batch.Verdict{})
}

// planData answers nil outputs after it has published by itself.
func (t *task) planData(ctx context.Context, p *planInput) (outputs, error) {
	begin := t.now()
	m, err := t.openModel(ctx, p)
	if err != nil {
		return nil, err
	}
	d, err := t.resolve(ctx, p)
	if err != nil {
		return nil, err
	}
	plan := &runPlan{RunID: p.run, Model: p.model, Version: m.Manifest().Version, Digest: m.Digest(), Folder: p.folder, FolderDigest: p.folderDigest,
		MaxRejected: m.Manifest().Batch.MaxRejected, Delimiter: m.Manifest().Batch.Delimiter, Dataset: d, Started: begin.UTC()}
	if err := t.cut(ctx, m, plan); err != nil {
		return nil, err
	}
	plan.PlanMillis = t.now().Sub(begin).Milliseconds()
	if plan, err = ensureJSON(ctx, t.store, p.staging, planObject(p.run), plan); err != nil {
		return nil, err
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "planned", slog.String("run_id", p.run), slog.String("model", p.model), slog.String("version", plan.Version),
		slog.Int64("rows", plan.Rows), slog.Int64("bytes", d.bytes()), slog.Int("shards", len(plan.Shards)), slog.Int64("ms", plan.PlanMillis))
	if d.bytes() > int64(m.Manifest().Batch.SmallBytes) {
		return shardOutputs(plan)
	}
	for _, shard := range plan.Shards {
		if err := t.scoreShard(ctx, p, m, plan.Header, shard); err != nil {
			return nil, err
		}
	}
	return nil, t.publishRun(ctx, p)
}

func shardOutputs(plan *runPlan) (outputs, error) {
	shards := make([]any, 0, len(plan.Shards))
	for _, s := range plan.Shards {
		v, err := s.Value()
		if err != nil {
			return nil, err
		}
		shards = append(shards, v)
	}
	return outputs{batchscore.OutMode: batchscore.ModeSharded, batchscore.OutShards: shards,
		batchscore.OutCount: len(shards), batchscore.OutHeader: plan.Header}, nil
}

// openModel fetches the model folder by digest and opens it, parity rows and all.
func (t *task) openModel(ctx context.Context, p *planInput) (*score.Model, error) {
	dir, err := tempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // a model is in memory once it is open; what is left behind dies with the container
	folder := filepath.Join(dir, "model")
	if err := pipeline.Fetch(ctx, t.store.client, p.folder, p.folderDigest, folder); err != nil {
		return nil, err
	}
	m, err := score.Open(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("open the model folder %s: %w", p.folder, err)
	}
	if m.Manifest().Batch == nil || m.Manifest().Name != p.model {
		return nil, fmt.Errorf("the model folder %s is of %q, expected the batch model %q", p.folder, m.Manifest().Name, p.model)
	}
	return m, nil
}

// cut fills in header, rows and shards: one pass over every file. Rows are numbered through the whole dataset.
func (t *task) cut(ctx context.Context, m *score.Model, plan *runPlan) error {
	b := m.Manifest().Batch
	shardBytes := max(int64(b.ShardBytes), plan.Dataset.bytes()/maxShards+1)
	for _, o := range plan.Dataset.Objects {
		index, err := t.scan(ctx, m, plan.Dataset.Bucket, o, csv.Options{Delimiter: delimiterOf(b.Delimiter), FirstRow: plan.Rows + 1}, shardBytes)
		if err != nil {
			return err
		}
		if plan.Header == nil {
			plan.Header = index.Header
		}
		for _, s := range index.Shards {
			shard := batchscore.Shard{Index: len(plan.Shards), Bucket: plan.Dataset.Bucket, Object: o.Name, Generation: o.Generation,
				Offset: s.Offset, Length: s.Length, FirstRow: s.FirstRow, Rows: s.Rows}
			if !slices.Equal(index.Header, plan.Header) {
				shard.Header = index.Header
			}
			plan.Shards = append(plan.Shards, shard)
		}
		plan.Rows += index.Rows
	}
	if plan.Rows == 0 {
		return invalid("no rows: %s has a header and nothing below it", names(plan.Dataset))
	}
	return nil
}

func names(d *dataset) string {
	first := fmt.Sprintf("gs://%s/%s", d.Bucket, d.Objects[0].Name)
	if n := len(d.Objects) - 1; n > 0 {
		return fmt.Sprintf("%s, like %d more,", first, n)
	}
	return first
}

func delimiterOf(text string) byte {
	if text == "" {
		return ','
	}
	return text[0] // the manifest allows one ASCII character
}

// scan reads one file from end to end. What its owner can mend is a verdict.
func (t *task) scan(ctx context.Context, m *score.Model, bucket string, o source, opts csv.Options, shardBytes int64) (*csv.Index, error) {
	index, err := t.scanFile(ctx, m, fmt.Sprintf("gs://%s/%s", bucket, o.Name), bucket, o, opts, shardBytes)
	if fault.KindOf(err) == fault.NotFound {
		return nil, t.gone(ctx, bucket, o.Name, o.Generation)
	}
	return index, err
}

func (t *task) scanFile(ctx context.Context, m *score.Model, uri, bucket string, o source, opts csv.Options, shardBytes int64) (*csv.Index, error) {
	src, err := t.store.read(ctx, bucket, o.Name, o.Generation, 0, -1)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	r, err := csv.NewReader(src, opts)
	if err != nil {
		return nil, blame(uri, err)
	}
	if err := checkColumns(m, r.Header(), opts.Delimiter); err != nil {
		return nil, blame(uri, err)
	}
	index, err := r.Scan(shardBytes)
	if err != nil {
		return nil, blame(uri, err)
	}
	if index.Bytes != o.Size {
		return nil, fault.New(fault.Unavailable, nil, "read %s: got %d of %d bytes", uri, index.Bytes, o.Size)
	}
	if q := index.Open; q != nil && q.Lines > 0 {
		return nil, invalid("%s: the quote that opens at byte %d, in row %d, is never closed, so the %d lines after it cannot be told apart; "+
			"close it, or write it twice if it is part of the text", uri, q.Offset, q.Row, q.Lines)
	}
	return index, nil
}

// blame turns what is wrong with a file into a verdict; errors of reading it stay errors.
func blame(uri string, err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Kind == fault.Invalid {
		return invalid("%s: %s", uri, f.Message)
	}
	return err
}

// checkColumns says all that is missing from a file's header.
func checkColumns(m *score.Model, header []string, delimiter byte) error {
	var problems []string
	if _, err := m.Contract().Columns(header); err != nil {
		if fault.KindOf(err) != fault.Invalid {
			return err
		}
		problems = append(problems, fault.Public(err).Message)
	}
	for _, id := range m.Manifest().IDColumns {
		if !slices.Contains(header, id) {
			problems = append(problems, fmt.Sprintf("id column %q is missing", id))
		}
	}
	if problems == nil {
		return nil
	}
	if len(header) == 1 {
		for _, c := range ",;|\t" {
			if byte(c) != delimiter && strings.ContainsRune(header[0], c) {
				problems = append(problems, fmt.Sprintf("the header has one column only; if %q separates the fields, set batch.delimiter in model.yaml", c))
			}
		}
	}
	return fault.New(fault.Invalid, nil, "%s", strings.Join(problems, "\n"))
}
