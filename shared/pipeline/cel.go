package pipeline

import (
	"errors"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

// maxCondition bounds the CEL of one condition: the parser's cost grows with it.
const maxCondition = 10_000

// conditions compiles CEL. The environment is made at the first condition, most specs have none.
type conditions struct{ env *cel.Env }

func (c *conditions) environment() (*cel.Env, error) {
	if c.env == nil {
		env, err := cel.NewEnv(cel.Variable("inputs", cel.DynType))
		if err != nil {
			return nil, err
		}
		c.env = env
	}
	return c.env, nil
}

// parse checks syntax alone: expression selectors call functions that only the platform has.
func (c *conditions) parse(expr string) error {
	env, err := c.environment()
	if err != nil {
		return err
	}
	if len(expr) > maxCondition {
		return errors.New("it is too long")
	}
	_, issues := env.Parse(expr)
	return brief(issues)
}

// compile checks a condition and gives the input parameters that it reads.
func (c *conditions) compile(expr string) ([]string, error) {
	env, err := c.environment()
	if err != nil {
		return nil, err
	}
	if len(expr) > maxCondition {
		return nil, errors.New("it is too long")
	}
	checked, issues := env.Compile(expr)
	if err := brief(issues); err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, errors.New("it is a " + t.String() + ", not a bool")
	}
	return readParameters(checked.NativeRep()), nil
}

// brief is the first of CEL's complaints without its drawing of the expression.
func brief(issues *cel.Issues) error {
	if issues == nil || issues.Err() == nil {
		return nil
	}
	return errors.New(issues.Errors()[0].Message)
}

// readParameters finds inputs.parameter_values['x'] in an expression.
func readParameters(a *ast.AST) []string {
	var names []string
	index := ast.FunctionMatcher(operators.Index)
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), index) {
		args := e.AsCall().Args()
		if len(args) != 2 || args[0].Kind() != ast.SelectKind || args[1].Kind() != ast.LiteralKind {
			continue
		}
		if s := args[0].AsSelect(); s.FieldName() != "parameter_values" || s.Operand().Kind() != ast.IdentKind || s.Operand().AsIdent() != "inputs" {
			continue
		}
		if name, ok := args[1].AsLiteral().Value().(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func (d *dagLint) condition(at place, expr string, t *taskSpec, c *pipelinespec.ComponentSpec) {
	reads, err := d.cel.compile(expr)
	if err != nil {
		d.add(at, "cel", got(expr)+" is no CEL condition: "+strings.TrimSpace(err.Error()), "such as inputs.parameter_values['x'] == 'y'")
		return
	}
	have := sortedKeys(t.GetInputs().GetParameters())
	for _, name := range sortedKeys(c.GetInputDefinitions().GetParameters()) {
		if !slices.Contains(have, name) {
			have = append(have, name)
		}
	}
	for _, name := range reads {
		if !slices.Contains(have, name) {
			d.add(at, "input", "reads "+got(name)+", which is no input of the task", oneOf(name, have))
		}
	}
}
