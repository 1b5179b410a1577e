package onnx

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// rewrite copies a message but for the fields of that number, whose bodies f may replace; nil takes one away.
func rewrite(t testing.TB, data []byte, num protowire.Number, f func(i int, body []byte) []byte) []byte {
	t.Helper()
	var out []byte
	i := 0
	for m := (message{rest: data}); ; {
		before := m.rest
		more, err := m.next()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return out
		}
		if m.num != num || m.typ != protowire.BytesType {
			out = append(out, before[:len(before)-len(m.rest)]...)
			continue
		}
		if body := f(i, m.body); body != nil {
			out = protowire.AppendBytes(protowire.AppendTag(out, num, protowire.BytesType), body)
		}
		i++
	}
}

// editGraph changes the graph of a file.
func editGraph(t testing.TB, data []byte, f func(graph []byte) []byte) []byte {
	t.Helper()
	return rewrite(t, data, 7, func(_ int, graph []byte) []byte { return f(graph) })
}

// editNode changes the first node of an operator.
func editNode(t testing.TB, data []byte, op string, f func(node []byte) []byte) []byte {
	t.Helper()
	found := false
	out := editGraph(t, data, func(graph []byte) []byte {
		return rewrite(t, graph, 1, func(_ int, body []byte) []byte {
			names := 1 << 20
			n, err := parseNode(body, &names)
			if err != nil || n.op != op || found {
				return body
			}
			found = true
			return f(body)
		})
	})
	if !found {
		t.Errorf("no node of %s to change", op)
	}
	return out
}

// editAttribute changes an attribute of the first node of an operator; nil takes it away.
func editAttribute(t testing.TB, data []byte, op, name string, f func(attribute []byte) []byte) []byte {
	t.Helper()
	found := false
	out := editNode(t, data, op, func(node []byte) []byte {
		return rewrite(t, node, 5, func(_ int, body []byte) []byte {
			a, err := parseAttribute(body)
			if err != nil || a.name != name {
				return body
			}
			found = true
			return f(body)
		})
	})
	if !found {
		t.Errorf("no attribute %s of %s to change", name, op)
	}
	return out
}

// attributeOf is an attribute of a kind with what append adds.
func attributeOf(name string, kind uint64, add func(b []byte) []byte) []byte {
	b := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
	return protowire.AppendVarint(protowire.AppendTag(add(b), 20, protowire.VarintType), kind)
}

func intsOf(name string, values []int64) []byte {
	return attributeOf(name, typeInts, func(b []byte) []byte {
		var packed []byte
		for _, v := range values {
			packed = protowire.AppendVarint(packed, uint64(v))
		}
		return protowire.AppendBytes(protowire.AppendTag(b, 8, protowire.BytesType), packed)
	})
}

func floatsOf(name string, values []float32) []byte {
	return attributeOf(name, typeFloats, func(b []byte) []byte {
		for _, v := range values {
			b = protowire.AppendFixed32(protowire.AppendTag(b, 7, protowire.Fixed32Type), math.Float32bits(v))
		}
		return b
	})
}

func textsOf(name string, values []string) []byte {
	return attributeOf(name, typeStrings, func(b []byte) []byte {
		for _, v := range values {
			b = protowire.AppendString(protowire.AppendTag(b, 9, protowire.BytesType), v)
		}
		return b
	})
}

func intOf(name string, v int64) []byte {
	return attributeOf(name, typeInt, func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), uint64(v))
	})
}

func textOf(name, v string) []byte {
	return attributeOf(name, typeString, func(b []byte) []byte {
		return protowire.AppendString(protowire.AppendTag(b, 4, protowire.BytesType), v)
	})
}

// nodeOf writes a node.
func nodeOf(op, domain string, inputs, outputs []string, attributes ...[]byte) []byte {
	var b []byte
	text := func(num protowire.Number, v string) {
		b = protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
	}
	for _, v := range inputs {
		text(1, v)
	}
	for _, v := range outputs {
		text(2, v)
	}
	text(3, "it")
	text(4, op)
	for _, a := range attributes {
		b = protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), a)
	}
	text(7, domain)
	return b
}

// portOf writes an input or output: rows of columns elements, or of no declared shape with columns 0.
func portOf(name string, elem uint64, columns uint64) []byte {
	tag := func(b []byte, num protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), body)
	}
	tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), elem)
	if columns > 0 {
		size := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), columns)
		tensor = tag(tensor, 2, tag(tag(nil, 1, nil), 1, size))
	}
	return tag(tag(nil, 1, []byte(name)), 2, tag(nil, 1, tensor))
}

// fileOf writes a model over X of columns numbers with an output Y.
func fileOf(columns uint64, nodes ...[]byte) []byte {
	tag := func(b []byte, num protowire.Number, body []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), body)
	}
	var graph []byte
	for _, n := range nodes {
		graph = tag(graph, 1, n)
	}
	graph = tag(tag(graph, 11, portOf("X", 1, columns)), 12, portOf("Y", 1, 0))
	b := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 9)
	b = tag(b, 7, graph)
	for domain, version := range map[string]uint64{"": 18, "ai.onnx.ml": 3} {
		opset := protowire.AppendVarint(protowire.AppendTag(tag(nil, 1, []byte(domain)), 2, protowire.VarintType), version)
		b = tag(b, 8, opset)
	}
	return b
}
