package feature

import (
	"fmt"
	"math"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Contract is the compiled inputs and features of one manifest. It is for any number of goroutines; its Rows are not.
type Contract struct {
	inputs   []input
	declared []manifest.Input
	names    []string // of the inputs
	index    map[string]int
	features []string
	program  program
}

// New compiles the manifest's inputs and features. The error is fault.Invalid and lists every problem, those of
// expressions with the feature's name and the position in the expression.
func New(m *manifest.Manifest) (*Contract, error) {
	c := &Contract{index: make(map[string]int, len(m.Inputs))}
	var problems []string
	for i := range m.Inputs {
		in, err := newInput(&m.Inputs[i])
		if err != nil {
			problems = append(problems, fmt.Sprintf("input %q: %v", m.Inputs[i].Name, err))
		}
		c.inputs = append(c.inputs, in)
		c.declared = append(c.declared, m.Inputs[i])
		c.names = append(c.names, m.Inputs[i].Name)
		c.index[m.Inputs[i].Name] = i
	}
	b := newBuilder(c)
	for _, f := range m.Features {
		c.features = append(c.features, f.Name)
		if err := b.feature(f); err != nil {
			problems = append(problems, fmt.Sprintf("feature %q: %v", f.Name, err))
		}
	}
	if problems != nil {
		return nil, fault.New(fault.Invalid, nil, "%s", strings.Join(problems, "\n"))
	}
	c.program = b.finish()
	return c, nil
}

// Inputs are the manifest's inputs; an input's number is its place here.
func (c *Contract) Inputs() []manifest.Input { return c.declared }

// FeatureNames are the names of the matrix's columns.
func (c *Contract) FeatureNames() []string { return c.features }

// Width is the number of the matrix's columns.
func (c *Contract) Width() int { return len(c.features) }

// Lookup is the number of the input of that name. It does not allocate.
func (c *Contract) Lookup(name []byte) (input int, ok bool) {
	input, ok = c.index[string(name)]
	return input, ok
}

// Suggest is the input whose name is nearest to a name that is none, or "".
func (c *Contract) Suggest(name string) string { return manifest.Suggest(name, c.names) }

// maxExact is the largest number up to which a float64 holds every whole number.
const maxExact = 1 << 53

var null = math.NaN()
