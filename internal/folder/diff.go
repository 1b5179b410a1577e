package folder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

// mostListed is how many of the largest differences are told.
const mostListed = 10

// Diff asks for a comparison of the model folder with another version of it.
type Diff struct {
	Models, Model string
	Base          string // a git revision
	URL, Token    string // or a server that answers with the other version; the token is an identity token, if it needs one
	File          string // the rows; "" takes those of parity.jsonl
	Getenv        func(string) string
}

// Report is the comparison. Differences are of outputs, after the manifest's rules.
type Report struct {
	Model   string   `json:"model"`
	New     bool     `json:"new,omitempty"` // the base has no such model: there was nothing to compare with
	Base    Version  `json:"base"`
	Here    Version  `json:"here"`
	Rows    int      `json:"rows"`              // compared
	Refused int      `json:"refused,omitempty"` // rows that one of the versions does not take
	Differ  int      `json:"differ"`            // rows with any difference
	Outputs []Output `json:"outputs"`
	Largest []Change `json:"largest"`
	Notes   []string `json:"notes,omitempty"`
}

// Version names one side.
type Version struct {
	Source  string `json:"source"`
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// Output is how one output moved. Max and Mean are absolute differences over all rows compared; labels have none.
type Output struct {
	Name   string  `json:"name"`
	Differ int     `json:"differ"`
	Max    float64 `json:"max"`
	Mean   float64 `json:"mean"`
	Shift  float64 `json:"shift"` // mean of here minus base: whether predictions rose or fell
}

// Change is one row of the largest differences.
type Change struct {
	Row    int64   `json:"row"`
	Output string  `json:"output"`
	Base   any     `json:"base"`
	Here   any     `json:"here"`
	By     float64 `json:"by"`
}

// side answers instances with one version: for each, its outputs by name as float64 or string, or nil if it is refused.
type side interface {
	predict(ctx context.Context, rows []Row) ([]map[string]any, error)
	version() Version
}

// Run compares.
func (d Diff) Run(ctx context.Context) (_ *Report, err error) {
	if err := exists(d.Models, d.Model); err != nil {
		return nil, err
	}
	if d.Base != "" && d.URL != "" {
		return nil, errors.New("give --base or --url, not both")
	}
	here, err := openSide(filepath.Join(d.Models, d.Model), "the folder")
	if err != nil {
		return nil, err
	}
	report := &Report{Model: d.Model, Here: here.version(), Largest: []Change{}, Outputs: []Output{}}
	var base side = &server{url: d.URL, token: d.Token, model: d.Model}
	if d.URL == "" {
		temp, err := os.MkdirTemp("", "millrace-diff-")
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
		old, err := d.checkout(ctx, temp)
		if errors.Is(err, errNew) {
			report.New, report.Base.Source = true, d.Base
			return report, nil
		}
		if err != nil {
			return nil, err
		}
		base = old
	}
	return report, d.compare(ctx, report, base, here)
}

func (d Diff) compare(ctx context.Context, r *Report, base side, here *local) error {
	name := d.File
	if name == "" {
		name = filepath.Join(d.Models, d.Model, score.ParityFile)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	model := here.model
	rows, refused, err := readRows(name, data, model.Manifest(), model.Contract())
	if err != nil {
		return err
	}
	for _, name := range strangers(rows, model.Contract()) {
		r.Notes = append(r.Notes, fmt.Sprintf("%q in the rows is no input of the folder's version", name))
	}
	after, err := here.predict(ctx, rows)
	if err != nil {
		return err
	}
	before, err := base.predict(ctx, rows)
	if err != nil {
		return err
	}
	r.Base, r.Refused = base.version(), refused
	r.tally(model.Manifest(), rows, before, after)
	return nil
}

// tally counts the differences, output by output.
func (r *Report) tally(m *manifest.Manifest, rows []Row, before, after []map[string]any) {
	differs := make([]bool, len(rows))
	for i := range rows {
		if before[i] == nil || after[i] == nil {
			r.Refused++
		} else {
			r.Rows++
		}
	}
	var all []Change
	for _, o := range m.Outputs {
		out, known := Output{Name: o.Name}, 0
		for i := range rows {
			if before[i] == nil || after[i] == nil {
				continue
			}
			old, ok := before[i][o.Name]
			if !ok && len(m.Outputs) == 1 {
				old, ok = before[i][""] // a server names no output where there is one
			}
			if !ok {
				continue
			}
			known++
			change := Change{rows[i].Number, o.Name, old, after[i][o.Name], 0}
			if !change.measure(&out) {
				continue
			}
			out.Differ++
			differs[i] = true
			all = append(all, change)
		}
		if known == 0 && r.Rows > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("output %q is new: the base does not have it", o.Name))
			continue
		}
		out.Mean, out.Shift = out.Mean/float64(max(known, 1)), out.Shift/float64(max(known, 1))
		r.Outputs = append(r.Outputs, out)
	}
	for _, d := range differs {
		if d {
			r.Differ++
		}
	}
	slices.SortStableFunc(all, func(a, b Change) int {
		switch {
		case a.By > b.By:
			return -1
		case a.By < b.By:
			return 1
		}
		return 0
	})
	r.Largest = append(r.Largest, all[:min(len(all), mostListed)]...)
}

// measure adds the change to its output's sums and says whether there is one. A changed label, or a number where there was
// none, counts as the largest of all.
func (c *Change) measure(o *Output) bool {
	was, ok1 := c.Base.(float64)
	is, ok2 := c.Here.(float64)
	if ok1 && ok2 {
		c.By = math.Abs(is - was)
		o.Max = max(o.Max, c.By)
		o.Mean += c.By
		o.Shift += is - was
		return is != was
	}
	if c.Base == c.Here {
		return false
	}
	c.By = math.MaxFloat64
	return true
}

// MarshalJSON leaves By out where it measures nothing.
func (c Change) MarshalJSON() ([]byte, error) {
	out := map[string]any{"row": c.Row, "output": c.Output, "base": c.Base, "here": c.Here}
	if c.Measured() {
		out["by"] = c.By
	}
	return json.Marshal(out)
}

// Measured says whether the change is one of numbers.
func (c Change) Measured() bool { return c.By != math.MaxFloat64 }
