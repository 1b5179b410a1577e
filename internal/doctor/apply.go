package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// tfvars is one file of Terraform's variables.
type tfvars struct{ name, project, state string }

var (
	projectLine = regexp.MustCompile(`(?m)^\s*project\s*=\s*"([^"]*)"`)
	stateLine   = regexp.MustCompile(`(?m)^\s*state_bucket\s*=\s*"([^"]*)"`)
)

// environments are the files below terraform/environments of the checkout.
func (p *probe) environments() []tfvars {
	files, err := filepath.Glob(filepath.Join(p.o.Root, "terraform", "environments", "*.tfvars"))
	if err != nil {
		return nil
	}
	var all []tfvars
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		e := tfvars{name: strings.TrimSuffix(filepath.Base(file), ".tfvars")}
		if m := projectLine.FindSubmatch(text); m != nil {
			e.project = string(m[1])
		}
		if m := stateLine.FindSubmatch(text); m != nil {
			e.state = string(m[1])
		}
		all = append(all, e)
	}
	return all
}

// environment is the one that plans this project: the file that names it, else one that names none. Each has a state of its
// own, so a wrong one would plan everything anew.
func (p *probe) environment() tfvars {
	all := p.environments()
	for _, fits := range []func(tfvars) bool{
		func(e tfvars) bool { return e.project == p.project },
		func(e tfvars) bool { return e.project == "" && e.name == "prod" },
		func(e tfvars) bool { return e.project == "" },
	} {
		if i := slices.IndexFunc(all, fits); i >= 0 {
			return all[i]
		}
	}
	return tfvars{}
}

// stateBucket is where Terraform's state lies.
func (p *probe) stateBucket() string { return or(p.environment().state, p.project+"-terraform") }

// apply ends a fix with what makes the infrastructure as the checkout says.
func (p *probe) apply(before ...string) []string {
	e := p.environment()
	command := "make plan-terraform STATE=" + p.stateBucket()
	if e.project != p.project { // the file does not say, so the variables do
		variables := "TF_VAR_project=" + p.project + " TF_VAR_region=" + p.region + " "
		if p.o.Prefix != "" {
			variables += "TF_VAR_bucket_prefix=" + p.o.Prefix + " "
		}
		if p.database() != "(default)" {
			variables += "TF_VAR_firestore_database=" + p.database() + " "
		}
		command = variables + command
	}
	if e.name != "" {
		command += " ENVIRONMENT=" + e.name
	}
	return append(before, command, "make apply-terraform")
}
