package feature

// A program is all features of a contract compiled to operations over columns. Registers 0 to inputs-1 are the input
// columns; then come the constants and the results of operations, each register written once. A part that several
// features share is computed once.
type program struct {
	inputs    int
	registers int
	constants []constant
	ops       []op
	features  []int // by feature: its register
}

type constant struct {
	register int
	value    float64
}

// op computes one register from up to three others. Every element is computed for itself, so results do not depend on
// how many rows there are.
type op struct {
	code    opcode
	dst     int
	a, b, c int
	unary   func(float64) float64
	binary  func(float64, float64) float64
	list    []float64
}

type opcode uint8

const (
	opAdd opcode = iota
	opSubtract
	opMultiply
	opDivide
	opUnary
	opBinary
	opSelect // a ? b : c
	opIn     // a in list
)

// blockRows is how many rows an operation does at once: long enough to hide the cost of dispatching it, short enough
// for a hundred registers to stay in the second-level cache.
const blockRows = 128

// scratch is the registers of one Rows.
type scratch struct {
	memory    []float64
	registers [][]float64
}

func (p *program) newScratch() scratch {
	own := p.registers - p.inputs
	s := scratch{memory: make([]float64, own*blockRows), registers: make([][]float64, p.registers)}
	for i := range own {
		s.registers[p.inputs+i] = s.memory[i*blockRows : (i+1)*blockRows]
	}
	for _, c := range p.constants {
		for i := range s.registers[c.register] {
			s.registers[c.register][i] = c.value
		}
	}
	return s
}

// Matrix is the features of all rows, row-major Len × Width, NaN where missing. It writes into dst if that is large
// enough, and allocates nothing then. Bad rows hold numbers of no meaning.
func (c *Contract) Matrix(r *Rows, dst []float64) []float64 {
	width := len(c.features)
	if need := r.n * width; cap(dst) < need {
		dst = make([]float64, need)
	} else {
		dst = dst[:need]
	}
	p, regs := &c.program, r.scratch.registers
	for first := 0; first < r.n; first += blockRows {
		n := min(blockRows, r.n-first)
		for i := range p.inputs {
			regs[i] = r.cols[i][first : first+n]
		}
		p.run(regs, n)
		block := dst[first*width : (first+n)*width]
		for f, reg := range p.features {
			for i, v := range regs[reg][:n] {
				block[i*width+f] = v
			}
		}
	}
	return dst
}

func (p *program) run(regs [][]float64, n int) {
	for i := range p.ops {
		o := &p.ops[i]
		dst, a, b := regs[o.dst][:n], regs[o.a][:n], regs[o.b][:n]
		switch o.code {
		case opAdd:
			for i := range dst {
				dst[i] = a[i] + b[i]
			}
		case opSubtract:
			for i := range dst {
				dst[i] = a[i] - b[i]
			}
		case opMultiply:
			for i := range dst {
				dst[i] = a[i] * b[i]
			}
		case opDivide:
			for i := range dst {
				dst[i] = a[i] / b[i]
			}
		case opUnary:
			for i := range dst {
				dst[i] = o.unary(a[i])
			}
		case opBinary:
			for i := range dst {
				dst[i] = o.binary(a[i], b[i])
			}
		case opSelect:
			c := regs[o.c][:n]
			for i := range dst {
				dst[i] = choose(a[i], b[i], c[i])
			}
		case opIn:
			for i := range dst {
				dst[i] = isIn(a[i], o.list)
			}
		}
	}
}

func choose(condition, yes, no float64) float64 {
	switch {
	case condition != condition:
		return null
	case condition != 0:
		return yes
	}
	return no
}

func isIn(v float64, list []float64) float64 {
	if v != v {
		return null
	}
	for _, x := range list {
		if v == x {
			return 1
		}
	}
	return 0
}
