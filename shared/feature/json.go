package feature

import (
	"encoding/json"
	"math"
	"strconv"
)

// Set sets a value as encoding/json decodes it with UseNumber, for callers that have read an instance already: parity rows
// and tools. Requests and files have paths of their own that make no such values.
func (r *Rows) Set(row, input int, v any) {
	switch v := v.(type) {
	case nil:
		r.SetNull(row, input)
	case bool:
		r.SetBool(row, input, v)
	case string:
		r.SetString(row, input, []byte(v))
	case json.Number:
		f, err := strconv.ParseFloat(v.String(), 64)
		if err != nil {
			f = math.Inf(1) // out of range: no input takes it
		}
		r.SetNumber(row, input, f, []byte(v))
	case []any:
		r.SetOther(row, input, "an array")
	default:
		r.SetOther(row, input, "an object")
	}
}
