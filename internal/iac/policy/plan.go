// Package policy says what is wrong with a plan of the infrastructure that neither Terraform nor the provider says: who may
// do what, and values that only Google Cloud would refuse. It reads the JSON of terraform show and talks to nothing.
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Plan is what will exist once a plan is applied.
type Plan struct {
	Resources []*Resource
}

// Resource is one resource of a plan with the values that are known.
type Resource struct {
	Address string
	Type    string
	Values  map[string]any
}

// Read takes the answer of terraform show -json about a plan. Data sources and what will be deleted are left out.
func Read(data []byte) (*Plan, error) {
	var raw struct {
		Version string `json:"format_version"`
		Changes []struct {
			Address, Mode, Type string
			Change              struct{ After map[string]any }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("read a plan: %w", err)
	}
	if major, _, _ := strings.Cut(raw.Version, "."); major != "1" {
		return nil, fmt.Errorf("read a plan: format %q, expected 1.x", raw.Version)
	}
	p := &Plan{}
	for _, c := range raw.Changes {
		if c.Mode == "managed" && c.Change.After != nil {
			p.Resources = append(p.Resources, &Resource{c.Address, c.Type, c.Change.After})
		}
	}
	return p, nil
}

// Of gives the resources of a type.
func (p *Plan) Of(kind string) []*Resource {
	var found []*Resource
	for _, r := range p.Resources {
		if r.Type == kind {
			found = append(found, r)
		}
	}
	return found
}

// Get gives the values at a path such as template.0.containers.*.image, where * is every element. What is not set or not
// known is left out.
func (r *Resource) Get(path string) []any {
	found := []any{r.Values}
	for _, step := range strings.Split(path, ".") {
		var next []any
		for _, v := range found {
			switch v := v.(type) {
			case map[string]any:
				next = append(next, v[step])
			case []any:
				if step == "*" {
					next = append(next, v...)
				} else if i, err := strconv.Atoi(step); err == nil && i < len(v) {
					next = append(next, v[i])
				}
			}
		}
		found = next
	}
	return slices.DeleteFunc(found, func(v any) bool { return v == nil })
}

// Text gives the value at a path as text, "" when there is none.
func (r *Resource) Text(path string) string {
	if found := r.Get(path); len(found) > 0 {
		return fmt.Sprint(found[0])
	}
	return ""
}

// name is the last part of a name such as projects/P/topics/T.
func name(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// Check gives one line for each breach of a rule, sorted.
func (p *Plan) Check(roles *Roles) []string {
	var out []string
	report := func(r *Resource, format string, args ...any) {
		out = append(out, r.Address+": "+fmt.Sprintf(format, args...))
	}
	for _, rule := range []func(func(*Resource, string, ...any)){
		p.values, p.names, p.placeholders, p.accounts, p.principals, p.onProject, p.deadLetters, p.pushes, p.jobs, p.triggers, p.labels, p.operators, p.alerts,
	} {
		rule(report)
	}
	if roles != nil {
		p.roles(roles, report)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// reporter takes a breach; the rest is as in fmt.Printf.
type reporter = func(r *Resource, format string, args ...any)
