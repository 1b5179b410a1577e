package deploy

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// moved is how far the predictions of a new revision are from those of the one that serves, on the same rows.
type moved struct {
	manifest *manifest.Manifest
	rows     int // compared
	refused  int // rows that the revision that serves does not take, or answers with an error
	outputs  map[string]*movedOutput
}

// movedOutput sums over the rows that both revisions answer.
type movedOutput struct {
	known, differ   int
	sum, size       float64 // of absolute changes, of absolute values before
	unmeasured      int     // a number where there was none, or the other way round
	largest         float64
	row             int // of the largest, from 1
	before, after   any
	largestMeasured bool
}

func newMoved(m *manifest.Manifest) *moved {
	out := &moved{manifest: m, outputs: map[string]*movedOutput{}}
	for _, o := range m.Outputs {
		out.outputs[o.Name] = &movedOutput{}
	}
	return out
}

// predictions reads the answer of a model to rows in the form that asked for it: a value per row, or an object of outputs.
func predictions(m *manifest.Manifest, body []byte) ([]map[string]any, error) {
	var a struct {
		Predictions []any `json:"predictions"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fault.New(fault.Internal, err, "the answer %.80q holds no predictions", body)
	}
	out := make([]map[string]any, len(a.Predictions))
	for i, p := range a.Predictions {
		object, ok := p.(map[string]any)
		if !ok && len(m.Outputs) == 1 {
			object = map[string]any{m.Outputs[0].Name: p}
		}
		out[i] = object
	}
	return out, nil
}

// add compares the answers to the rows from first on.
func (v *moved) add(first int, before, after []map[string]any) error {
	if len(before) != len(after) {
		return fault.New(fault.Internal, nil, "%d and %d predictions for the same parity rows from %d on", len(before), len(after), first)
	}
	for i := range after {
		v.rows++
		for name, o := range v.outputs {
			was, had := before[i][name]
			is, has := after[i][name]
			if had && has {
				o.add(first+i, was, is)
			}
		}
	}
	return nil
}

func (o *movedOutput) add(row int, was, is any) {
	o.known++
	if was == is {
		if x, ok := was.(float64); ok {
			o.size += math.Abs(x)
		}
		return
	}
	o.differ++
	x, ok1 := was.(float64)
	y, ok2 := is.(float64)
	by, measured := math.Abs(y-x), ok1 && ok2
	if measured {
		o.sum += by
		o.size += math.Abs(x)
	} else {
		o.unmeasured++
	}
	if o.row == 0 || measured && o.largestMeasured && by > o.largest || !measured && o.largestMeasured {
		o.row, o.before, o.after, o.largest, o.largestMeasured = row, was, is, by, measured
	}
}

// share is how far the output moved, in percent: of its mean size before, or the share of rows with another label.
func (o *movedOutput) share(labels bool) float64 {
	switch {
	case o.differ == 0:
		return 0
	case labels || o.unmeasured > 0 && o.sum == 0:
		return 100 * float64(o.differ) / float64(o.known)
	case o.unmeasured > 0 || o.size == 0:
		return math.Inf(1)
	}
	return 100 * o.sum / o.size
}

// report says what moved, and is an error if that is beyond the limit.
func (v *moved) report() (text string, err error) {
	if v.rows == 0 {
		return fmt.Sprintf("nothing to compare: the revision that serves takes none of the %d parity rows", v.refused), nil
	}
	var parts []string
	beyond := false
	limit := float64(v.manifest.MaxChange())
	for _, spec := range v.manifest.Outputs {
		o := v.outputs[spec.Name]
		switch share := o.share(spec.Labels != nil); {
		case o.known == 0:
			parts = append(parts, fmt.Sprintf("%s is new", spec.Name))
		case o.differ == 0:
			parts = append(parts, fmt.Sprintf("%s is the same in all %d rows", spec.Name, o.known))
		default:
			beyond = beyond || share > limit
			parts = append(parts, fmt.Sprintf("%s moved in %d of %d rows, by %.3g%% of its size, most in row %d: %v → %v", spec.Name, o.differ, o.known, share, o.row, o.before, o.after))
			if spec.Labels != nil {
				parts[len(parts)-1] = fmt.Sprintf("%s changed its label in %d of %d rows, %.3g%%, first in row %d: %v → %v", spec.Name, o.differ, o.known, share, o.row, o.before, o.after)
			}
		}
	}
	text = strings.Join(parts, "; ")
	if v.refused > 0 {
		text += fmt.Sprintf("; %d rows are not taken by the revision that serves", v.refused)
	}
	if beyond {
		return text, fault.New(fault.Conflict, nil, "predictions: %s; release.max_change of models/%s/model.yaml is %s: raise it there if this is meant", text, v.manifest.Name, v.manifest.MaxChange())
	}
	return text, nil
}
