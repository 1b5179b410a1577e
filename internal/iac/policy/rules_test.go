package policy

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// small is a plan of a few resources, for machines without Terraform.
func small(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// someRoles stand in for the whole list of Google Cloud's roles.
const someRoles = `{"all_role_names": ["roles/datastore.user", "roles/editor"], "roles": {
	"roles/datastore.user": ["datastore.entities.get"], "roles/logging.logWriter": ["logging.logEntries.create"],
	"roles/pubsub.publisher": ["pubsub.topics.publish"], "roles/pubsub.subscriber": ["pubsub.subscriptions.consume"],
	"roles/run.servicesInvoker": ["run.routes.invoke"], "roles/storage.objectViewer": ["storage.objects.get", "storage.objects.list"],
	"roles/aiplatform.user": ["aiplatform.pipelineJobs.create", "aiplatform.pipelineJobs.get"]}}`

func TestRules(t *testing.T) {
	t.Parallel()
	known, err := ReadRoles([]byte(someRoles))
	if err != nil {
		t.Fatal(err)
	}
	good := small(t)
	for _, breach := range read(t, good).Check(known) {
		t.Errorf("the plan without a mistake: %s", breach)
	}
	for _, m := range slices.Concat(valueMistakes, moreMistakes) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			bad := mutate(t, good, m)
			if !caught(t, known, good, bad, m) {
				t.Errorf("%s.%s = %v is not caught; said is %q", m.kind, m.path, m.value, read(t, bad).Check(known))
			}
		})
	}
}

func TestWhatIsNoPlanIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"no JSON": "Terraform will perform", "another format": `{"format_version": "2.0"}`, "a state": `{"version": 4}`} {
		if p, err := Read([]byte(text)); err == nil {
			t.Errorf("%s is read as %+v", name, p)
		}
	}
}

func TestCan(t *testing.T) {
	t.Parallel()
	known, err := ReadRoles([]byte(someRoles))
	if err != nil {
		t.Fatal(err)
	}
	p := read(t, small(t))
	for permission, want := range map[string][]string{
		"storage.objects.get":            {"bucket millrace-test-inbox"},
		"aiplatform.pipelineJobs.create": {"project"},
		"run.routes.invoke":              nil,
	} {
		if got := p.Can(known, p.account("onupload"), permission); !slices.Equal(got, want) {
			t.Errorf("onupload has %s on %q, want %q", permission, got, want)
		}
	}
}
