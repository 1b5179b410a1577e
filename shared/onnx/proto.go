package onnx

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits on a file, far above real models.
const (
	maxBytes  = 256 << 20
	maxNodes  = 20_000 // and initializers
	maxPorts  = 1 << 16
	maxFields = 64 // attributes of a node
	maxName   = 1 << 10
	lowestIR  = 3
	highestIR = 13
)

// file is a ModelProto.
type file struct {
	ir       int64
	producer string
	version  string // of the producer
	opsets   map[string]int64
	nodes    []node
	tensors  []tensor // initializers
	inputs   []port
	outputs  []port
	names    int // of inputs and outputs of nodes that may still come
}

// node is a NodeProto. Its attributes stay in the file until they are asked for.
type node struct {
	name, op, domain string
	inputs, outputs  []string
	attributes       []attribute
}

// attribute is an AttributeProto: its name and all its bytes.
type attribute struct {
	name string
	kind int64
	raw  []byte
}

// port is a ValueInfoProto: an input or output of the graph.
type port struct {
	name string
	kind kind   // 0 for what is no tensor of a known kind
	elem int64  // the number of the element type in the file
	dims []int  // -1 where the file does not say
	what string // "tensor", "sequence", "map", …
}

func parseFile(data []byte) (*file, error) {
	f := &file{opsets: map[string]int64{}, names: 4096 + len(data)/6}
	var graph []byte
	graphs := 0
	err := fields(data, func(m *message) error {
		switch m.num {
		case 1:
			return m.int(&f.ir)
		case 2:
			return m.text(&f.producer)
		case 3:
			return m.text(&f.version)
		case 7:
			graphs++
			graph = m.body
			return m.want(protowire.BytesType)
		case 8:
			return f.opset(m)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the file is damaged or no ONNX model: %w", err)
	case f.ir < lowestIR || f.ir > highestIR:
		return nil, fmt.Errorf("ir_version is %d; this reader knows %d to %d", f.ir, lowestIR, highestIR)
	case graphs != 1:
		return nil, fmt.Errorf("%d graphs, expected one", graphs)
	}
	return f, f.graph(graph)
}

// opset reads an OperatorSetIdProto.
func (f *file) opset(m *message) error {
	var domain string
	var version int64
	err := fields(m.body, func(m *message) error {
		switch m.num {
		case 1:
			return m.text(&domain)
		case 2:
			return m.int(&version)
		}
		return nil
	})
	if domain == "ai.onnx" {
		domain = ""
	}
	f.opsets[domain] = max(f.opsets[domain], version) // converters name a domain twice
	return err
}

func (f *file) graph(data []byte) error {
	return fields(data, func(m *message) error {
		switch m.num {
		case 1:
			if len(f.nodes) == maxNodes {
				return fmt.Errorf("more than %d nodes", maxNodes)
			}
			n, err := parseNode(m.body, &f.names)
			f.nodes = append(f.nodes, n)
			return place(n.where(len(f.nodes)-1), err)
		case 5:
			if len(f.tensors) == maxNodes {
				return fmt.Errorf("more than %d initializers", maxNodes)
			}
			t, err := parseTensor(m.body)
			f.tensors = append(f.tensors, t)
			return place(fmt.Sprintf("initializer %q", t.name), err)
		case 11, 12:
			if len(f.inputs)+len(f.outputs) == maxPorts {
				return fmt.Errorf("more than %d inputs and outputs", maxPorts)
			}
			p, err := parsePort(m.body)
			if m.num == 11 {
				f.inputs = append(f.inputs, p)
			} else {
				f.outputs = append(f.outputs, p)
			}
			return place(fmt.Sprintf("input or output %q", p.name), err)
		case 15:
			return fmt.Errorf("sparse initializers are not read")
		}
		return nil
	})
}

// place puts where before an error.
func place(where string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

// parseNode takes its inputs and outputs from the names that the file may still have.
func parseNode(data []byte, names *int) (node, error) {
	var n node
	err := fields(data, func(m *message) error {
		var text string
		if m.num <= 2 {
			if *names--; *names < 0 {
				return fmt.Errorf("more inputs and outputs of nodes than a file of this size has")
			}
		}
		switch m.num {
		case 1:
			err := m.text(&text)
			n.inputs = append(n.inputs, text)
			return err
		case 2:
			err := m.text(&text)
			n.outputs = append(n.outputs, text)
			return err
		case 3:
			return m.text(&n.name)
		case 4:
			return m.text(&n.op)
		case 5:
			if len(n.attributes) == maxFields {
				return fmt.Errorf("more than %d attributes", maxFields)
			}
			a, err := parseAttribute(m.body)
			n.attributes = append(n.attributes, a)
			return place(fmt.Sprintf("attribute %q", a.name), err)
		case 7:
			return m.text(&n.domain)
		}
		return nil
	})
	if n.domain == "ai.onnx" {
		n.domain = ""
	}
	if len(n.op) > maxName || len(n.domain) > maxName || len(n.name) > maxName {
		return n, fmt.Errorf("a name of more than %d bytes", maxName)
	}
	return n, err
}

// parseAttribute checks the wire form of all fields, so that later readings need not.
func parseAttribute(data []byte) (attribute, error) {
	a := attribute{raw: data}
	err := fields(data, func(m *message) error {
		switch m.num {
		case 1:
			return m.text(&a.name)
		case 2:
			return m.want(protowire.Fixed32Type)
		case 3:
			return m.want(protowire.VarintType)
		case 4, 5, 9:
			return m.want(protowire.BytesType)
		case 7:
			return checkList(m, protowire.Fixed32Type)
		case 8:
			return checkList(m, protowire.VarintType)
		case 20:
			return m.int(&a.kind)
		case 21:
			return fmt.Errorf("refers to a function's attribute")
		case 6, 10, 11, 22, 23:
			return fmt.Errorf("holds a graph or a list of tensors, which no operator that is read takes")
		}
		return nil
	})
	if len(a.name) > maxName {
		a.name = a.name[:maxName]
		return a, fmt.Errorf("a name of more than %d bytes", maxName)
	}
	return a, err
}

func parsePort(data []byte) (port, error) {
	p := port{what: "nothing"}
	var tensorType []byte
	err := fields(data, func(m *message) error {
		switch m.num {
		case 1:
			return m.text(&p.name)
		case 2:
			return fields(m.body, func(m *message) error {
				names := map[protowire.Number]string{1: "tensor", 4: "sequence", 5: "map", 8: "sparse tensor", 9: "optional"}
				if what, ok := names[m.num]; ok {
					p.what, tensorType = what, m.body
				}
				return nil
			})
		}
		return nil
	})
	if err != nil || p.what != "tensor" {
		return p, err
	}
	err = fields(tensorType, func(m *message) error {
		switch m.num {
		case 1:
			return m.int(&p.elem)
		case 2:
			return fields(m.body, p.dim)
		}
		return nil
	})
	p.kind = kindOf(p.elem)
	return p, err
}

// dim reads one dimension of a TensorShapeProto.
func (p *port) dim(m *message) error {
	if m.num != 1 {
		return nil
	}
	size := int64(-1)
	err := fields(m.body, func(m *message) error {
		if m.num == 1 {
			return m.int(&size)
		}
		return nil
	})
	if size < -1 || size > maxWidth || len(p.dims) == maxRank {
		return fmt.Errorf("dimension %d is %d", len(p.dims), size)
	}
	if size == 0 {
		size = -1 // older converters write 0 for a dimension that is not known
	}
	p.dims = append(p.dims, int(size))
	return err
}
