package lightgbm

import (
	"github.com/millrace-ml/millrace/shared/fault"
)

// Gains sums what the splits of each feature gained in training (LightGBM's importance of the type gain), as the file
// records it; nil when it does not. Read leaves them aside: scoring needs none.
func Gains(data []byte) ([]float64, error) {
	sums, err := gains(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "lightgbm model: %v", err)
	}
	return sums, nil
}

func gains(data []byte) ([]float64, error) {
	s := &scanner{rest: data}
	s.next() // tree
	h, err := readHeader(s, data)
	if err != nil {
		return nil, err
	}
	r := treeReader{features: h.config.Features}
	sums := make([]float64, r.features)
	var gain []float64
	known := false
	for i := 0; s.block(); i++ {
		if _, err := r.read(s, i); err != nil {
			return nil, place(i, err)
		}
		if r.leaves < 2 || r.fields.get("split_gain") == nil {
			continue
		}
		known = true
		if gain, err = list(&r.fields, "split_gain", r.leaves-1, gain); err != nil {
			return nil, place(i, err)
		}
		for j, f := range r.feature[:r.leaves-1] {
			sums[f] += gain[j]
		}
	}
	if !known {
		return nil, nil
	}
	return sums, nil
}
