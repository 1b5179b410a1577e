package forest

// double is single in float64, where LightGBM and CatBoost compute. It may overwrite the margins.
func (t transform) double(margins []float64, out []float64) {
	if t.over != 1 {
		for i := range margins {
			margins[i] /= t.over
		}
	}
	switch t.link {
	case Logistic:
		for i, v := range margins {
			out[i] = 1 / (1 + exp(-float64(t.sigma*v)))
		}
	case Exp:
		for i, v := range margins {
			out[i] = exp(v)
		}
	case Square:
		for i, v := range margins {
			out[i] = v * abs(v)
		}
	case Softplus:
		for i, v := range margins {
			out[i] = log1p(exp(v))
		}
	case MeanVariance:
		for i := 0; i < len(margins); i += 2 {
			out[i], out[i+1] = margins[i], exp(2*margins[i+1])
		}
	case Step:
		for i, v := range margins {
			out[i] = float64(bit(v > 0))
		}
	case Softmax:
		for i := 0; i < len(margins); i += t.width {
			softmax64(margins[i:i+t.width], out[i:], t.quick)
		}
	case Argmax:
		for i := range len(margins) / t.width {
			out[i] = float64(argmax(margins[i*t.width : (i+1)*t.width]))
		}
	default:
		copy(out, margins)
	}
}

// affine makes the margins of the kernel's sums, as CatBoost does: what is 1 or 0 is left out.
func (t transform) affine(sums []float64) {
	if t.scale != 1 {
		for i := range sums {
			sums[i] *= t.scale
		}
	}
	if t.bias == nil {
		return
	}
	for i := 0; i < len(sums); i += t.width {
		for m, b := range t.bias {
			sums[i+m] += b
		}
	}
}

func softmax64(row, out []float64, quick bool) {
	top := row[0]
	for _, v := range row[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range row {
		if quick {
			out[i] = quickExp(v - top)
		} else {
			out[i] = exp(v - top)
		}
		sum += out[i]
	}
	for i := range row {
		out[i] /= sum
	}
}

func abs(v float64) float64 {
	if v < 0 {
		return -v
	}
	return v
}
