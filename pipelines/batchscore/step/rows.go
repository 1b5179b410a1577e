package step

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// Columns that predictions have beside id columns and outputs, and those of rejected_rows.csv.
const (
	columnRow     = "row"
	columnVersion = "model_version"
)

var rejectColumns = []string{"row", "column", "value", "reason"}

// sheet is how the files of one header are scored. It never changes; rowScorers share it.
type sheet struct {
	model   *score.Model
	binding *feature.Binding
	ids     []int // by id column: the file's column
	columns []int // by input: the file's column, -1 = none
}

func newSheet(m *score.Model, header []string) (*sheet, error) {
	b, err := m.Contract().Columns(header)
	if err != nil {
		return nil, err
	}
	s := &sheet{model: m, binding: b}
	for _, id := range m.Manifest().IDColumns {
		i := slices.Index(header, id)
		if i < 0 {
			return nil, fault.New(fault.Invalid, nil, "id column %q is missing", id)
		}
		s.ids = append(s.ids, i)
	}
	for _, in := range m.Contract().Inputs() {
		s.columns = append(s.columns, slices.Index(header, in.Name))
	}
	return s, nil
}

// predictionHeader is the header of a file of predictions.
func predictionHeader(m *score.Model) []string {
	h := append(slices.Clone(m.Manifest().IDColumns), columnRow)
	for _, o := range m.Manifest().Outputs {
		h = append(h, o.Name)
	}
	return append(h, columnVersion)
}

// headerLine is a row of names as CSV.
func headerLine(names []string) ([]byte, error) {
	var b bytes.Buffer
	w, err := csv.NewWriter(&b, 0)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		w.String(n)
	}
	w.EndRow()
	err = w.Flush()
	return b.Bytes(), err
}

// cause is why rows were rejected: a column and the kind of problem.
type cause struct{ column, code string }

// scored is what became of one block: lines of both files, and the counts.
type scored struct {
	predictions, rejects     bytes.Buffer
	rows, accepted, rejected int64
	causes                   map[cause]int64
}

func (s *scored) reset() {
	s.predictions.Reset()
	s.rejects.Reset()
	s.rows, s.accepted, s.rejected = 0, 0, 0
	clear(s.causes)
}

// rowScorer scores blocks, one goroutine at a time.
type rowScorer struct {
	*sheet
	scorer  *score.Scorer
	good    *csv.Writer
	bad     *csv.Writer
	version string
}

func newRowScorer(s *sheet) (*rowScorer, error) {
	r := &rowScorer{sheet: s, scorer: s.model.NewScorer(), version: s.model.Manifest().Version}
	var err error
	if r.good, err = csv.NewWriter(nil, 0); err != nil {
		return nil, err
	}
	if r.bad, err = csv.NewWriter(nil, 0); err != nil {
		return nil, err
	}
	return r, nil
}

// score makes out the outcome of the block. Every row of it ends in exactly one of the two files.
func (r *rowScorer) score(b *table.Block, out *scored) error {
	out.reset()
	if out.causes == nil {
		out.causes = map[cause]int64{}
	}
	r.binding.Fill(r.scorer.Rows(), b)
	p, err := r.scorer.Score()
	if err != nil {
		return fmt.Errorf("score rows from %d on: %w", b.First, err)
	}
	r.good.Reset(&out.predictions)
	rows := r.scorer.Rows()
	for i := range b.Rows {
		if rows.Bad(i) {
			continue
		}
		r.prediction(b, i, p)
		out.accepted++
	}
	r.rejected(b, out)
	out.rows = int64(b.Rows + len(b.Bad))
	if err := r.good.Flush(); err != nil {
		return err
	}
	return r.bad.Flush()
}

func (r *rowScorer) prediction(b *table.Block, i int, p *score.Predictions) {
	for _, column := range r.ids {
		r.good.Bytes(b.Columns[column].Text(i))
	}
	r.good.Int(b.Numbers[i])
	for j := range p.Outputs {
		o := &p.Outputs[j]
		switch {
		case o.Labels != nil:
			r.good.String(o.Labels[i])
		case math.IsNaN(o.Values[i]) || math.IsInf(o.Values[i], 0):
			r.good.String("") // null over HTTP
		default:
			r.good.Float(o.Values[i])
		}
	}
	r.good.String(r.version)
	r.good.EndRow()
}

// rejected writes a line for every bad row of the block, in the order of their numbers: rows that are no rows, and rows
// that break the contract, with their first problem.
func (r *rowScorer) rejected(b *table.Block, out *scored) {
	r.bad.Reset(&out.rejects)
	problems := r.scorer.Rows().Problems()
	broken := b.Bad
	for len(problems) > 0 || len(broken) > 0 {
		if len(problems) == 0 || len(broken) > 0 && broken[0].Row < b.Numbers[problems[0].Row] {
			r.reject(out, broken[0].Row, cause{code: "unreadable"}, broken[0].Value, broken[0].Reason)
			broken = broken[1:]
			continue
		}
		p := problems[0]
		n := 1
		for n < len(problems) && problems[n].Row == p.Row {
			n++
		}
		problems = problems[n:]
		value := ""
		if p.Input >= 0 && r.columns[p.Input] >= 0 {
			value = table.Short(b.Columns[r.columns[p.Input]].Text(p.Row))
		}
		r.reject(out, b.Numbers[p.Row], cause{column: p.Name, code: p.Code}, value, reason(p, n-1))
	}
}

func (r *rowScorer) reject(out *scored, row int64, c cause, value, reason string) {
	r.bad.Int(row)
	r.bad.String(c.column)
	r.bad.String(value)
	r.bad.String(reason)
	r.bad.EndRow()
	out.rejected++
	out.causes[c]++
}

// reason is a problem in words; its value stands in a column of its own.
func reason(p feature.Problem, more int) string {
	s := p.Code + ": expected " + p.Expected
	if more > 0 {
		s += fmt.Sprintf(" (and %d more in this row)", more)
	}
	return s
}
