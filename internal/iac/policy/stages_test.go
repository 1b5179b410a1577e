package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// collections are the names under which ids of a type are listed; of other types nothing reads the id.
var collections = map[string]string{
	"google_artifact_registry_repository": "repositories", "google_cloud_run_v2_service": "services", "google_monitoring_notification_channel": "notificationChannels",
	"google_project_iam_custom_role": "roles", "google_pubsub_subscription": "subscriptions", "google_pubsub_topic": "topics", "google_service_account": "serviceAccounts",
}

// identify gives what is applied ids and addresses of its own. The provider that stands in for Google's has one for all,
// which would hide a subscription that calls the wrong service.
func (w *workspace) identify() error {
	path := filepath.Join(w.dir, "terraform", "terraform.tfstate")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var state struct {
		Version   int              `json:"version"`
		Terraform string           `json:"terraform_version"`
		Serial    int              `json:"serial"`
		Lineage   string           `json:"lineage"`
		Outputs   map[string]any   `json:"outputs"`
		Resources []map[string]any `json:"resources"`
		Checks    any              `json:"check_results"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return err
	}
	for _, r := range state.Resources {
		kind := fmt.Sprint(r["type"])
		if collections[kind] == "" || r["mode"] != "managed" {
			continue
		}
		for _, i := range r["instances"].([]any) {
			identifyOne(kind, i.(map[string]any))
		}
	}
	if data, err = json.Marshal(state); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func identifyOne(kind string, instance map[string]any) {
	a := instance["attributes"].(map[string]any)
	own := fmt.Sprint(instance["index_key"])
	for _, key := range []string{"name", "repository_id", "role_id", "email"} {
		if v, ok := a[key].(string); ok && v != "" && !strings.HasPrefix(v, "replay") {
			own = v
		}
	}
	a["id"] = "projects/millrace-test/" + collections[kind] + "/" + own
	if name, ok := a["name"].(string); ok && strings.HasPrefix(name, "replay") {
		a["name"] = a["id"]
	}
	if kind == "google_cloud_run_v2_service" {
		a["uri"] = "https://" + own + ".run.invalid"
	}
}

// stages are the plans of one life of an environment.
type stages struct {
	*workspace
	second  []byte // at once after the apply
	changed bool   // the second plan is not empty
	wired   []byte // when everything has an id and an address of its own: all that can be known
}

var life = sync.OnceValues(func() (*stages, error) {
	dir, err := os.MkdirTemp("", "millrace-iac-")
	if err != nil {
		return nil, err
	}
	folder = dir
	w, err := open(dir)
	if err != nil {
		return nil, &missing{err}
	}
	if !w.offline {
		return nil, &missing{errors.New("no provider that plans without an account is at hand (MILLRACE_SHARED)")}
	}
	s := &stages{workspace: w}
	if _, err := w.plan(); err != nil {
		return nil, err
	}
	if err := w.apply(); err != nil {
		return nil, err
	}
	s.second, err = w.plan("-detailed-exitcode")
	var exit *exec.ExitError
	if s.changed = errors.As(err, &exit) && exit.ExitCode() == 2; s.changed {
		s.second, err = w.run("show", "-no-color", "plan.bin")
	}
	if err != nil {
		return nil, err
	}
	if err := w.identify(); err != nil {
		return nil, err
	}
	if s.wired, err = w.plan(); err != nil {
		return nil, err
	}
	return s, w.apply()
})

// fork copies the applied workspace, so that a test may change its configuration.
func (s *stages) fork(t *testing.T) (*workspace, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(s.dir)); err != nil {
		return nil, err
	}
	return &workspace{dir: dir, command: s.command, offline: s.offline}, nil
}
