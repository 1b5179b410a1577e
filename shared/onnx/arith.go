package onnx

import (
	"fmt"
	"math"
)

// arithmetic is an operator on two numbers, by kind.
type arithmetic struct {
	float  func(x, y float32) float32
	double func(x, y float64) float64
	ints   func(x, y int64) int64
}

var (
	add = arithmetic{
		func(x, y float32) float32 { return x + y },
		func(x, y float64) float64 { return x + y },
		func(x, y int64) int64 { return x + y },
	}
	sub = arithmetic{
		func(x, y float32) float32 { return x - y },
		func(x, y float64) float64 { return x - y },
		func(x, y int64) int64 { return x - y },
	}
	mul = arithmetic{
		func(x, y float32) float32 { return x * y },
		func(x, y float64) float64 { return x * y },
		func(x, y int64) int64 { return x * y },
	}
	div = arithmetic{
		func(x, y float32) float32 { return x / y },
		func(x, y float64) float64 { return x / y },
		func(x, y int64) int64 { return x / y },
	}
	power    = arithmetic{float: powf, double: pow}
	smaller  = arithmetic{least[float32], least[float64], least[int64]}
	greater  = arithmetic{most[float32], most[float64], most[int64]}
	standard = map[string]op{
		"Abs":             {1, 1, buildUnary(number[float32]{abs[float32]}, number[float64]{abs[float64]}, number[int64]{abs[int64]})},
		"Add":             {2, 2, buildArithmetic(add)},
		"And":             {2, 2, buildLogic(func(x, y int64) int64 { return x & y })},
		"ArgMax":          {1, 1, buildArg(above[float32], above[float64], above[int64])},
		"ArgMin":          {1, 1, buildArg(below[float32], below[float64], below[int64])},
		"Cast":            {1, 1, buildCast},
		"Clip":            {1, 3, buildClip},
		"Concat":          {1, -1, buildConcat},
		"Constant":        {0, 0, buildConstant},
		"ConstantOfShape": {1, 1, buildConstantOfShape},
		"Div":             {2, 2, buildArithmetic(div)},
		"Equal":           {2, 2, buildCompare(comparison{equal[float32], equal[float64], equal[int64], equal[string]})},
		"Exp":             {1, 1, buildUnary(number[float32]{expf}, number[float64]{exp}, number[int64]{})},
		"Expand":          {2, 2, buildExpand},
		"Flatten":         {1, 1, buildFlatten},
		"Gather":          {2, 2, buildGather},
		"Gemm":            {2, 3, buildGemm},
		"Greater":         {2, 2, buildCompare(comparison{above[float32], above[float64], above[int64], nil})},
		"GreaterOrEqual":  {2, 2, buildCompare(comparison{notBelow[float32], notBelow[float64], notBelow[int64], nil})},
		"Identity":        {1, 1, buildIdentity},
		"IsNaN":           {1, 1, buildIsNaN},
		"Less":            {2, 2, buildCompare(comparison{below[float32], below[float64], below[int64], nil})},
		"LessOrEqual":     {2, 2, buildCompare(comparison{notAbove[float32], notAbove[float64], notAbove[int64], nil})},
		"Log":             {1, 1, buildUnary(number[float32]{logf}, number[float64]{ln}, number[int64]{})},
		"LpNormalization": {1, 1, buildLpNormalization},
		"MatMul":          {2, 2, buildMatMul},
		"Max":             {1, -1, buildArithmetic(greater)},
		"Min":             {1, -1, buildArithmetic(smaller)},
		"Mul":             {2, 2, buildArithmetic(mul)},
		"Neg":             {1, 1, buildUnary(number[float32]{minus[float32]}, number[float64]{minus[float64]}, number[int64]{minus[int64]})},
		"Not":             {1, 1, buildNot},
		"Or":              {2, 2, buildLogic(func(x, y int64) int64 { return x | y })},
		"Pow":             {2, 2, buildPow},
		"Reciprocal":      {1, 1, buildUnary(number[float32]{inverse[float32]}, number[float64]{inverse[float64]}, number[int64]{})},
		"ReduceL1":        {1, 2, buildReduce(reduceL1)},
		"ReduceL2":        {1, 2, buildReduce(reduceL2)},
		"ReduceLogSumExp": {1, 2, buildReduce(reduceLogSumExp)},
		"ReduceMax":       {1, 2, buildReduce(reduceMost)},
		"ReduceMean":      {1, 2, buildReduce(reduceMean)},
		"ReduceMin":       {1, 2, buildReduce(reduceLeast)},
		"ReduceProd":      {1, 2, buildReduce(reduceProduct)},
		"ReduceSumSquare": {1, 2, buildReduce(reduceSquares)},
		"ReduceSum":       {1, 2, buildReduce(reduceSum)},
		"Relu":            {1, 1, buildUnary(number[float32]{positive[float32]}, number[float64]{positive[float64]}, number[int64]{})},
		"Reshape":         {2, 2, buildReshape},
		"Shape":           {1, 1, buildShape},
		"Sigmoid":         {1, 1, buildUnary(number[float32]{sigmoidf}, number[float64]{sigmoid}, number[int64]{})},
		"Slice":           {1, 5, buildSlice},
		"Softmax":         {1, 1, buildSoftmax},
		"Split":           {1, 2, buildSplit},
		"Sqrt":            {1, 1, buildUnary(number[float32]{sqrtf}, number[float64]{math.Sqrt}, number[int64]{})},
		"Squeeze":         {1, 2, buildSqueeze},
		"Sub":             {2, 2, buildArithmetic(sub)},
		"Sum":             {1, -1, buildArithmetic(add)},
		"Tanh":            {1, 1, buildUnary(number[float32]{tanhf}, number[float64]{}, number[int64]{})},
		"Transpose":       {1, 1, buildTranspose},
		"Unsqueeze":       {1, 2, buildUnsqueeze},
		"Where":           {3, 3, buildWhere},
		"Xor":             {2, 2, buildLogic(func(x, y int64) int64 { return x ^ y })},
	}
)

// least is the smaller one, or what is not a number.
func least[T float32 | float64 | int64](x, y T) T {
	if x < y || x != x {
		return x
	}
	return y
}

// most is the greater one, or what is not a number.
func most[T float32 | float64 | int64](x, y T) T {
	if x > y || x != x {
		return x
	}
	return y
}

// apply combines two values.
func (o *arithmetic) apply(c *compiler, a, b *value) (*value, error) {
	if a.kind != b.kind {
		return nil, fmt.Errorf("%s with %s", a.kind, b.kind)
	}
	switch {
	case a.kind == float && o.float != nil:
		return pairwise(c, float, a, b, o.float)
	case a.kind == double && o.double != nil:
		return pairwise(c, double, a, b, o.double)
	case a.kind == int64s && o.ints != nil:
		return pairwise(c, int64s, a, b, o.ints)
	case a.kind == int32s && o.ints != nil:
		return pairwise(c, int32s, a, b, func(x, y int64) int64 { return int64(int32(o.ints(x, y))) })
	}
	return nil, fmt.Errorf("%s is not calculated with", a.kind)
}

// buildArithmetic combines any number of values, from the first on.
func buildArithmetic(o arithmetic) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, n *node, in []*value) ([]*value, error) {
		out, err := input(in, 0)
		if err != nil {
			return nil, err
		}
		for i := range in[1:] {
			v, err := input(in, i+1)
			if err != nil {
				return nil, err
			}
			if n.op == "Div" {
				if err := c.checkDivisor(v); err != nil {
					return nil, err
				}
			}
			if out, err = o.apply(c, out, v); err != nil {
				return nil, err
			}
		}
		return []*value{c.alias(out, out.dims, out.axis)}, nil
	}
}

// checkDivisor refuses divisions of whole numbers by what may be 0, which end the runtime's process.
func (c *compiler) checkDivisor(v *value) error {
	if v.kind != int64s && v.kind != int32s {
		return nil
	}
	list, err := c.ints(v, "the divisor")
	if err != nil {
		return err
	}
	for _, d := range list {
		if d == 0 {
			return fmt.Errorf("a whole number is divided by 0")
		}
	}
	return nil
}

// buildPow takes a square and a cube as products, as the runtime does for an exponent that is one number.
func buildPow(c *compiler, _ *node, in []*value) ([]*value, error) {
	x, err := input(in, 0, float, double)
	if err != nil {
		return nil, err
	}
	y, err := input(in, 1)
	if err != nil {
		return nil, err
	}
	if y.kind != x.kind {
		if y, err = c.cast(y, x.kind); err != nil {
			return nil, err
		}
	}
	if y.constant() && y.width() == 1 && x.kind == float && len(c.bufs[y.buf].floats) == 1 {
		switch c.bufs[y.buf].floats[0] {
		case 2:
			out, err := unary(c, float, x, func(x float32) float32 { return x * x })
			return []*value{out}, err
		case 3:
			out, err := unary(c, float, x, func(x float32) float32 { return float32(x*x) * x })
			return []*value{out}, err
		}
	}
	out, err := power.apply(c, x, y)
	return []*value{out}, err
}
