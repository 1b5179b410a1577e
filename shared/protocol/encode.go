package protocol

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/millrace-ml/millrace/shared/score"
)

// encode writes the predictions as the request's form wants them: one output gives a list of values, several a list of
// objects, or for columns an object of lists. Model version and digest stand beside them.
func (t *Target) encode(p *score.Predictions, form Form) []byte {
	b := make([]byte, 0, 64+24*p.Rows*max(1, len(p.Outputs)))
	b = append(b, `{"predictions":`...)
	if form == Columns {
		b = append(b[:0], `{"outputs":`...)
	}
	switch {
	case len(p.Outputs) == 1:
		b = appendColumn(b, &p.Outputs[0], p.Rows)
	case form == Columns:
		for i := range p.Outputs {
			b = append(b, "{,"[min(i, 1)])
			b = append(AppendString(b, p.Outputs[i].Name), ':')
			b = appendColumn(b, &p.Outputs[i], p.Rows)
		}
		b = append(b, '}')
	default:
		b = append(b, '[')
		for row := range p.Rows {
			if row > 0 {
				b = append(b, ',')
			}
			for i := range p.Outputs {
				b = append(b, "{,"[min(i, 1)])
				b = append(AppendString(b, p.Outputs[i].Name), ':')
				b = appendCell(b, &p.Outputs[i], row)
			}
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = append(b, `,"model_version":`...)
	b = AppendString(b, t.Model.Manifest().Version)
	b = append(b, `,"model_digest":`...)
	b = AppendString(b, t.Model.Digest())
	return append(b, "}\n"...)
}

func appendColumn(b []byte, o *score.Output, rows int) []byte {
	b = append(b, '[')
	for row := range rows {
		if row > 0 {
			b = append(b, ',')
		}
		b = appendCell(b, o, row)
	}
	return append(b, ']')
}

func appendCell(b []byte, o *score.Output, row int) []byte {
	if o.Labels != nil {
		return AppendString(b, o.Labels[row])
	}
	return AppendNumber(b, o.Values[row])
}

// AppendNumber writes the shortest text that reads back as v; JSON has no text for what is not finite, so that is null.
func AppendNumber(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// AppendString writes a JSON string.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			q, err := json.Marshal(s)
			if err != nil {
				panic("protocol: a string cannot be encoded: " + err.Error()) // json.Marshal takes every string
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
