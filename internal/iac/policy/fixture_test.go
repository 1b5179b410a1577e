package policy

import (
	"os"
	"path/filepath"
)

// fixture is a model of the plan, with the keys of its manifest that Terraform reads.
type fixture struct{ name, text string }

// models are of all kinds: served in one way, in the other, in both, under the longest name that is allowed, by two owners
// and by none.
var models = []fixture{
	{"prices", `name: prices
version: "1"
owner: team-shop
serve: [realtime]
realtime: {invokers: ["serviceAccount:shop@millrace-test.iam.gserviceaccount.com"], memory: 256Mi, scale: {min: 0, max: 10}}
`},
	{"flights", `name: flights
version: "2014"
owner: team-air
serve: [batch]
batch:
  uploads: {prefix: flights/, mode: each}
  schedules: []
`},
	{"bike-demand", `name: bike-demand
version: "2011"
owner: team-air
serve: [realtime, batch]
realtime: {}
batch:
  uploads: {prefix: bike-demand/, mode: each}
  schedules:
    - {name: nightly, cron: "15 2 * * *", zone: America/New_York, dataset: "scheduled/bike-demand/{date}.csv"}
    - {name: hourly, cron: "5 * * * *", dataset: "scheduled/bike-demand/{date}-{hour}.csv"}
`},
	{"the-longest-of-names-x", `name: the-longest-of-names-x
version: "1"
serve: [realtime, batch]
realtime: {}
batch:
  schedules:
    - {name: every-monday-and-friday, cron: "0 6 * * mon,fri", zone: Europe/Berlin, dataset: "weekly/the-longest-of-names-x/{date}/"}
`},
}

// newcomer is a model that comes later.
var newcomer = fixture{"late-model", `name: late-model
version: "1"
owner: team-air
serve: [realtime, batch]
realtime: {invokers: ["serviceAccount:shop@millrace-test.iam.gserviceaccount.com"]}
batch:
  uploads: {prefix: late-model/, mode: each}
  schedules:
    - {name: daily, cron: "0 4 * * *", dataset: "scheduled/late-model/{date}.csv"}
`}

// variables are those of an environment.
var variables = map[string]any{
	"project":        "millrace-test",
	"region":         "europe-west1",
	"platform_owner": "platform",
	"operators":      []string{"ops@example.com"},
	"github":         map[string]any{"repository": "millrace-ml/millrace"},
	"repository":     "projects/millrace-test/locations/europe-west1/connections/github/repositories/millrace",
	"owners": map[string]any{
		"platform":  map[string]any{"email": "platform@example.com"},
		"team-air":  map[string]any{"email": "air@example.com"},
		"team-shop": map[string]any{"channels": []string{"projects/millrace-test/notificationChannels/7"}},
	},
}

// models replaces the model folders of the workspace.
func (w *workspace) models(all ...fixture) error {
	dir := filepath.Join(w.dir, "models")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, m := range all {
		if err := os.MkdirAll(filepath.Join(dir, m.name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, m.name, "model.yaml"), []byte(m.text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
