package feature

import (
	"fmt"
	"math"
	"strconv"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// kind is the type of a part of an expression.
type kind uint8

const (
	number kind = iota
	boolean
	category
	moment
	text // only a literal; compared with a categorical
)

var kindNames = [...]string{number: "a number", boolean: "a boolean", category: "a categorical", moment: "a timestamp", text: "text"}

var inputKinds = map[manifest.Type]kind{
	manifest.Number: number, manifest.Integer: number, manifest.Boolean: boolean,
	manifest.Categorical: category, manifest.Timestamp: moment,
}

// value is a compiled part of an expression: a register, or a constant that has none yet.
type value struct {
	kind     kind
	register int
	constant bool
	number   float64 // of a constant
	text     string  // of a text
	values   []manifest.Value
}

// describe names the value in a message.
func (v value) describe() string {
	switch {
	case v.kind == text:
		return "the text " + strconv.Quote(v.text)
	case v.constant && v.kind == number:
		return "the number " + strconv.FormatFloat(v.number, 'g', -1, 64)
	}
	return kindNames[v.kind]
}

// builder compiles features one after the other into one program.
type builder struct {
	c         *Contract
	p         program
	constants map[uint64]int // bits to register
	known     map[string]int // operation to its result, so that equal parts are computed once
}

func newBuilder(c *Contract) *builder {
	return &builder{
		c: c, p: program{inputs: len(c.inputs), registers: len(c.inputs)},
		constants: map[uint64]int{}, known: map[string]int{},
	}
}

func (b *builder) finish() program { return b.p }

// feature adds a column of the matrix.
func (b *builder) feature(f manifest.Feature) error {
	if f.Expr == "" {
		i, ok := b.c.index[f.Name]
		if !ok {
			return fmt.Errorf("is no input%s", didYouMean(f.Name, b.c.names))
		}
		if b.c.inputs[i].kind == manifest.Timestamp {
			return fmt.Errorf("is a timestamp, which is no number: take a part of it, such as hour(%s)", f.Name)
		}
		b.p.features = append(b.p.features, i)
		return nil
	}
	v, err := b.compile(f.Expr)
	if err != nil {
		return err
	}
	if v.kind == moment || v.kind == text {
		return fmt.Errorf("%q gives %s, expected a number, a boolean or a categorical", f.Expr, kindNames[v.kind])
	}
	b.p.features = append(b.p.features, b.register(v))
	return nil
}

// register is where the value stands; a constant gets a register at its first use.
func (b *builder) register(v value) int {
	if !v.constant {
		return v.register
	}
	bits := math.Float64bits(v.number)
	r, ok := b.constants[bits]
	if !ok {
		r = b.p.registers
		b.p.registers++
		b.constants[bits] = r
		b.p.constants = append(b.p.constants, constant{r, v.number})
	}
	return r
}

// emit adds an operation, or finds the register of an equal one. name tells operations apart.
func (b *builder) emit(name string, o op) int {
	key := fmt.Sprint(name, " ", o.a, " ", o.b, " ", o.c, " ", o.list)
	if r, ok := b.known[key]; ok {
		return r
	}
	o.dst = b.p.registers
	b.p.registers++
	b.p.ops = append(b.p.ops, o)
	b.known[key] = o.dst
	return o.dst
}

func (b *builder) emit1(name string, f func(float64) float64, a value) int {
	r := b.register(a)
	return b.emit(name, op{code: opUnary, a: r, b: r, unary: f})
}

func (b *builder) emit2(name string, f func(x, y float64) float64, x, y value) int {
	return b.emit(name, op{code: opBinary, a: b.register(x), b: b.register(y), binary: f})
}

func didYouMean(word string, among []string) string {
	if s := manifest.Suggest(word, among); s != "" {
		return fmt.Sprintf("; did you mean %q?", s)
	}
	return ""
}
