package onnx

import "fmt"

// product adds up, for each row of k numbers and each of its m outputs, number × weight in the order of the columns, each
// step rounded once, and then the intercept. That is the order of ONNX Runtime's matrix products for more than one row; its
// product for one row, or for one output, adds up in several lanes, which gives other last bits.
type product32 struct {
	k, m    int
	weights []float32 // k × m
	start   []float32 // m, or nil
}

func (p *product32) row(x, y []float32) {
	clear(y)
	for i, v := range x {
		for t, w := range p.weights[i*p.m : (i+1)*p.m] {
			y[t] = fma(v, w, y[t])
		}
	}
	for t, v := range p.start {
		y[t] += v
	}
}

// multiply makes rows × m outputs of v, whose rows have k numbers.
func (c *compiler) multiply(v *value, p *product32) (*value, error) {
	if v.axis != 0 || len(v.dims) > 2 || v.width() != p.k {
		return nil, fmt.Errorf("%d columns of weights for %v", p.k, v)
	}
	out, err := c.make(float, []int{1, p.m}, 0)
	if err != nil {
		return nil, err
	}
	c.step(func(s *state, rows int) {
		x, y := s.bufs[v.buf].floats, s.bufs[out.buf].floats
		for r := range rows {
			p.row(x[r*p.k:(r+1)*p.k], y[r*p.m:(r+1)*p.m])
		}
	})
	return out, nil
}

// weights reads the coefficients of the linear operators, which stand output by output.
func (n *node) weights(targets int) (*product32, error) {
	list, err := n.floats("coefficients")
	if err != nil {
		return nil, err
	}
	start, err := n.floats("intercepts")
	if err != nil {
		return nil, err
	}
	if targets < 1 || len(list) == 0 || len(list)%targets != 0 || len(start) != 0 && len(start) != targets {
		return nil, fmt.Errorf("%d coefficients and %d intercepts for %d outputs", len(list), len(start), targets)
	}
	p := &product32{k: len(list) / targets, m: targets, start: start}
	p.weights = transposed(list, targets, p.k)
	return p, nil
}

// transposed turns rows × columns around.
func transposed(list []float32, rows, columns int) []float32 {
	out := make([]float32, len(list))
	for r := range rows {
		for k := range columns {
			out[k*rows+r] = list[r*columns+k]
		}
	}
	return out
}

// transforms are the words of post_transform, in the order of their constants.
var transforms = []string{"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}

const (
	transformNone = iota
	transformSoftmax
	transformLogistic
	transformSoftmaxZero
	transformProbit
)

func buildLinearRegressor(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	if err := n.only("coefficients", "intercepts", "post_transform", "targets"); err != nil {
		return nil, err
	}
	targets, err := n.int("targets", 1)
	if err != nil {
		return nil, err
	}
	p, err := n.weights(int(min(targets, maxWidth)))
	if err != nil {
		return nil, err
	}
	post, err := n.choice("post_transform", "NONE", transforms...)
	if err != nil {
		return nil, err
	}
	out, err := c.multiply(v, p)
	if err != nil {
		return nil, err
	}
	if post == transformProbit || p.m > 1 {
		c.after(out, post)
	}
	return []*value{out}, nil
}

// after transforms scores in place, as the runtime's linear operators do.
func (c *compiler) after(v *value, post int) {
	var f func(x, y []float32)
	switch post {
	case transformSoftmax:
		f = softmax
	case transformSoftmaxZero:
		f = softmaxZero
	case transformLogistic:
		f = each(sigmoidf)
	case transformProbit:
		f = each(probit)
	default:
		return
	}
	width := v.width()
	c.step(func(s *state, rows int) {
		y := s.bufs[v.buf].floats
		for i := 0; i < rows*width; i += width {
			f(y[i:i+width], y[i:i+width])
		}
	})
}

func each(f func(x float32) float32) func(x, y []float32) {
	return func(x, y []float32) {
		for i, v := range x {
			y[i] = f(v)
		}
	}
}

func buildLinearClassifier(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := c.floats(in, 0)
	if err != nil {
		return nil, err
	}
	if err := n.only("classlabels_ints", "classlabels_strings", "coefficients", "intercepts", "multi_class", "post_transform"); err != nil {
		return nil, err
	}
	labels, classes, err := n.labels("classlabels_strings", "classlabels_ints")
	if err != nil {
		return nil, err
	}
	start, err := n.floats("intercepts")
	if err != nil {
		return nil, err
	}
	p, err := n.weights(len(start))
	if err != nil {
		return nil, err
	}
	post, err := n.choice("post_transform", "NONE", transforms...)
	if err != nil {
		return nil, err
	}
	if len(labels) != p.m && (p.m != 1 || len(labels) != 2) {
		return nil, fmt.Errorf("%d labels for %d scores", len(labels), p.m)
	}
	scores, err := c.multiply(v, p)
	if err != nil {
		return nil, err
	}
	label, err := c.winner(n, scores, classes)
	if err != nil {
		return nil, err
	}
	switch {
	case p.m > 1 || post == transformProbit:
		c.after(scores, post)
	case len(labels) == 2:
		if scores, err = c.second(scores); err != nil {
			return nil, err
		}
	}
	scores.labels = labels
	return []*value{label, scores}, nil
}

// winner is the label of the greatest score, or of one score's sign. It is made only where something asks for it.
func (c *compiler) winner(n *node, scores *value, classes buffer) (*value, error) {
	if len(n.outputs) == 0 || !c.wanted[n.outputs[0]] {
		return scores, nil
	}
	at, err := c.make(int64s, []int{1}, 0)
	if err != nil {
		return nil, err
	}
	width := scores.width()
	c.step(func(s *state, rows int) {
		y, to := s.bufs[scores.buf].floats, s.bufs[at.buf].ints
		for r := range rows {
			row := y[r*width : (r+1)*width]
			best := 0
			for i, v := range row {
				if v > row[best] {
					best = i
				}
			}
			if width == 1 {
				best = int(truth(row[0] > 0))
			}
			to[r] = int64(best)
		}
	})
	return c.label(at, classes)
}

// label turns places into classes.
func (c *compiler) label(at *value, classes buffer) (*value, error) {
	k, size := int64s, len(classes.ints)
	if classes.texts != nil {
		k, size = texts, len(classes.texts)
	}
	list, err := c.constantOf(k, []int{size}, classes)
	if err != nil {
		return nil, err
	}
	return c.look(list, at, []int{1}, 0)
}

// second puts 1 - score before each score.
func (c *compiler) second(v *value) (*value, error) {
	out, err := c.make(float, []int{1, 2}, 0)
	if err != nil {
		return nil, err
	}
	c.step(func(s *state, rows int) {
		x, y := s.bufs[v.buf].floats, s.bufs[out.buf].floats
		for r := range rows {
			y[2*r], y[2*r+1] = 1-x[r], x[r]
		}
	})
	return out, nil
}
