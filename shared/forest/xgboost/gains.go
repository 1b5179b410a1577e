package xgboost

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// Gains sums what the splits of each feature gained in training (XGBoost's total_gain), as the file records it; nil when it
// does not. Read leaves them aside: scoring needs none.
func Gains(data []byte) ([]float64, error) {
	d := newReader(data)
	if d == nil {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: neither JSON nor UBJSON")
	}
	var sums []float64
	var left, feature []int32
	var gain []float32
	tree := func(int) error {
		left, feature, gain = left[:0], feature[:0], gain[:0]
		err := d.Some(
			document.Field{Key: "left_children", Read: func() error { return d.Ints(&left) }},
			document.Field{Key: "loss_changes", Read: func() error { return d.Floats(&gain) }},
			document.Field{Key: "split_indices", Read: func() error { return d.Ints(&feature) }},
		)
		if err != nil || len(gain) == 0 {
			return err
		}
		if len(left) != len(gain) || len(feature) != len(gain) {
			return fmt.Errorf("loss_changes has %d entries for %d nodes", len(gain), len(left))
		}
		for i, f := range feature {
			if left[i] < 0 {
				continue
			}
			if f < 0 || f >= forest.MaxFeatures {
				return fmt.Errorf("split_indices[%d] is %d", i, f)
			}
			for int(f) >= len(sums) {
				sums = append(sums, 0)
			}
			sums[f] += float64(gain[i])
		}
		return nil
	}
	model := func() error {
		return d.Some(document.Field{Key: "trees", Read: func() error { return d.Elements(tree) }})
	}
	booster := func() error {
		return d.Some(document.Field{Key: "model", Read: model}, document.Field{Key: "gbtree", Read: func() error {
			return d.Some(document.Field{Key: "model", Read: model})
		}})
	}
	err := d.Whole(func() error {
		return d.Some(document.Field{Key: "learner", Read: func() error {
			return d.Some(document.Field{Key: "gradient_booster", Read: booster})
		}})
	})
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: %v", err)
	}
	return sums, nil
}
