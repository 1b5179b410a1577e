package forest

// double is single in float64, where LightGBM computes. It may overwrite the margins.
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
	case Step:
		for i, v := range margins {
			out[i] = float64(bit(v > 0))
		}
	case Softmax:
		for i := 0; i < len(margins); i += t.width {
			softmax64(margins[i:i+t.width], out[i:])
		}
	case Argmax:
		for i := range len(margins) / t.width {
			out[i] = float64(argmax(margins[i*t.width : (i+1)*t.width]))
		}
	default:
		copy(out, margins)
	}
}

func softmax64(row, out []float64) {
	top := row[0]
	for _, v := range row[1:] {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range row {
		out[i] = exp(v - top)
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
