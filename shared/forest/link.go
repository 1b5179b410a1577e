package forest

import "slices"

// Link turns the margins of a row into its outputs, as the training library does it.
type Link uint8

// The links. They compute in the type of the margins.
const (
	Identity     Link = iota
	Logistic          // 1 / (1 + e^-x), each margin for itself
	Exp               // e^x
	Softmax           // probabilities over the margins
	Argmax            // the number of the greatest margin, the first wins: one output
	Step              // 1 above 0, else 0
	Ascending         // the margins of a row in ascending order; float32 only
	Square            // sign(x)·x²; float64 only
	Softplus          // log(1 + e^x); float64 only
	MeanVariance      // the first margin, and e^2x of the second; float64 only
)

// transform is a model's way from margins to outputs.
type transform struct {
	link  Link
	width int     // margins of a row
	sigma float64 // of Logistic in float64
	over  float64 // margins are divided by it first, in float64
	scale float64 // of float64, part of the margins
	bias  []float64
	quick bool // Softmax by quickExp
}

// outputs is how many numbers a row of margins becomes.
func (l Link) outputs(margins int) int {
	if l == Argmax {
		return 1
	}
	return margins
}

// single transforms rows of margins into out. It may overwrite the margins.
func (t transform) single(margins []float32, out []float64) {
	width := t.width
	switch t.link {
	case Logistic:
		for i, v := range margins {
			out[i] = float64(logistic(v))
		}
	case Exp:
		for i, v := range margins {
			out[i] = float64(expf(v))
		}
	case Step:
		for i, v := range margins {
			out[i] = float64(bit(v > 0))
		}
	case Softmax:
		for i := 0; i < len(margins); i += width {
			softmax(margins[i : i+width])
		}
		identity(margins, out)
	case Argmax:
		for i := range len(margins) / width {
			out[i] = float64(argmax(margins[i*width : (i+1)*width]))
		}
	case Ascending:
		for i := 0; i < len(margins); i += width {
			slices.Sort(margins[i : i+width])
		}
		identity(margins, out)
	default:
		identity(margins, out)
	}
}

func identity(margins []float32, out []float64) {
	for i, v := range margins {
		out[i] = float64(v)
	}
}

// logistic is XGBoost's: the exponent is capped, and 1e-16 is added although float32 does not see it beside 1.
func logistic(x float32) float32 {
	e := -x
	if 88.7 < e {
		e = 88.7
	}
	d := expf(e) + 1
	d += 1e-16
	return 1 / d
}

// softmax sums in float64 and divides in float32, as XGBoost does.
func softmax(row []float32) {
	top := row[0]
	for _, v := range row[1:] {
		if v > top {
			top = v
		}
	}
	var sum float64
	for i, v := range row {
		row[i] = expf(v - top)
		sum += float64(row[i])
	}
	for i := range row {
		row[i] /= float32(sum)
	}
}

func argmax[T float](row []T) int {
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}
