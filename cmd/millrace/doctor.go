package main

import (
	"context"

	"github.com/millrace-ml/millrace/internal/doctor"
)

// apiVariable names a server on loopback that stands in for Google's APIs, for tests.
const apiVariable = "MILLRACE_GOOGLE_API"

type doctorCmd struct {
	Project  string `help:"The project; when left out, GOOGLE_CLOUD_PROJECT or gcloud's."`
	Region   string `help:"The region; when left out, REGION or gcloud's run/region."`
	Prefix   string `help:"Of the buckets' names, Terraform's bucket_prefix; when left out, the project."`
	Database string `help:"Of Firestore, Terraform's firestore_database." default:"(default)" env:"FIRESTORE_DATABASE"`
	Repo     string `help:"The checkout, whose models the project is compared with." default:"." type:"path"`
	JSON     bool   `name:"json" help:"Print the report as JSON."`
}

// Run looks at everything, changes nothing, and fails if something does not work.
func (d doctorCmd) Run(ctx context.Context, c console) error {
	report, err := doctor.Run(ctx, doctor.Options{
		Project: d.Project, Region: d.Region, Prefix: d.Prefix, Database: d.Database, Root: d.Repo, Getenv: c.getenv, API: c.getenv(apiVariable),
	})
	if err != nil {
		return err
	}
	if d.JSON {
		err = printJSON(c, report)
	} else {
		err = report.Text(c.out)
	}
	if err == nil && report.Failed() {
		return exit(1)
	}
	return err
}
