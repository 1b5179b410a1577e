package policy

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata anew")

// The rules hold once every id and address is known; a plan on an empty project says less.
func TestThePlanKeepsTheRules(t *testing.T) {
	t.Parallel()
	for _, breach := range read(t, planned(t).wired).Check(nil) {
		t.Error(breach)
	}
}

func TestRolesAndPermissionsExist(t *testing.T) {
	t.Parallel()
	known := roles(t)
	p := read(t, planned(t).wired)
	p.roles(known, func(r *Resource, format string, args ...any) { t.Errorf(r.Address+": "+format, args...) })
}

func TestTheSecondPlanIsEmpty(t *testing.T) {
	t.Parallel()
	if s := planned(t); s.changed {
		t.Errorf("a plan right after the apply changes something:\n%s", s.second)
	}
}

// Who may do what is a table that a reviewer reads: testdata/grants.txt.
func TestGrants(t *testing.T) {
	t.Parallel()
	var lines []string
	for _, g := range read(t, planned(t).wired).Grants() {
		lines = append(lines, g.String())
	}
	got := strings.Join(lines, "\n") + "\n"
	path := filepath.Join("testdata", "grants.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("grants (-%s +plan; go test -run TestGrants -update):\n%s", path, diff)
	}
}

// change is what a plan does to a resource.
type change struct {
	Address string
	Mode    string
	Change  struct{ Actions []string }
}

func changes(t *testing.T, data []byte) []change {
	t.Helper()
	var plan struct {
		Changes []change `json:"resource_changes"`
	}
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	return plan.Changes
}

// A new model folder makes its own resources and touches nothing else.
func TestAModelFolderMakesExactlyItsResources(t *testing.T) {
	t.Parallel()
	w, err := planned(t).fork(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.models(append(slices.Clone(models), newcomer)...); err != nil {
		t.Fatal(err)
	}
	data, err := w.plan()
	if err != nil {
		t.Fatal(err)
	}
	created := 0
	for _, c := range changes(t, data) {
		switch {
		case slices.Equal(c.Change.Actions, []string{"no-op"}) || c.Mode == "data":
		case !slices.Equal(c.Change.Actions, []string{"create"}):
			t.Errorf("%s: %q, expected a new model to change nothing", c.Address, c.Change.Actions)
		case !strings.Contains(c.Address, newcomer.name):
			t.Errorf("%s is created, which is not the new model's", c.Address)
		default:
			created++
		}
	}
	if created == 0 {
		t.Error("the new model makes nothing")
	}
	for _, breach := range read(t, data).Check(nil) {
		if strings.Contains(breach, newcomer.name) {
			t.Error(breach)
		}
	}
}

// Two owners, two ways; a model without an owner goes the platform's.
func TestAlertsGoToTheOwnersOfTheModels(t *testing.T) {
	t.Parallel()
	p := read(t, planned(t).wired)
	channel := map[string]string{"team-shop": "projects/millrace-test/notificationChannels/7"}
	for _, r := range p.Of("google_monitoring_notification_channel") {
		channel[r.Text("user_labels.owner")] = r.Text("name")
	}
	want := map[string]string{"prices": "team-shop", "flights": "team-air", "bike-demand": "team-air", "the-longest-of-names-x": "platform", "": "platform"}
	routes := map[string]bool{}
	for _, r := range p.Of("google_monitoring_alert_policy") {
		owner := want[r.Text("user_labels.model")]
		if got := r.Get("notification_channels.*"); len(got) != 1 || got[0] != channel[owner] || r.Text("user_labels.owner") != owner {
			t.Errorf("%s goes to %q of %s, expected %q of %s", r.Address, got, r.Text("user_labels.owner"), channel[owner], owner)
		}
		routes[r.Text("user_labels.owner")] = true
	}
	if len(routes) != 3 {
		t.Errorf("owners told are %v, expected three", routes)
	}
	for _, r := range p.Of("google_monitoring_dashboard") {
		if !json.Valid([]byte(r.Text("dashboard_json"))) {
			t.Errorf("%s is no JSON", r.Address)
		}
	}
}
