package scaffold

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// manifestText writes the head of a manifest as python/millrace_export.py does: small values on one line, text in quotes
// unless every reader takes it for text. Every feature is the input of its name.
func manifestText(m *manifest.Manifest) []byte {
	var b bytes.Buffer
	b.WriteString("# yaml-language-server: $schema=../../docs/reference/model.schema.json\n")
	b.WriteString("name: " + m.Name + "\nversion: " + quoted(m.Version) + "\nserve: [" + strings.Join(m.Serve, ", ") + "]\n")
	b.WriteString("artifact: {path: " + quoted(m.Artifact.Path) + ", format: " + m.Artifact.Format + ", sha256: " + quoted(m.Artifact.SHA256) + "}\n")
	b.WriteString("inputs:\n")
	for i := range m.Inputs {
		b.WriteString("  - {" + inputText(&m.Inputs[i]) + "}\n")
	}
	b.WriteString("features:\n")
	for _, in := range m.Inputs {
		b.WriteString("  - " + scalar(in.Name) + "\n")
	}
	b.WriteString("outputs:\n")
	for _, o := range m.Outputs {
		b.WriteString("  - {name: " + scalar(o.Name))
		if o.Labels != nil {
			b.WriteString(", labels: " + list(o.Labels, quoted))
		}
		b.WriteString("}\n")
	}
	return b.Bytes()
}

func inputText(in *manifest.Input) string {
	text := "name: " + scalar(in.Name) + ", type: " + string(in.Type)
	if in.Values != nil {
		text += ", values: " + list(in.Values, func(v manifest.Value) string {
			if v.Kind == manifest.Text {
				return scalar(v.Text)
			}
			return v.String()
		})
	}
	if in.Nullable {
		text += ", nullable: true"
	}
	if in.Min != nil {
		text += ", min: " + strconv.FormatFloat(*in.Min, 'f', -1, 64)
	}
	if in.Description != "" {
		text += ", description: " + quoted(in.Description)
	}
	return text
}

func list[T any](values []T, text func(T) string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = text(v)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z_/-]*[A-Za-z]$`)

// scalar is a text, bare where no reader can take it for something else.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains([]string{"null", "true", "false", "yes", "no", "on", "off"}, strings.ToLower(s)) {
		return s
	}
	return quoted(s)
}

// quoted is a text as JSON writes it, which YAML reads.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
