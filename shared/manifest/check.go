package manifest

import (
	"path"
	"reflect"
	"slices"
	"strings"
)

// check makes every check that needs no other file. Those of one value alone are in the rules.
func (r *report) check(m *Manifest) {
	r.walk("", reflect.ValueOf(m).Elem())
	r.artifact(&m.Artifact)
	r.inputs(m.Inputs)
	r.features(m)
	r.outputs(m)
	r.serving(m)
	if m.Realtime != nil {
		r.realtime(m.Realtime)
	}
	if m.Batch != nil {
		r.batch(m.Batch)
	}
}

func (r *report) artifact(a *Artifact) {
	if *a == (Artifact{}) && !r.given("artifact") {
		return // said already
	}
	switch {
	case a.Path != "" && a.URI != "":
		r.add("artifact.uri", finding{code: "conflict", what: "is given beside path", want: "write path for a file in this folder, or uri for an object"})
	case a.Path == "" && a.URI == "":
		r.add("artifact", finding{code: "missing", what: "has neither path nor uri", want: "write path: artifact/model.ubj"})
	}
	if p := a.Path; p != "" && (path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || p == "." || strings.ContainsAny(p, "\\:\x00")) {
		r.add("artifact.path", finding{"value", quote(p), "is no path inside the model folder", "write one such as artifact/model.ubj"})
	}
}

func (r *report) inputs(inputs []Input) {
	seen := map[string]bool{}
	for i := range inputs {
		in, at := &inputs[i], index("inputs", i)
		r.unique(at+".name", in.Name, seen, "input")
		r.input(at, in)
	}
}

// unique reports a name that an earlier one of its kind has.
func (r *report) unique(at, name string, seen map[string]bool, kind string) {
	if name != "" && seen[name] {
		r.add(at, finding{"duplicate", quote(name), "is the name of an earlier " + kind, "rename one"})
	}
	seen[name] = true
}

// only reports keys that do not belong to an input of this type.
func (r *report) only(at string, in *Input, key string, given bool, types ...Type) {
	if given && isType(in.Type) && !slices.Contains(types, in.Type) {
		words := make([]string, len(types))
		for i, t := range types {
			words[i] = string(t)
		}
		r.add(at+"."+key, finding{code: "conflict", what: "means nothing for type " + string(in.Type), want: "remove it; it is for " + strings.Join(words, " and ")})
	}
}

func isType(t Type) bool { return slices.Contains(rules["Input.type"].Enum, string(t)) }

func (r *report) input(at string, in *Input) {
	r.only(at, in, "values", in.Values != nil, Categorical)
	r.only(at, in, "layouts", in.Layouts != nil, Timestamp)
	r.only(at, in, "min", in.Min != nil, Number, Integer)
	r.only(at, in, "max", in.Max != nil, Number, Integer)
	r.ordered(at, in.Min, in.Max)
	if in.Type == Categorical {
		r.values(at, in)
	}
	if in.Type == Timestamp {
		r.layouts(at, in)
	}
	if in.NullStrings != nil && in.Required() {
		r.add(at+".null_strings", finding{code: "conflict", what: "names nulls, which the input does not take", want: "add nullable: true or a default"})
	}
	if in.Default != nil {
		r.defaultValue(at+".default", in)
	}
}

func (r *report) ordered(at string, lo, hi *float64) {
	if lo != nil && hi != nil && *lo > *hi {
		r.add(at+".min", finding{"conflict", formatNumber(*lo), "is above max, " + formatNumber(*hi), "write min ≤ max"})
	}
}

func (r *report) values(at string, in *Input) {
	if len(in.Values) == 0 {
		r.add(at+".values", finding{code: "missing", what: "is missing or empty", want: "write every value in the order of training, such as [winter, spring]"})
		return
	}
	seen := map[Value]bool{}
	for i, v := range in.Values {
		here := index(at+".values", i)
		switch {
		case v.Kind == Bool || v.Kind == None:
			r.add(here, finding{"type", v.String(), "is neither text nor a number", "write it in quotes, or make the input boolean"})
		case v.Kind != in.Values[0].Kind:
			r.add(here, finding{"type", v.String(), "is of another kind than " + in.Values[0].String(), "write only text, in quotes where needed, or only numbers"})
		case seen[v]:
			r.add(here, finding{"duplicate", v.String(), "is there twice", "remove one"})
		case v.Kind == Text && slices.Contains(in.NullStrings, v.Text):
			r.add(here, finding{"conflict", v.String(), "is one of null_strings too", "remove it from one of them"})
		case v.Kind == Text && v.Text == "" && in.NullStrings == nil && !in.Required():
			r.add(here, finding{"conflict", v.String(), "also means null in files", "add null_strings with the texts that mean null"})
		case v.Kind == Numeric && !exact(v.Number):
			r.add(here, finding{"range", v.String(), "is beyond what a number holds exactly", "write it in quotes"})
		}
		seen[v] = true
	}
}

// exact says whether a category's number is one that a float64 tells from its neighbours.
func exact(v float64) bool { return v > -(1<<53) && v < 1<<53 }

func (r *report) features(m *Manifest) {
	seen, types, names := map[string]bool{}, map[string]Type{}, []string{}
	for _, in := range m.Inputs {
		types[in.Name] = in.Type
		names = append(names, in.Name)
	}
	for i, f := range m.Features {
		at := index("features", i)
		here := at
		if r.given(at + ".name") {
			here = at + ".name"
		}
		r.unique(here, f.Name, seen, "feature")
		if f.Expr != "" || f.Name == "" || r.given(at+".expr") {
			if f.Expr == "" && r.given(at+".expr") {
				r.add(at+".expr", finding{code: "empty", what: "is empty", want: "write an expression, or remove the key for the input itself"})
			}
			continue
		}
		switch t, ok := types[f.Name]; {
		case !ok:
			want := didYouMean(f.Name, names)
			if want == "" {
				want = "write the name of an input, or {name: …, expr: …}"
			}
			r.add(here, finding{"unknown", quote(f.Name), "is no input", want})
		case t == Timestamp:
			r.add(here, finding{"type", quote(f.Name), "is a timestamp, which is no number", "write a part of it, such as {name: hour, expr: hour(" + f.Name + ")}"})
		}
	}
}

func (r *report) outputs(m *Manifest) {
	seen, ids := map[string]bool{}, map[string]bool{}
	for i, name := range m.IDColumns {
		if slices.Contains(Reserved, name) {
			r.add(index("id_columns", i), finding{"conflict", quote(name), "is a column that predictions have anyway", "leave it out"})
		}
		ids[name] = true
	}
	for i := range m.Outputs {
		o, at := &m.Outputs[i], index("outputs", i)
		r.unique(at+".name", o.Name, seen, "output")
		switch {
		case slices.Contains(Reserved, o.Name):
			r.add(at+".name", finding{"conflict", quote(o.Name), "is a column that predictions have anyway", "rename it"})
		case ids[o.Name]:
			r.add(at+".name", finding{"conflict", quote(o.Name), "is one of id_columns too", "rename the output"})
		}
		r.ordered(at, o.Min, o.Max)
		r.labels(at, o)
	}
}

func (r *report) labels(at string, o *Output) {
	if o.Labels == nil {
		if o.Threshold != nil {
			r.add(at+".threshold", finding{code: "conflict", what: "needs labels", want: "add two labels or remove it"})
		}
		return
	}
	if len(o.Labels) < 2 {
		r.add(at+".labels", finding{code: "value", what: "has fewer than two labels", want: "write every class in the order of training"})
	}
	for i, l := range o.Labels {
		if l == "" {
			r.add(index(at+".labels", i), finding{code: "empty", what: "is empty", want: "write the name of the class"})
		}
	}
	if o.Threshold != nil && len(o.Labels) != 2 {
		r.add(at+".threshold", finding{code: "conflict", what: "is for two labels", want: "remove it"})
	}
	if o.Min != nil || o.Max != nil {
		r.add(at+".labels", finding{code: "conflict", what: "have neither min nor max", want: "remove these"})
	}
}

func (r *report) serving(m *Manifest) {
	if slices.ContainsFunc(m.Serve, func(kind string) bool { return kind != ServeRealtime && kind != ServeBatch }) {
		return // said already; what was meant is not known
	}
	for _, block := range []struct {
		kind  string
		given bool
	}{{ServeRealtime, m.Realtime != nil}, {ServeBatch, m.Batch != nil}} {
		switch {
		case m.Serves(block.kind) && !block.given:
			r.add(block.kind, finding{code: "missing", what: "is missing", want: "add " + block.kind + ": {…}, or remove it from serve"})
		case block.given && !m.Serves(block.kind) && len(m.Serve) > 0:
			r.add(block.kind, finding{code: "conflict", what: "is given, but serve does not name it", want: "add " + block.kind + " to serve or remove the block"})
		}
	}
}
