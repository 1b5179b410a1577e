package candidate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

const (
	maxSuccess     = 1 << 20
	maxPredictions = 256 << 20 // of all rows; parity rows are 16 MiB at most
)

// compare holds what the run left in staging against the rows.
func (t *trial) compare(ctx context.Context, run *ledger.Run, r *rows) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, nil, "model %s: the trial %s: %s. Its release is not taken; see %s", t.model, run.ID, fmt.Sprintf(format, args...), t.where(run.ID))
	}
	data, err := t.read(ctx, batch.SuccessObject(t.model, run.ID), maxSuccess)
	if err != nil {
		return err
	}
	var proof batch.Success
	if data == nil || json.Unmarshal(data, &proof) != nil {
		return bad("gs://%s/%s is not there, or is no proof", t.Staging, batch.SuccessObject(t.model, run.ID))
	}
	n := int64(r.n)
	switch {
	case proof.RunID != run.ID || proof.Model != t.model || proof.Digest != r.digest || proof.Version != r.version:
		return bad("_SUCCESS.json is of run %.120q, model %.80q, version %.80q, artifact %.80q; expected version %s, artifact %s",
			proof.RunID, proof.Model, proof.Version, proof.Digest, r.version, r.digest)
	case proof.Rejected > 0:
		return bad("%d of %d parity rows were rejected%s", proof.Rejected, n, t.firstRejected(ctx, run, r))
	case proof.Rows != n || proof.Scored != n:
		return bad("%d rows, %d of them scored, of %d parity rows", proof.Rows, proof.Scored, n)
	}
	c := &comparison{rows: r, seen: make([]bool, r.n)}
	if err := t.readPredictions(ctx, run, proof.Objects, c); err != nil {
		var differ *difference
		if errors.As(err, &differ) {
			return bad("%v", err)
		}
		return err
	}
	if why := c.verdict(); why != "" {
		return bad("%s", why)
	}
	return nil
}

// firstRejected says why the first row was rejected, as far as it can be read.
func (t *trial) firstRejected(ctx context.Context, run *ledger.Run, r *rows) string {
	data, err := t.read(ctx, batch.OutputPrefix(t.model, run.ID)+"rejected_rows.csv", maxPredictions)
	if err != nil || data == nil {
		return ""
	}
	var block table.Block
	reader, err := csv.NewReader(bytes.NewReader(data), csv.Options{})
	if err != nil || reader.Next(&block) != nil || block.Rows == 0 || len(block.Columns) != 4 {
		return ""
	}
	place := "row " + string(block.Columns[0].Text(0))
	if row, err := strconv.Atoi(string(block.Columns[0].Text(0))); err == nil && row >= 1 && row <= r.n {
		place = r.place(row)
	}
	return fmt.Sprintf(", first %s, column %s = %.80q: %.200s", place, block.Columns[1].Text(0), block.Columns[2].Text(0), block.Columns[3].Text(0))
}

// readPredictions reads every file of predictions that the proof names.
func (t *trial) readPredictions(ctx context.Context, run *ledger.Run, objects []batch.Object, c *comparison) error {
	left := int64(maxPredictions)
	for _, o := range objects {
		prefix := batch.OutputPrefix(t.model, run.ID)
		name, ours := strings.CutPrefix(o.Name, prefix)
		if !ours {
			return &difference{fmt.Sprintf("_SUCCESS.json names %.200q, which is not below %s", o.Name, prefix)}
		}
		if !strings.HasPrefix(name, "predictions-") {
			continue
		}
		data, err := t.read(ctx, o.Name, left)
		if err != nil {
			return err
		}
		if left -= int64(len(data)); data == nil || int64(len(data)) != o.Size || checksum(data) != o.CRC32C {
			return &difference{fmt.Sprintf("gs://%s/%s is not what _SUCCESS.json says", t.Staging, o.Name)}
		}
		if err := c.file(o.Name, data); err != nil {
			return err
		}
	}
	return nil
}

// difference is an output that is not what the parity rows demand.
type difference struct{ text string }

func (d *difference) Error() string { return d.text }

// comparison goes through the predictions of a run.
type comparison struct {
	*rows
	seen   []bool // by row
	found  int
	wrong  int    // rows that differ
	least  int    // the first of them
	first  string // how it differs
	header []string
}

// columns are those of a file of predictions.
func (c *comparison) columns() []string {
	if c.header == nil {
		c.header = append(slices.Clone(c.ids), "row")
		for i := range c.want.Outputs {
			c.header = append(c.header, c.want.Outputs[i].Name)
		}
		c.header = append(c.header, "model_version")
	}
	return c.header
}

func (c *comparison) file(name string, data []byte) error {
	reader, err := csv.NewReader(bytes.NewReader(data), csv.Options{})
	if err != nil {
		return &difference{fmt.Sprintf("%s: %v", name, err)}
	}
	if got := reader.Header(); !slices.Equal(got, c.columns()) {
		return &difference{fmt.Sprintf("%s has the columns %q, expected %q", name, got, c.columns())}
	}
	var block table.Block
	for {
		if err := reader.Next(&block); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return &difference{fmt.Sprintf("%s: %v", name, err)}
		}
		if len(block.Bad) > 0 {
			return &difference{fmt.Sprintf("%s: row %d cannot be read: %s", name, block.Bad[0].Row, block.Bad[0].Reason)}
		}
		for i := range block.Rows {
			if err := c.row(name, &block, i); err != nil {
				return err
			}
		}
	}
}

// row compares one prediction.
func (c *comparison) row(name string, b *table.Block, i int) error {
	text := func(column int) string { return string(b.Columns[column].Text(i)) }
	at := len(c.ids)
	row, err := strconv.Atoi(text(at))
	if err != nil || row < 1 || row > c.n {
		return &difference{fmt.Sprintf("%s predicts row %.40q of %d", name, text(at), c.n)}
	}
	if c.seen[row-1] {
		return &difference{fmt.Sprintf("%s is predicted twice", c.place(row))}
	}
	c.seen[row-1] = true
	c.found++
	for k, id := range c.ids {
		if got, want := text(k), c.idText[row-1][k]; got != want {
			c.differs(row, id, got, want)
			return nil
		}
	}
	for k := range c.want.Outputs {
		o := &c.want.Outputs[k]
		if got, want := text(at+1+k), wanted(o, row-1); !sameOutput(o, row-1, got) {
			c.differs(row, o.Name, got, want)
			return nil
		}
	}
	if got := text(at + 1 + len(c.want.Outputs)); got != c.version {
		c.differs(row, "model_version", got, c.version)
	}
	return nil
}

// verdict is what is wrong after all files, "" for nothing.
func (c *comparison) verdict() string {
	if c.wrong > 0 {
		return fmt.Sprintf("%s (%d of %d rows differ)", c.first, c.wrong, c.n)
	}
	if i := slices.Index(c.seen, false); i >= 0 {
		return fmt.Sprintf("%s has no prediction (%d of %d rows have one)", c.place(i+1), c.found, c.n)
	}
	return ""
}

func (c *comparison) differs(row int, column, got, want string) {
	if c.wrong++; c.wrong == 1 || row < c.least {
		c.least, c.first = row, fmt.Sprintf("%s: %s is %.80q, expected %.80q", c.place(row), column, got, want)
	}
}

// wanted is an output as a file shows it: the empty field for what is null over HTTP.
func wanted(o *score.Output, row int) string {
	switch {
	case o.Labels != nil:
		return o.Labels[row]
	case math.IsNaN(o.Values[row]) || math.IsInf(o.Values[row], 0):
		return ""
	}
	return strconv.FormatFloat(o.Values[row], 'g', -1, 64)
}

// sameOutput compares numbers as numbers, however they are written.
func sameOutput(o *score.Output, row int, got string) bool {
	want := wanted(o, row)
	if got == want || o.Labels != nil || got == "" || want == "" {
		return got == want
	}
	v, err := strconv.ParseFloat(got, 64)
	return err == nil && math.Float64bits(v) == math.Float64bits(o.Values[row])
}
