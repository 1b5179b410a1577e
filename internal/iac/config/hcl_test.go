package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const root = "../../.."

// file parses a file of the root module.
func file(t *testing.T, name string) *hclsyntax.Body {
	t.Helper()
	path := filepath.Join(root, "terraform", name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, diags := hclsyntax.ParseConfig(data, name, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Body.(*hclsyntax.Body)
}

// local gives the expression of a local value.
func local(t *testing.T, body *hclsyntax.Body, name string) hclsyntax.Expression {
	t.Helper()
	for _, b := range body.Blocks {
		if a := b.Body.Attributes[name]; b.Type == "locals" && a != nil {
			return a.Expr
		}
	}
	t.Fatalf("there is no local value %s", name)
	return nil
}

// setting is an entry of a map: its text if it is a literal.
type setting struct {
	text    string
	literal bool
}

// settings reads a map of texts: a literal, another local value, or merge(…) of both.
func settings(t *testing.T, body *hclsyntax.Body, e hclsyntax.Expression) map[string]setting {
	t.Helper()
	all := map[string]setting{}
	switch e := e.(type) {
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			key, diags := item.KeyExpr.Value(nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			v, diags := item.ValueExpr.Value(nil)
			s := setting{literal: !diags.HasErrors() && v.Type() == cty.String}
			if s.literal {
				s.text = v.AsString()
			}
			all[key.AsString()] = s
		}
	case *hclsyntax.ScopeTraversalExpr:
		return settings(t, body, local(t, body, path(e.Traversal)[1]))
	case *hclsyntax.FunctionCallExpr:
		if e.Name != "merge" {
			t.Fatalf("settings are made by %s, expected merge", e.Name)
		}
		for _, arg := range e.Args {
			for k, s := range settings(t, body, arg) {
				all[k] = s
			}
		}
	default:
		t.Fatalf("settings are a %T, expected a map", e)
	}
	return all
}

// path gives the names of a traversal such as local.batch_env.
func path(traversal hcl.Traversal) []string {
	var names []string
	for _, step := range traversal {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			names = append(names, step.Name)
		case hcl.TraverseAttr:
			names = append(names, step.Name)
		}
	}
	return names
}

// traversals gives the paths below an expression that begin with a name, without it, each once.
func traversals(e hclsyntax.Expression, name string) []string {
	var found []string
	_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
		if s, ok := n.(*hclsyntax.ScopeTraversalExpr); ok {
			if p := path(s.Traversal); len(p) > 1 && p[0] == name {
				found = append(found, strings.Join(p[1:], "."))
			}
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found)
}
