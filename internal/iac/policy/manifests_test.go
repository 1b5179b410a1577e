package policy

import (
	"slices"
	"strings"
	"testing"
)

type badManifest struct {
	fixture
	want string // part of what is said, line breaks and frames left out
}

// What validate refuses too; a plan must not get further with it than to say so.
var (
	badTogether = []badManifest{ // seen before any module
		{fixture{"misnamed", "name: other\nserve: [realtime]\n"}, `misnamed/model.yaml has the name "other", expected that of its folder`},
		{fixture{"nowhere", "name: nowhere\nserve: []\n"}, "nowhere is served nowhere"},
		{fixture{"stranger", "name: stranger\nowner: Team Air\nserve: [realtime]\n"}, "the owner of stranger is no label"},
		{fixture{"timeless", "name: timeless\nserve: [realtime]\nrealtime: {timeout: 60}\n"}, `realtime.timeout of timeless is "60", expected a time such as 60s`},
		{fixture{"two-of-one", "name: two-of-one\nserve: [batch]\nbatch: {schedules: [{name: a, cron: \"0 2 * * *\", dataset: a.csv}, {name: a, cron: \"0 3 * * *\", dataset: a.csv}]}\n"}, "two-of-one has two schedules of one name"},
		{fixture{"job-a", "name: job-a\nserve: [batch]\nbatch: {schedules: [{name: b-c, cron: \"0 2 * * *\", dataset: a.csv}]}\n"}, "two schedules would make one job of Cloud Scheduler"},
		{fixture{"job-a-b", "name: job-a-b\nserve: [batch]\nbatch: {schedules: [{name: c, cron: \"0 2 * * *\", dataset: a.csv}]}\n"}, "job-a-b-c"},
	}
	badAlone = []badManifest{ // seen by the module that it is for
		{fixture{"public", "name: public\nserve: [realtime]\nrealtime: {invokers: [allUsers]}\n"}, "a function is never public"},
		{fixture{"slow", "name: slow\nserve: [realtime]\nrealtime: {timeout: 2h}\n"}, "timeout of predict-slow is 7200, expected whole seconds from 1 to 3600"},
		{fixture{"three-cpus", "name: three-cpus\nserve: [realtime]\nrealtime: {cpu: \"3\"}\n"}, `cpu of predict-three-cpus is "3", expected 1, 2, 4, 6, 8`},
		{fixture{"no-unit", "name: no-unit\nserve: [realtime]\nrealtime: {memory: 256}\n"}, `memory of predict-no-unit is "256", expected a whole number of Mi or Gi`},
		{fixture{"hour-25", "name: hour-25\nserve: [batch]\nbatch: {schedules: [{name: nightly, cron: \"0 25 * * *\", dataset: a.csv}]}\n"}, `cron of nightly is "0 25 * * *", expected minute, hour`},
		{fixture{"zone", "name: zone\nserve: [batch]\nbatch: {schedules: [{name: nightly, cron: \"0 2 * * *\", zone: Local, dataset: a.csv}]}\n"}, `zone of nightly is "Local", expected a name of the IANA list`},
	}
)

// said is the text of terraform's errors on one line, without their frames.
func said(err error) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(err.Error())), " ")
}

// All of it is said at once.
func TestBadManifestsAreNamed(t *testing.T) {
	t.Parallel()
	for _, bad := range [][]badManifest{badTogether, badAlone} {
		all := slices.Clone(models)
		for _, m := range bad {
			all = append(all, m.fixture)
		}
		got := refused(t, all)
		for _, m := range bad {
			if !strings.Contains(got, m.want) {
				t.Errorf("%s: %q is not in\n%.3000s", m.name, m.want, got)
			}
		}
	}
}

func TestANameThatFitsNoAccountIsNamed(t *testing.T) {
	t.Parallel()
	const name = "the-longest-of-names-xx"
	if got := refused(t, []fixture{{name, "name: " + name + "\nserve: [realtime]\n"}}); !strings.Contains(got, name) || !strings.Contains(got, "^[a-z][a-z0-9-]{1,20}[a-z0-9]$") {
		t.Error(got)
	}
}

// refused gives what a plan with models says, which must not be made.
func refused(t *testing.T, models []fixture) string {
	t.Helper()
	w, err := planned(t).fork(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.models(models...); err != nil {
		t.Fatal(err)
	}
	if _, err = w.plan("-lock=false", "-refresh=false"); err == nil {
		t.Fatal("a plan is made")
	}
	return said(err)
}

// A folder that begins with a dot is somebody's half-made model.
func TestHiddenFoldersAreNoModels(t *testing.T) {
	t.Parallel()
	w, err := planned(t).fork(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.models(append(slices.Clone(models), fixture{".half-made", "name: half-made\nserve: [realtime]\n"})...); err != nil {
		t.Fatal(err)
	}
	if out, err := w.plan("-lock=false", "-detailed-exitcode"); err != nil {
		t.Errorf("a hidden folder changes the plan: %v\n%s", err, out)
	}
}
