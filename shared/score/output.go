package score

import (
	"math"
	"slices"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// choice is how an output with labels finds its class.
type choice uint8

const (
	number     choice = iota // no labels: a column of the engine, clipped
	byIndex                  // the engine's one column is the number of the class
	byLimit                  // the engine's one column is at or above the threshold, or not
	byGreatest               // the engine's greatest column, the first wins
)

// rule makes one output of the engine's columns.
type rule struct {
	name      string
	choice    choice
	column    int // of a number
	min, max  float64
	labels    []string
	threshold float64
}

// newRules checks that the declared outputs fit the engine's columns. Numbers take the columns in order; outputs with
// labels take none. A model may also answer with labels alone.
func newRules(outputs []manifest.Output, info forest.Info) ([]rule, error) {
	index := info.Outputs == 1 && info.Margins > 1
	var rules []rule
	numbers := 0
	for _, o := range outputs {
		r := rule{name: o.Name, min: math.Inf(-1), max: math.Inf(1), labels: o.Labels, threshold: 0.5}
		if o.Min != nil {
			r.min = *o.Min
		}
		if o.Max != nil {
			r.max = *o.Max
		}
		if o.Threshold != nil {
			r.threshold = *o.Threshold
		}
		need := info.Outputs
		switch {
		case o.Labels == nil:
			r.column = numbers
			numbers++
		case index:
			r.choice, need = byIndex, info.Margins
		case info.Outputs == 1:
			r.choice, need = byLimit, 2
		default:
			r.choice = byGreatest
		}
		if o.Labels != nil && len(o.Labels) != need {
			return nil, fault.New(fault.Invalid, nil, "output %q has %d labels, the artifact (%s) tells %d classes apart", o.Name, len(o.Labels), info.Objective, need)
		}
		if o.Threshold != nil && r.choice != byLimit {
			return nil, fault.New(fault.Invalid, nil, "output %q has a threshold, but the artifact (%s) gives no single number to compare with it", o.Name, info.Objective)
		}
		rules = append(rules, r)
	}
	if numbers != info.Outputs && (numbers > 0 || len(rules) == 0) {
		return nil, fault.New(fault.Invalid, nil, "outputs: %s names %d numbers, the artifact (%s) gives %d", manifest.File, numbers, info.Objective, info.Outputs)
	}
	return rules, nil
}

// apply fills an output from the engine's rows of width columns.
func (r *rule) apply(raw []float64, width, rows int, o *Output) {
	if r.choice == number {
		o.Values = slices.Grow(o.Values[:0], rows)[:rows]
		for i := range o.Values {
			v := raw[i*width+r.column]
			if v < r.min {
				v = r.min
			} else if v > r.max {
				v = r.max
			}
			o.Values[i] = v
		}
		return
	}
	o.Labels = slices.Grow(o.Labels[:0], rows)[:rows]
	for i := range o.Labels {
		o.Labels[i] = r.labels[r.class(raw[i*width:(i+1)*width])]
	}
}

func (r *rule) class(row []float64) int {
	switch r.choice {
	case byIndex:
		return int(row[0])
	case byLimit:
		if row[0] >= r.threshold {
			return 1
		}
		return 0
	}
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}
