package doctor

import (
	"fmt"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// What Terraform calls the parts of a deployment.
const (
	onUpload     = "onupload"
	batchTrigger = "batchtrigger"
	runner       = "pipeline-runner"
	deployer     = "deployer"
	builder      = "builder"
	pushAccount  = "onupload-push"
	tickAccount  = "batchtrigger-tick"
	topic        = "uploads"
	pushName     = "uploads-push"
	deadTopic    = "uploads-dead"
	unitLabel    = "unit-hash" // deployment puts it on each revision
	placeholder  = "us-docker.pkg.dev/cloudrun/container/hello"
	functions    = "functions" // repository of source deploys
	images       = "images"    // repository of the step image
)

func serviceOf(model string) string { return "predict-" + model }

// email is the address of one of the project's service accounts. A project of a domain, example.com:p, turns around.
func (p *probe) email(id string) string {
	host := p.project
	if domain, name, scoped := strings.Cut(host, ":"); scoped {
		host = name + "." + domain
	}
	return id + "@" + host + ".iam.gserviceaccount.com"
}

func (p *probe) member(id string) string { return "serviceAccount:" + p.email(id) }

// agent is the member of one of Google's service agents.
func (p *probe) agent(domain string) string {
	return "serviceAccount:service-" + p.number + "@" + domain + ".iam.gserviceaccount.com"
}

func (p *probe) bucket(kind string) string {
	if p.o.Prefix != "" {
		return p.o.Prefix + "-" + kind
	}
	return p.project + "-" + kind
}

func (p *probe) database() string {
	if p.o.Database != "" {
		return p.o.Database
	}
	return "(default)"
}

// me is whoever asks, as a member of a policy. When nobody says who that is, the shell finds out.
func (p *probe) me() string {
	switch {
	case strings.HasSuffix(p.account, ".gserviceaccount.com"):
		return "serviceAccount:" + p.account
	case p.account != "":
		return "user:" + p.account
	}
	return `"user:$(gcloud config get account)"`
}

// grant is the command that gives a member a role on the project. A condition must be named where the policy has one
// already, and nobody is there to be asked.
func (p *probe) grant(member, role string) string {
	return fmt.Sprintf("gcloud projects add-iam-policy-binding %s --member=%s --role=%s --condition=None", p.project, member, role)
}

// deploy is the command that mends what deployments make.
func (p *probe) deploy() string {
	command := "make deploy PROJECT=" + p.project + " REGION=" + p.region
	if p.o.Prefix != "" {
		command += " ARTIFACTS=" + p.bucket(artifacts) + " STAGING=" + p.bucket(staging)
	}
	return command
}

// serving are the models served so.
func (p *probe) serving(kind string) []*manifest.Manifest {
	var some []*manifest.Manifest
	for _, m := range p.models {
		if m.Serves(kind) {
			some = append(some, m)
		}
	}
	return some
}

// wantServices are the services that the checkout's models need.
func (p *probe) wantServices() []string {
	names := []string{onUpload, batchTrigger}
	for _, m := range p.serving(manifest.ServeRealtime) {
		names = append(names, serviceOf(m.Name))
	}
	return names
}
