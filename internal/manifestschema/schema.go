// Package manifestschema makes the JSON Schema of model.yaml from the Go types and rules of shared/manifest, for editors
// and for people. It is a package of its own so that nothing that is deployed links the generator.
package manifestschema

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// ID is the schema's $id.
const ID = "https://github.com/millrace-ml/millrace/blob/main/docs/reference/model.schema.json"

// Schema is the schema as it stands in docs/reference/model.schema.json. It refuses only what the loader refuses; what
// takes more than one value to see, such as a name given twice, only the loader sees.
func Schema() ([]byte, error) {
	r := jsonschema.Reflector{Anonymous: true, ExpandedStruct: true, Mapper: mapped}
	s := r.Reflect(&manifest.Manifest{})
	s.ID, s.Title, s.Description = ID, "model.yaml", "What Millrace knows of a model."
	adorn(s, reflect.TypeFor[manifest.Manifest]())
	for _, t := range structs(reflect.TypeFor[manifest.Manifest](), map[reflect.Type]bool{})[1:] {
		if d, ok := s.Definitions[t.Name()]; ok {
			adorn(d, t)
		}
	}
	conditions(s)
	s.Definitions["Feature"] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string", Pattern: manifest.ColumnPattern, Description: "The name of an input."}, s.Definitions["Feature"],
	}}
	text, err := json.MarshalIndent(s, "", "  ")
	return append(text, '\n'), err
}

// mapped is the schema of types whose text is not their Go kind.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[manifest.Value]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}}
	case reflect.TypeFor[manifest.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: manifest.DurationPattern}
	case reflect.TypeFor[manifest.Bytes]():
		return &jsonschema.Schema{Type: "string", Pattern: manifest.BytesPattern}
	case reflect.TypeFor[manifest.Percent]():
		return &jsonschema.Schema{Type: "string", Pattern: manifest.PercentPattern}
	case reflect.TypeFor[manifest.Rejects]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
			{Type: "string", Pattern: manifest.PercentPattern}, {Type: "integer", Minimum: "0"},
		}}
	}
	return nil
}

// structs lists the struct types of the manifest, the outermost first.
func structs(t reflect.Type, seen map[reflect.Type]bool) []reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] || mapped(t) != nil {
		return nil
	}
	seen[t] = true
	all := []reflect.Type{t}
	for i := range t.NumField() {
		all = append(all, structs(t.Field(i).Type, seen)...)
	}
	return all
}

// adorn adds to a struct's schema what its tags and rules say.
func adorn(s *jsonschema.Schema, t reflect.Type) {
	s.Required = nil
	for i := range t.NumField() {
		field := t.Field(i)
		key := field.Tag.Get("yaml")
		p, ok := s.Properties.Get(key)
		if !ok {
			continue
		}
		if p.Ref != "" { // a description beside $ref is allowed since draft 2019-09
			p = &jsonschema.Schema{Ref: p.Ref}
			s.Properties.Set(key, p)
		}
		p.Description = field.Tag.Get("doc")
		if field.Tag.Get("required") != "" {
			s.Required = append(s.Required, key)
		}
		if text := field.Tag.Get("default"); text != "" {
			p.Default = defaultOf(p.Type, text)
		}
		if rule, ok := manifest.RuleOf(t.Name() + "." + key); ok {
			apply(p, rule, field.Type)
		}
	}
}

func defaultOf(kind, text string) any {
	if n, err := strconv.ParseFloat(text, 64); err == nil && kind != "string" {
		return n
	}
	return text
}

func apply(p *jsonschema.Schema, rule manifest.Rule, t reflect.Type) {
	if rule.Items > 0 {
		n := uint64(rule.Items)
		p.MinItems = &n
	}
	p.UniqueItems = rule.Unique
	text := p
	if p.Items != nil && p.Items.Type == "string" {
		text = p.Items
	}
	for _, word := range rule.Enum {
		text.Enum = append(text.Enum, word)
	}
	if rule.Pattern != "" {
		text.Pattern = rule.Pattern
	}
	if rule.Not != "" {
		text.Not = &jsonschema.Schema{Const: rule.Not}
	}
	if rule.Length > 0 {
		n := uint64(rule.Length) // of bytes there, of characters here: the schema refuses less
		text.MaxLength = &n
	}
	if rule.Max > 0 && (t.Kind() == reflect.Int || t.Kind() == reflect.Float64) {
		p.Maximum = number(rule.Max)
		if rule.Above {
			p.ExclusiveMinimum = number(rule.Min)
		} else {
			p.Minimum = number(rule.Min)
		}
	}
}

func number(v float64) json.Number { return json.Number(strconv.FormatFloat(v, 'g', -1, 64)) }

// conditions adds what one key demands of another.
func conditions(s *jsonschema.Schema) {
	for _, kind := range []string{manifest.ServeRealtime, manifest.ServeBatch} {
		s.AllOf = append(s.AllOf, when("serve", &jsonschema.Schema{Contains: &jsonschema.Schema{Const: kind}}, kind))
	}
	in := s.Definitions["Input"]
	in.AllOf = append(in.AllOf,
		when("type", &jsonschema.Schema{Const: string(manifest.Categorical)}, "values"),
		when("type", &jsonschema.Schema{Const: string(manifest.Timestamp)}, "layouts"))
	if v, ok := in.Properties.Get("values"); ok {
		v.Items = &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string"}, {Type: "number"}}}
		v.UniqueItems = true
	}
	s.Definitions["Artifact"].OneOf = []*jsonschema.Schema{{Required: []string{"path"}}, {Required: []string{"uri"}}}
	s.Definitions["Batch"].AnyOf = []*jsonschema.Schema{{Required: []string{"uploads"}}, {Required: []string{"schedules"}}}
}

// when demands a key where another is as said.
func when(key string, is *jsonschema.Schema, demands string) *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	properties.Set(key, is)
	return &jsonschema.Schema{
		If:   &jsonschema.Schema{Properties: properties, Required: []string{key}},
		Then: &jsonschema.Schema{Required: strings.Fields(demands)},
	}
}
