package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Roles are the predefined roles of Google Cloud and, of some, the permissions.
type Roles struct {
	known       map[string]bool
	permissions map[string][]string
	all         map[string]bool // every permission that some role has
}

// ReadRoles takes {"roles": {role: [permission]}, "all_role_names": [role]}.
func ReadRoles(data []byte) (*Roles, error) {
	var raw struct {
		Roles map[string]json.RawMessage `json:"roles"`
		Names []string                   `json:"all_role_names"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("read roles: %w", err)
	}
	r := &Roles{map[string]bool{}, map[string][]string{}, map[string]bool{}}
	for _, n := range raw.Names {
		r.known[n] = true
	}
	for role, content := range raw.Roles {
		var list []string
		if err := json.Unmarshal(content, &list); err != nil {
			return nil, fmt.Errorf("read roles: %s: %w", role, err)
		}
		r.known[role], r.permissions[role] = true, list
		for _, p := range list {
			r.all[p] = true
		}
	}
	return r, nil
}

// unlisted are roles whose permissions the data lacks; what they allow is looked up by hand.
var unlisted = map[string]string{
	"roles/monitoring.viewer":   "Cloud Monitoring: access control; reads metrics, dashboards and policies",
	"roles/run.sourceDeveloper": "Cloud Run: deploy services from source, required roles",
}

// custom are the roles that the plan makes, by the name under which they are granted.
func (p *Plan) custom() map[string]*Resource {
	made := map[string]*Resource{}
	for _, r := range p.Of("google_project_iam_custom_role") {
		made["projects/"+r.Text("project")+"/roles/"+r.Text("role_id")] = r
	}
	return made
}

// roles checks that every role exists and that every permission given away is one.
func (p *Plan) roles(roles *Roles, report reporter) {
	custom := p.custom()
	for _, g := range p.Grants() {
		switch {
		case custom[g.Role] != nil:
		case !roles.known[g.Role]:
			report(g.from, "there is no role %q", g.Role)
		case roles.permissions[g.Role] == nil && unlisted[g.Role] == "":
			report(g.from, "the permissions of %s are not known, so nobody has checked them", g.Role)
		}
	}
	used := map[string]bool{}
	for _, g := range p.Grants() {
		used[g.Role] = true
	}
	for id, r := range custom {
		if !used[id] {
			report(r, "nobody has this role")
		}
		for _, permission := range r.Get("permissions.*") {
			if !roles.all[fmt.Sprint(permission)] {
				report(r, "there is no permission %q", permission)
			}
		}
	}
}

// Can lists where a principal has a permission: "project", or single resources. A grant with a condition counts.
func (p *Plan) Can(roles *Roles, principal, permission string) []string {
	custom, where := p.custom(), map[string]bool{}
	for _, g := range p.Grants() {
		if g.Principal != principal {
			continue
		}
		list := roles.permissions[g.Role]
		if r := custom[g.Role]; r != nil {
			for _, v := range r.Get("permissions.*") {
				list = append(slices.Clip(list), fmt.Sprint(v))
			}
		}
		if slices.Contains(list, permission) {
			where[g.Resource] = true
		}
	}
	return slices.Sorted(maps.Keys(where))
}

// account is a principal of this plan by its short name.
func (p *Plan) account(id string) string {
	for _, r := range p.Of("google_service_account") {
		if r.Text("account_id") == id {
			return "serviceAccount:" + r.Text("email")
		}
	}
	return ""
}

// callers are the accounts that may invoke a service, and the services that an account may invoke.
func (p *Plan) callers() (of, by map[string][]string) {
	of, by = map[string][]string{}, map[string][]string{}
	for _, g := range p.Grants() {
		service, ok := strings.CutPrefix(g.Resource, "service ")
		if ok && slices.Contains([]string{"roles/run.invoker", "roles/run.servicesInvoker"}, g.Role) {
			of[service] = append(of[service], g.Principal)
			by[g.Principal] = append(by[g.Principal], service)
		}
	}
	return of, by
}
