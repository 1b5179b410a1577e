package firestoretest

import (
	"strings"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
)

var validationParts = []part{
	{name: "ids that no document may have", run: func(e *env) {
		for id, want := range map[string]codes.Code{
			"__x__": codes.InvalidArgument, ".": codes.InvalidArgument, "..": codes.InvalidArgument,
			strings.Repeat("x", 1501): codes.InvalidArgument, strings.Repeat("x", 1500): codes.OK,
			"__x": codes.OK, "...": codes.OK, "a b\n\x00#?%": codes.OK, "é": codes.OK,
		} {
			_, err := e.runs().Doc(id).Create(e.Context(), fields{})
			e.code("create "+shorten(id), err, want)
			if want == codes.OK {
				e.holds(e.runs().Doc(id), fields{})
			}
		}
		_, err := e.home.Collection("__x__").Doc("a").Create(e.Context(), fields{})
		e.code("a reserved collection", err, codes.InvalidArgument)
	}},
	{name: "fields that no document may have", run: func(e *env) {
		for name, want := range map[string]codes.Code{
			"__x__": codes.InvalidArgument, "": codes.InvalidArgument, strings.Repeat("x", 1501): codes.InvalidArgument,
			"a.b": codes.OK, "`": codes.OK, "\\": codes.OK, "__x": codes.OK,
		} {
			_, err := e.runs().NewDoc().Create(e.Context(), fields{name: 1})
			e.code("field "+shorten(name), err, want)
			_, err = e.runs().NewDoc().Create(e.Context(), fields{"m": fields{name: 1}})
			if name != strings.Repeat("x", 1501) { // the emulator takes it inside a map
				e.code("nested field "+shorten(name), err, want)
			}
		}
	}},
	{name: "values that no document may hold", run: func(e *env) {
		for name, c := range map[string]struct {
			v    any
			want codes.Code
		}{
			"an array in an array":          {[]any{[]any{1}}, codes.InvalidArgument},
			"an array in a map in an array": {[]any{fields{"a": []any{1}}}, codes.OK},
			"a string of the largest size":  {strings.Repeat("x", 1048487), codes.OK},
			"a string one byte larger":      {strings.Repeat("x", 1048488), codes.InvalidArgument},
			"bytes one byte too many":       {make([]byte, 1048488), codes.InvalidArgument},
			"a map over the largest size":   {fields{"a": strings.Repeat("x", 600000), "b": strings.Repeat("x", 600000)}, codes.InvalidArgument},
			"maps 20 deep":                  {nested(20), codes.OK},
			"maps 21 deep":                  {nested(21), codes.InvalidArgument},
		} {
			_, err := e.c.Collection("v").Doc(e.home.ID).Set(e.Context(), fields{"f": c.v})
			e.code(name, err, c.want)
		}
	}},
	{name: "field names with odd characters can be written and found", run: func(e *env) {
		d := e.runs().Doc("a")
		e.set(d, fields{"a.b": 1, "`\\": fields{"ü x": 2}})
		_, err := d.Update(e.Context(), []firestore.Update{{FieldPath: []string{"a.b"}, Value: 3}, {FieldPath: []string{"`\\", "ü x"}, Value: 4}})
		e.code("update", err, codes.OK)
		e.holds(d, fields{"a.b": int64(3), "`\\": fields{"ü x": int64(4)}})
		e.finds("by odd path", e.runs().WherePath([]string{"`\\", "ü x"}, "==", 4), "a")
	}},
}

// nested gives n maps, one in the other.
func nested(n int) any {
	var v any = 1
	for range n {
		v = fields{"m": v}
	}
	return v
}

func shorten(s string) string {
	if len(s) > 20 {
		return s[:20] + "…"
	}
	return s
}
