package xgboost

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"
)

// object, list and the scalars of encoding/json make a document that tests can bend and write in both syntaxes.
type (
	object = map[string]any
	list   = []any
)

const testFolder = "testdata/xgb-3.4.1"

// load parses a model of testdata.
func load(t testing.TB, name string) object { return loadFrom(t, testFolder, name) }

func loadFrom(t testing.TB, folder, name string) object {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(file(t, folder, name+".json")))
	d.UseNumber()
	var doc object
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// get walks down by keys and positions.
func get(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			v = v.(object)[s]
		case int:
			v = v.(list)[s]
		}
	}
	return v
}

// boosterOf is the model, which dart had one level deeper up to 3.2.
func boosterOf(doc object) object {
	b := get(doc, "learner", "gradient_booster").(object)
	if nested, ok := b["gbtree"].(object); ok {
		b = nested
	}
	return b["model"].(object)
}

func treeOf(doc object, i int) object { return get(boosterOf(doc), "trees", i).(object) }

// number reads an element of an array of numbers.
func numberAt(tree object, key string, i int) int {
	n, err := strconv.Atoi(string(get(tree, key, i).(json.Number)))
	if err != nil {
		panic(err)
	}
	return n
}

func num(v int) json.Number { return json.Number(strconv.Itoa(v)) }

// toJSON writes a document; a json.Number may be NaN.
func toJSON(v any) []byte {
	var b bytes.Buffer
	writeJSON(&b, v)
	return b.Bytes()
}

func writeJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for i, k := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(b, "%q:", k)
			writeJSON(b, v[k])
		}
		b.WriteByte('}')
	case list:
		b.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, e)
		}
		b.WriteByte(']')
	case json.Number:
		b.WriteString(string(v))
	default:
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(data)
	}
}

// toUBJSON writes a document in the dialect of XGBoost, arrays of floats typed and others counted.
func toUBJSON(v any) []byte {
	var b bytes.Buffer
	writeUBJSON(&b, v)
	return b.Bytes()
}

func writeLength(b *bytes.Buffer, n int) {
	b.WriteByte('L')
	b.Write(binary.BigEndian.AppendUint64(nil, uint64(n)))
}

func writeUBJSON(b *bytes.Buffer, v any) {
	switch v := v.(type) {
	case object:
		b.WriteByte('{')
		for _, k := range slices.Sorted(maps.Keys(v)) {
			writeLength(b, len(k))
			b.WriteString(k)
			writeUBJSON(b, v[k])
		}
		b.WriteByte('}')
	case list:
		b.WriteString("[#")
		writeLength(b, len(v))
		for _, e := range v {
			writeUBJSON(b, e)
		}
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			writeLength(b, int(i))
			return
		}
		f, _ := strconv.ParseFloat(string(v), 32) // out of range is ±Inf, as intended
		b.WriteByte('d')
		b.Write(binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f))))
	case string:
		b.WriteByte('S')
		writeLength(b, len(v))
		b.WriteString(v)
	case bool:
		b.WriteByte(map[bool]byte{true: 'T', false: 'F'}[v])
	case nil:
		b.WriteByte('Z')
	}
}
