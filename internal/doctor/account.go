package doctor

import (
	"context"
	"regexp"
	"strings"

	"github.com/millrace-ml/millrace/internal/identity"
)

// localChecks need no project. Those of the tools come first: what they lack is mended first.
var localChecks = []check{
	{name: "git", about: "git is on PATH", run: gitTool.check},
	{name: "make", about: "make is on PATH", run: makeTool.check},
	{name: "go", about: "Go is on PATH, of the version of go.mod", run: goTool.check},
	{name: "gcloud", about: "gcloud is on PATH, of the version that this was tried with or later", run: gcloudTool.check},
	{name: "terraform", about: "Terraform is on PATH, of a version that the configuration takes", run: terraformTool.check},
	{name: "models", about: "the manifests below models/ can be read; they say what the project must have", run: checkModels},
	{name: "credentials", about: "there are credentials: the file of GOOGLE_APPLICATION_CREDENTIALS, application default credentials, the metadata server, or a login of gcloud", run: checkCredentials},
	{name: "project", about: "one project is meant: --project, else GOOGLE_CLOUD_PROJECT, CLOUDSDK_CORE_PROJECT, gcloud's; a second one that differs is a warning", needs: []string{"credentials"}, run: checkProject},
	{name: "region", about: "one region is meant: --region, else REGION, CLOUDSDK_RUN_REGION, gcloud's run/region", needs: []string{"project"}, run: checkRegion},
}

// checkCredentials finds an access token, and whether other programs find one.
func checkCredentials(ctx context.Context, p *probe) []Finding {
	cred, err := identity.Access(ctx, p.o.Getenv)
	if err != nil {
		fix := do("gcloud auth login", "gcloud auth application-default login")
		if identity.Find(p.o.Getenv, "gcloud") == "" {
			fix = append(do("# install gcloud: "+gcloudTool.install), fix...)
		}
		return []Finding{fail(fix, "%v", err)}
	}
	p.cred = cred
	p.gcloud = p.readGcloud(ctx)
	p.account = cred.Account
	if p.account == "" && (cred.Source == "gcloud" || cred.Quota) {
		p.account = p.gcloud.Core.Account // a person signs in to both; if to different accounts, only the printed commands name the other one
	}
	who := or(p.account, "an account that does not say its name")
	if !cred.Default {
		return []Finding{warn(do("gcloud auth application-default login"), "%s, of gcloud alone: Terraform and Google's clients find no credentials", who)}
	}
	return good("%s, by %s", who, cred.Source)
}

var (
	projectName = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$`)
	regionName  = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)
	zoneName    = regexp.MustCompile(`^([a-z]+-[a-z]+[0-9]+)-[a-z]$`)
)

// source is a setting and where it stands.
type source struct{ name, value string }

// first is the first setting that is there, and the first after it that says something else.
func first(sources []source) (chosen, other source) {
	for _, s := range sources {
		switch {
		case s.value == "":
		case chosen.value == "":
			chosen = s
		case other.value == "" && s.value != chosen.value:
			other = s
		}
	}
	return chosen, other
}

// checkProject decides which project is meant.
func checkProject(_ context.Context, p *probe) []Finding {
	chosen, other := first([]source{
		{"--project", p.o.Project}, {"GOOGLE_CLOUD_PROJECT", p.o.Getenv("GOOGLE_CLOUD_PROJECT")}, {"CLOUDSDK_CORE_PROJECT", p.o.Getenv("CLOUDSDK_CORE_PROJECT")},
		{"gcloud's project", p.gcloud.Core.Project}, {"the project of the credentials", p.cred.Project},
	})
	switch {
	case chosen.value == "":
		return []Finding{fail(do("gcloud projects list", "gcloud config set project PROJECT"), "no project is named: by --project, by GOOGLE_CLOUD_PROJECT, or in gcloud's settings")}
	case !projectName.MatchString(chosen.value):
		return []Finding{fail(do("gcloud projects list"), "%s is %q, which is no project id: 6 to 30 lower-case letters, digits and hyphens", chosen.name, chosen.value)}
	}
	p.project = chosen.value
	// One that was asked for by name is not compared: looking at another project is what the option is for.
	if other.value != "" && chosen.name != "--project" && other.name != "the project of the credentials" {
		return []Finding{warn(do("gcloud config set project "+chosen.value), "%s (%s), but %s is %s: commands typed by hand would go there", chosen.value, chosen.name, other.name, other.value)}
	}
	return good("%s (%s)", chosen.value, chosen.name)
}

// checkRegion decides which region is meant.
func checkRegion(ctx context.Context, p *probe) []Finding {
	chosen, _ := first([]source{{"--region", p.o.Region}, {"REGION", p.o.Getenv("REGION")}, {"CLOUDSDK_RUN_REGION", p.o.Getenv("CLOUDSDK_RUN_REGION")}})
	if chosen.value == "" {
		chosen = source{"gcloud's run/region", p.readGcloud(ctx).Run.Region}
	}
	if zone := zoneName.FindStringSubmatch(chosen.value); zone != nil {
		return []Finding{fail(do("bin/millrace doctor --region "+zone[1]), "%s is %q, which is a zone", chosen.name, chosen.value)}
	}
	switch {
	case chosen.value == "":
		return []Finding{fail(do("gcloud run regions list", "gcloud config set run/region REGION"), "no region is named: by --region, by REGION, or in gcloud's settings")}
	case !regionName.MatchString(chosen.value):
		return []Finding{fail(do("gcloud run regions list"), "%s is %q, which is no region such as us-central1", chosen.name, chosen.value)}
	}
	p.region = strings.TrimSpace(chosen.value)
	return good("%s (%s)", p.region, chosen.name)
}
