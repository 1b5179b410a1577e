package step

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// shardResult is what scoring a shard came to. It is written after the shard's files: where it is, they are whole.
type shardResult struct {
	RunID        string           `json:"run_id"`
	FolderDigest string           `json:"folder_digest"`
	Shard        batchscore.Shard `json:"shard"`
	Rows         int64            `json:"rows"`
	Scored       int64            `json:"scored"`
	Rejected     int64            `json:"rejected"`
	Predictions  batch.Object     `json:"predictions"`
	Rejects      *batch.Object    `json:"rejects,omitempty"` // lines without a header; nil if none
	Causes       []causeCount     `json:"causes,omitempty"`
	Millis       int64            `json:"ms"`
}

// causeCount says how many rows were rejected for one cause. Column is empty for rows that could not be split into fields.
type causeCount struct {
	Column string `json:"column,omitempty"`
	Code   string `json:"code"`
	Rows   int64  `json:"rows"`
}

// shardName is where a shard's files lie in staging, without their ending. What they are made of is in the name, so that
// nothing made of anything else can be taken for them.
func shardName(run, folderDigest string, s *batchscore.Shard) string {
	digest := strings.TrimPrefix(folderDigest, "sha256:")
	return fmt.Sprintf("%s/%d-%s/shard-%05d", run, s.Generation, digest[:min(8, len(digest))], s.Index)
}

// score scores one shard.
func (t *task) score(ctx context.Context) (outputs, error) {
	p, err := t.dataInput()
	if err != nil {
		return nil, err
	}
	var shard batchscore.Shard
	var header []string
	if err := t.in.value(batchscore.ParamShard, &shard); err != nil {
		return nil, err
	}
	if err := t.in.value(batchscore.ParamHeader, &header); err != nil {
		return nil, err
	}
	if done, err := t.isScored(ctx, p, &shard); err != nil || done {
		return nil, err
	}
	m, err := t.openModel(ctx, p)
	if err != nil {
		return nil, err
	}
	return nil, t.settle(ctx, t.scoreShard(ctx, p, m, header, shard))
}

// isScored says whether an earlier try has finished the shard.
func (t *task) isScored(ctx context.Context, p *planInput, s *batchscore.Shard) (bool, error) {
	var r shardResult
	name := shardName(p.run, p.folderDigest, s) + ".json"
	found, err := t.store.readJSON(ctx, p.staging, name, &r)
	if err != nil || !found {
		return false, err
	}
	if r.RunID != p.run || r.FolderDigest != p.folderDigest || r.Shard.Offset != s.Offset || r.Shard.Length != s.Length || r.Shard.Object != s.Object {
		return false, otherContent(p.staging, name)
	}
	return true, nil
}

func (t *task) scoreShard(ctx context.Context, p *planInput, m *score.Model, header []string, shard batchscore.Shard) error {
	if done, err := t.isScored(ctx, p, &shard); err != nil || done {
		return err
	}
	begin := t.now()
	if shard.Header != nil {
		header = shard.Header
	}
	s, err := newSheet(m, header)
	if err != nil {
		return err // plan has checked the header: this is a mistake of ours, not the file's
	}
	w, err := t.newShardWriter(ctx, p, s, shardName(p.run, p.folderDigest, &shard))
	if err != nil {
		return err
	}
	if err := t.scoreBytes(ctx, s, header, shard, w); err != nil {
		w.abort()
		if fault.KindOf(err) == fault.NotFound {
			return t.gone(ctx, shard.Bucket, shard.Object, shard.Generation)
		}
		return err
	}
	shard.Header = nil
	r := &shardResult{RunID: p.run, FolderDigest: p.folderDigest, Shard: shard, Rows: w.rows, Scored: w.accepted, Rejected: w.rejected, Causes: countCauses(w.causes)}
	if r.Predictions, r.Rejects, err = w.close(); err != nil {
		return err
	}
	r.Millis = t.now().Sub(begin).Milliseconds()
	if _, err = t.store.createJSON(ctx, p.staging, shardName(p.run, p.folderDigest, &shard)+".json", r); err != nil && fault.KindOf(err) != fault.Conflict {
		return err
	}
	t.log.LogAttrs(ctx, slog.LevelInfo, "scored", slog.String("run_id", p.run), slog.String("model", p.model), slog.String("version", m.Manifest().Version),
		slog.Int("shard", shard.Index), slog.Int64("rows", r.Rows), slog.Int64("rejected", r.Rejected), slog.Int64("ms", r.Millis))
	return nil
}

// scoreBytes streams the shard through the model into w and checks that every row that plan counted is accounted for.
func (t *task) scoreBytes(ctx context.Context, s *sheet, header []string, shard batchscore.Shard, w *shardWriter) error {
	g, gctx := errgroup.WithContext(ctx)
	src, err := t.store.read(gctx, shard.Bucket, shard.Object, shard.Generation, shard.Offset, shard.Length)
	if err != nil {
		return err
	}
	defer src.Close()
	counted := &countReader{r: src}
	r, err := csv.NewReader(counted, csv.Options{Delimiter: delimiterOf(s.model.Manifest().Batch.Delimiter), Header: header, FirstRow: shard.FirstRow, Offset: shard.Offset})
	if err != nil {
		return err
	}
	works := make([]func(*table.Block, *scored) error, runtime.GOMAXPROCS(0))
	for i := range works {
		rs, err := newRowScorer(s)
		if err != nil {
			return err
		}
		works[i] = rs.score
	}
	if err := inOrder(gctx, g, r.Next, works, w.write); err != nil {
		return err
	}
	if counted.n != shard.Length || w.rows != shard.Rows || w.accepted+w.rejected != w.rows {
		return fault.New(fault.Unavailable, nil, "shard %d of gs://%s/%s: read %d bytes and %d rows (%d scored, %d rejected), expected %d bytes and %d rows",
			shard.Index, shard.Bucket, shard.Object, counted.n, w.rows, w.accepted, w.rejected, shard.Length, shard.Rows)
	}
	return nil
}

type countReader struct {
	r io.Reader
	n int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// shardWriter writes a shard's two files and adds up the counts.
type shardWriter struct {
	open                     func() *upload // of the rejects, which most shards do not have
	good, bad                *upload
	rows, accepted, rejected int64
	causes                   map[cause]int64
}

func (t *task) newShardWriter(ctx context.Context, p *planInput, s *sheet, name string) (*shardWriter, error) {
	line, err := headerLine(predictionHeader(s.model))
	if err != nil {
		return nil, err
	}
	w := &shardWriter{causes: map[cause]int64{}, good: t.store.write(ctx, p.staging, name+".csv", csvType),
		open: func() *upload { return t.store.write(ctx, p.staging, name+"-rejected.csv", csvType) }}
	if _, err := w.good.Write(line); err != nil {
		w.abort()
		return nil, err
	}
	return w, nil
}

const csvType = "text/csv; charset=utf-8"

func (w *shardWriter) write(s *scored) error {
	w.rows += s.rows
	w.accepted += s.accepted
	w.rejected += s.rejected
	for c, n := range s.causes {
		w.causes[c] += n
	}
	if _, err := w.good.Write(s.predictions.Bytes()); err != nil {
		return err
	}
	if s.rejects.Len() == 0 {
		return nil
	}
	if w.bad == nil {
		w.bad = w.open()
	}
	_, err := w.bad.Write(s.rejects.Bytes())
	return err
}

func (w *shardWriter) abort() {
	w.good.abort()
	if w.bad != nil {
		w.bad.abort()
	}
}

func (w *shardWriter) close() (good batch.Object, bad *batch.Object, err error) {
	good, err = w.good.Close()
	if w.bad == nil {
		return good, nil, err
	}
	b, berr := w.bad.Close()
	if err == nil {
		err = berr
	}
	return good, &b, err
}

// countCauses sorts causes by how many rows they cost.
func countCauses(m map[cause]int64) []causeCount {
	list := make([]causeCount, 0, len(m))
	for _, c := range slices.SortedFunc(maps.Keys(m), compareCauses) {
		list = append(list, causeCount{Column: c.column, Code: c.code, Rows: m[c]})
	}
	slices.SortStableFunc(list, func(a, b causeCount) int { return int(b.Rows - a.Rows) })
	return list
}

func compareCauses(a, b cause) int {
	if c := strings.Compare(a.column, b.column); c != 0 {
		return c
	}
	return strings.Compare(a.code, b.code)
}
