package feature

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/millrace-ml/millrace/shared/manifest"
)

const (
	// maxExpression is the longest expression, in bytes.
	maxExpression = 4096
	// maxVisits bounds the work for one expression. A chain of comparisons repeats its middle part in the syntax tree, and
	// nested chains double it each time.
	maxVisits = 4096
)

// compilation is the compiling of one expression.
type compilation struct {
	*builder
	source string
	visits int
}

// compile makes operations of an expression. Our own rules are checked first, for their messages are about inputs; then
// the library's type checker has the last word, so that every expression taken here is one of its language.
func (b *builder) compile(source string) (value, error) {
	if len(source) > maxExpression {
		return value{}, fmt.Errorf("the expression has %d bytes, expected at most %d", len(source), maxExpression)
	}
	tree, err := parse(source)
	if err != nil {
		return value{}, describeSyntax(source, err)
	}
	c := compilation{builder: b, source: source}
	v, err := c.visit(tree.Node)
	if err != nil {
		return value{}, err
	}
	return v, b.crossCheck(source)
}

// parse turns all built-in functions of the library off, so that every call is looked up in our table.
func parse(source string) (*parser.Tree, error) {
	config := conf.CreateNew()
	for _, f := range builtin.Builtins {
		config.Disabled[f.Name] = true
	}
	return parser.ParseWithConfig(source, config)
}

func describeSyntax(source string, err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return fmt.Errorf("%q: %w", source, err)
	}
	return placed(source, at.From, at.Message)
}

func placed(source string, at int, message string) error {
	return fmt.Errorf("%s at character %d of %q", message, at+1, source)
}

func (c *compilation) fail(n ast.Node, format string, args ...any) error {
	return placed(c.source, n.Location().From, fmt.Sprintf(format, args...))
}

func (c *compilation) visit(n ast.Node) (value, error) {
	if c.visits++; c.visits > maxVisits {
		return value{}, fmt.Errorf("the expression is too large: more than %d parts", maxVisits)
	}
	switch n := n.(type) {
	case *ast.IntegerNode:
		return value{constant: true, number: float64(n.Value)}, nil
	case *ast.FloatNode:
		return value{constant: true, number: n.Value}, nil
	case *ast.BoolNode:
		return value{kind: boolean, constant: true, number: truth(n.Value)}, nil
	case *ast.StringNode:
		return value{kind: text, text: n.Value}, nil
	case *ast.IdentifierNode:
		return c.input(n, n.Value)
	case *ast.MemberNode:
		if env, ok := n.Node.(*ast.IdentifierNode); ok && env.Value == "$env" && !n.Optional {
			if name, ok := n.Property.(*ast.StringNode); ok {
				return c.input(n, name.Value)
			}
		}
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			return c.call(n, callee.Value, n.Arguments)
		}
	case *ast.BuiltinNode:
		return c.call(n, n.Name, n.Arguments)
	case *ast.NilNode:
		return value{}, c.fail(n, "nil cannot be compared with: whatever is null makes the result null")
	}
	return value{}, c.fail(n, "%s is not offered in features: use arithmetic, comparisons, in, ?: and the functions %s",
		construct(n), strings.Join(functionNames(), ", "))
}

// construct names a part of the language that features do without.
func construct(n ast.Node) string {
	switch n.(type) {
	case *ast.ArrayNode:
		return "a list outside of in"
	case *ast.MapNode:
		return "a map"
	case *ast.VariableDeclaratorNode:
		return "let"
	case *ast.SequenceNode:
		return "a sequence"
	case *ast.MemberNode, *ast.ChainNode, *ast.CallNode:
		return "a member"
	case *ast.SliceNode:
		return "a slice"
	}
	return "this"
}

func (c *compilation) input(n ast.Node, name string) (value, error) {
	i, ok := c.c.index[name]
	if !ok {
		if lookupFunction(name) != nil {
			return value{}, c.fail(n, "%s is a function: write %s", name, lookupFunction(name).usage)
		}
		return value{}, c.fail(n, "%q is no input%s", name, didYouMean(name, c.c.names))
	}
	in := &c.c.inputs[i]
	return value{kind: inputKinds[in.kind], register: i, values: in.values}, nil
}

func (c *compilation) unary(n *ast.UnaryNode) (value, error) {
	v, err := c.visit(n.Node)
	if err != nil {
		return value{}, err
	}
	want := number
	if n.Operator == "!" || n.Operator == "not" {
		want = boolean
	}
	if v.kind != want {
		return value{}, c.fail(n, "%s takes %s, not %s", n.Operator, kindNames[want], v.describe())
	}
	switch {
	case want == boolean:
		return value{kind: boolean, register: c.emit1("not", not, v)}, nil
	case n.Operator == "+":
		return v, nil
	case v.constant:
		return value{constant: true, number: -v.number}, nil
	}
	return value{register: c.emit1("neg", negate, v)}, nil
}

func (c *compilation) conditional(n *ast.ConditionalNode) (value, error) {
	var parts [3]value
	for i, part := range []ast.Node{n.Cond, n.Exp1, n.Exp2} {
		v, err := c.visit(part)
		if err != nil {
			return value{}, err
		}
		parts[i] = v
	}
	cond, yes, no := parts[0], parts[1], parts[2]
	switch {
	case cond.kind != boolean:
		return value{}, c.fail(n.Cond, "?: takes a condition, not %s", cond.describe())
	case yes.kind != no.kind:
		return value{}, c.fail(n, "?: gives %s or %s, expected the same kind twice", yes.describe(), no.describe())
	case yes.kind == text:
		return value{}, c.fail(n, "?: gives a text, expected a number: the model sees only numbers")
	case yes.kind == category && !sameValues(yes, no):
		return value{}, c.fail(n, "?: gives categoricals with different values, whose codes do not mean the same")
	}
	r := c.emit("select", op{code: opSelect, a: c.register(cond), b: c.register(yes), c: c.register(no)})
	return value{kind: yes.kind, register: r, values: yes.values}, nil
}

func (c *compilation) call(n ast.Node, name string, arguments []ast.Node) (value, error) {
	f := lookupFunction(name)
	if f == nil {
		return value{}, c.fail(n, "unknown function %q%s", name, didYouMean(name, functionNames()))
	}
	least := 1
	if f.binary != nil {
		least = 2
	}
	if len(arguments) < least || len(arguments) > f.most {
		return value{}, c.fail(n, "%s is given %d arguments, expected %s", name, len(arguments), f.usage)
	}
	var result value
	for i, a := range arguments {
		v, err := c.visit(a)
		if err != nil {
			return value{}, err
		}
		if v.kind != f.takes {
			return value{}, c.fail(a, "%s takes %s, not %s", name, kindNames[f.takes], v.describe())
		}
		switch {
		case f.unary != nil:
			result = value{register: c.emit1(name, f.unary, v)}
		case i == 0:
			result = v
		default:
			result = value{register: c.emit2(name, f.binary, result, v)}
		}
	}
	return result, nil
}

func sameValues(a, b value) bool {
	if len(a.values) != len(b.values) {
		return false
	}
	for i := range a.values {
		if a.values[i] != b.values[i] {
			return false
		}
	}
	return true
}

// code is the code of a literal that a categorical is compared with.
func (c *compilation) code(n ast.Node, cat, literal value) (value, error) {
	want := manifest.NumberValue(literal.number)
	if literal.kind == text {
		want = manifest.TextValue(literal.text)
	}
	var words []string
	hint := ""
	for i, v := range cat.values {
		switch {
		case v == want:
			return value{kind: category, constant: true, number: float64(i), values: cat.values}, nil
		case v.Kind == manifest.Numeric && v.String() == want.Text:
			hint = "; write " + v.String() + ", without quotes"
		case v.Kind == manifest.Text && v.Text == want.String():
			hint = "; write " + v.String() + ", in quotes"
		}
		words = append(words, v.Text)
	}
	if hint == "" && want.Kind == manifest.Text {
		hint = didYouMean(want.Text, words)
	}
	if hint == "" {
		hint = ", expected one of " + list(cat.values)
	}
	return value{}, c.fail(n, "%s is no value of the categorical%s", want, hint)
}

// whole is a constant's value if it is a whole number.
func whole(v value) (float64, bool) {
	return v.number, v.constant && v.kind == number && v.number == math.Floor(v.number) && math.Abs(v.number) <= maxExact
}
