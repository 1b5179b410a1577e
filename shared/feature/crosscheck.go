package feature

import (
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
)

// hidden is put before the names of functions for the library's checker, so that an input may be called like one:
// {name: hour, expr: hour(time)}. No input's name holds it.
const hidden = "\x00"

// crossCheck lets the library type-check the expression, with our functions and inputs. It works on a tree of its own,
// in which integers are made floats, since all our numbers are.
func (b *builder) crossCheck(source string) error {
	env := map[string]any{hidden + "%": func(float64, float64) float64 { return 0 }}
	for i, in := range b.c.inputs {
		env[b.c.names[i]] = example(inputKinds[in.kind], in.texts != nil)
	}
	for _, f := range functions {
		switch {
		case f.takes == moment:
			env[hidden+f.name] = func(time.Time) float64 { return 0 }
		case f.unary != nil:
			env[hidden+f.name] = func(float64) float64 { return 0 }
		default:
			env[hidden+f.name] = func(float64, ...float64) float64 { return 0 }
		}
	}
	config := conf.New(env)
	for _, f := range builtin.Builtins {
		config.Disabled[f.Name] = true
	}
	tree, err := parser.ParseWithConfig(source, config)
	if err != nil {
		return describeSyntax(source, err)
	}
	ast.Walk(&tree.Node, asFloats{})
	if _, err := checker.Check(tree, config); err != nil {
		return describeSyntax(source, err)
	}
	return nil
}

func example(k kind, isText bool) any {
	switch {
	case k == boolean:
		return false
	case k == moment:
		return time.Time{}
	case k == category && isText:
		return ""
	}
	return 0.0
}

type asFloats struct{}

var _ ast.Visitor = asFloats{}

// Visit sees a node after its children.
func (asFloats) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IntegerNode:
		ast.Patch(node, &ast.FloatNode{Value: float64(n.Value)})
	case *ast.BinaryNode:
		switch n.Operator {
		case "..":
			ast.Patch(node, &ast.ArrayNode{Nodes: []ast.Node{n.Left, n.Right}})
		case "%":
			callee := &ast.IdentifierNode{Value: hidden + "%"}
			ast.Patch(node, &ast.CallNode{Callee: callee, Arguments: []ast.Node{n.Left, n.Right}})
		}
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			callee.Value = hidden + strings.TrimPrefix(callee.Value, hidden) // chains of comparisons hold a part twice
		}
	}
}
