package feature

import (
	"github.com/expr-lang/expr/ast"
)

var arithmetic = map[string]opcode{"+": opAdd, "-": opSubtract, "*": opMultiply, "/": opDivide}

var powers = map[string]func(x, y float64) float64{"%": remainder, "**": power, "^": power}

// orders holds comparisons; > and >= are < and <= with the sides swapped.
var orders = map[string]struct {
	name string
	f    func(x, y float64) float64
	swap bool
}{
	"<": {"lt", less, false}, "<=": {"le", atMost, false}, ">": {"lt", less, true}, ">=": {"le", atMost, true},
}

var logic = map[string]func(x, y float64) float64{"and": both, "&&": both, "or": either, "||": either}

func (c *compilation) binary(n *ast.BinaryNode) (value, error) {
	if n.Operator == "in" {
		return c.membership(n)
	}
	x, err := c.visit(n.Left)
	if err != nil {
		return value{}, err
	}
	y, err := c.visit(n.Right)
	if err != nil {
		return value{}, err
	}
	if f, ok := logic[n.Operator]; ok {
		if err := c.want(n, boolean, x, y); err != nil {
			return value{}, err
		}
		name := "and"
		if n.Operator == "or" || n.Operator == "||" {
			name = "or"
		}
		return value{kind: boolean, register: c.emit2(name, f, x, y)}, nil
	}
	if o, ok := orders[n.Operator]; ok {
		return c.order(n, x, y, o.name, o.f, o.swap)
	}
	if n.Operator == "==" || n.Operator == "!=" {
		return c.equality(n, x, y)
	}
	code, isPlain := arithmetic[n.Operator]
	f, isPower := powers[n.Operator]
	if !isPlain && !isPower {
		return value{}, c.fail(n, "the operator %s is not offered in features", n.Operator)
	}
	if err := c.want(n, number, x, y); err != nil {
		return value{}, err
	}
	if isPower {
		name := "pow"
		if n.Operator == "%" {
			name = "mod"
		}
		return value{register: c.emit2(name, f, x, y)}, nil
	}
	r := c.emit(n.Operator, op{code: code, a: c.register(x), b: c.register(y)})
	return value{register: r}, nil
}

func (c *compilation) want(n *ast.BinaryNode, k kind, x, y value) error {
	for _, v := range []value{x, y} {
		if v.kind != k {
			return c.fail(n, "%s takes %s, not %s", n.Operator, kindNames[k], v.describe())
		}
	}
	return nil
}

func (c *compilation) order(n *ast.BinaryNode, x, y value, name string, f func(x, y float64) float64, swap bool) (value, error) {
	if x.kind == category || y.kind == category {
		return value{}, c.fail(n, "a categorical has no order: compare it with ==, != or in")
	}
	if x.kind != y.kind || (x.kind != number && x.kind != moment) {
		return value{}, c.fail(n, "%s compares %s with %s, expected two numbers or two timestamps", n.Operator, x.describe(), y.describe())
	}
	if swap {
		x, y = y, x
	}
	return value{kind: boolean, register: c.emit2(name, f, x, y)}, nil
}

func (c *compilation) equality(n *ast.BinaryNode, x, y value) (value, error) {
	var err error
	switch {
	case x.kind == category && isLiteral(y):
		y, err = c.code(n.Right, x, y)
	case y.kind == category && isLiteral(x):
		x, err = c.code(n.Left, y, x)
	case x.kind == category && y.kind == category && !sameValues(x, y):
		err = c.fail(n, "%s compares categoricals with different values, whose codes do not mean the same", n.Operator)
	case x.kind != y.kind || x.kind == text:
		err = c.fail(n, "%s compares %s with %s, expected the same kind twice, or a categorical and one of its values", n.Operator, x.describe(), y.describe())
	}
	if err != nil {
		return value{}, err
	}
	if n.Operator == "!=" {
		return value{kind: boolean, register: c.emit2("ne", unequal, x, y)}, nil
	}
	return value{kind: boolean, register: c.emit2("eq", equal, x, y)}, nil
}

// isLiteral says whether a value can be a category's: a text or a number written out.
func isLiteral(v value) bool { return v.kind == text || (v.constant && v.kind == number) }

func (c *compilation) membership(n *ast.BinaryNode) (value, error) {
	x, err := c.visit(n.Left)
	if err != nil {
		return value{}, err
	}
	if bounds, ok := n.Right.(*ast.BinaryNode); ok && bounds.Operator == ".." {
		return c.inRange(n, x, bounds)
	}
	array, ok := n.Right.(*ast.ArrayNode)
	if !ok {
		return value{}, c.fail(n.Right, "in takes a list such as [1, 2] or a range such as 1..3")
	}
	if x.kind != number && x.kind != category {
		return value{}, c.fail(n, "in takes a number or a categorical, not %s", x.describe())
	}
	var members []float64
	for _, e := range array.Nodes {
		v, err := c.visit(e)
		switch {
		case err != nil:
			return value{}, err
		case !isLiteral(v):
			return value{}, c.fail(e, "a list holds constants, not %s", v.describe())
		case x.kind == category:
			if v, err = c.code(e, x, v); err != nil {
				return value{}, err
			}
		case v.kind != number:
			return value{}, c.fail(e, "a number is never %s", v.describe())
		}
		members = append(members, v.number)
	}
	r := c.register(x)
	return value{kind: boolean, register: c.emit("in", op{code: opIn, a: r, b: r, list: members})}, nil
}

func (c *compilation) inRange(n *ast.BinaryNode, x value, bounds *ast.BinaryNode) (value, error) {
	lo, err := c.visit(bounds.Left)
	if err != nil {
		return value{}, err
	}
	hi, err := c.visit(bounds.Right)
	if err != nil {
		return value{}, err
	}
	from, ok1 := whole(lo)
	to, ok2 := whole(hi)
	if !ok1 || !ok2 {
		return value{}, c.fail(bounds, "a range goes from one whole number to another, such as 1..3")
	}
	if x.kind != number {
		return value{}, c.fail(n, "a range holds numbers, not %s", x.describe())
	}
	r := c.register(x)
	o := op{code: opUnary, a: r, b: r, unary: contains(from, to), list: []float64{from, to}}
	return value{kind: boolean, register: c.emit("range", o)}, nil
}
