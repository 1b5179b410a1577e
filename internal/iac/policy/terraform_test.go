package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const root = "../../.."

// patience bounds one call of terraform.
const patience = 3 * time.Minute

// sharedFolder is what MILLRACE_SHARED names, else the folder shared beside the repository.
func sharedFolder() string {
	if s := os.Getenv("MILLRACE_SHARED"); s != "" {
		return s
	}
	return filepath.Join(root, "..", "shared")
}

// workspace is a copy of the configuration, its backend left out, with models of its own.
type workspace struct {
	dir     string // of the copy; terraform/ and models/ lie in it
	command string
	offline bool // nothing is asked over the network, plan and apply work without an account
}

// open makes a workspace. Without a provider at hand it asks Terraform to install one, which needs the registry.
func open(dir string) (*workspace, error) {
	if _, err := exec.LookPath("terraform"); err != nil {
		return nil, errors.New("terraform is not installed")
	}
	w := &workspace{dir: dir, command: "terraform"}
	if script, err := filepath.Abs(filepath.Join(sharedFolder(), "terraform", "tf-offline.sh")); err == nil {
		if _, err := os.Stat(script); err == nil {
			w.command, w.offline = script, true
		}
	}
	if err := copyTree(filepath.Join(root, "terraform"), filepath.Join(dir, "terraform")); err != nil {
		return nil, err
	}
	if err := copyTree(filepath.Join(root, "shared", "ledger", "indexes.json"), filepath.Join(dir, "shared", "ledger", "indexes.json")); err != nil {
		return nil, err
	}
	if err := w.models(models...); err != nil {
		return nil, err
	}
	vars, err := json.Marshal(variables)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "terraform", "test.auto.tfvars.json"), vars, 0o600); err != nil {
		return nil, err
	}
	if out, err := w.run("init", "-backend=false", "-input=false", "-no-color"); err != nil {
		return nil, fmt.Errorf("terraform init: no provider can be installed: %s", bytes.TrimSpace(out))
	}
	return w, nil
}

// copyTree copies files but for what Terraform keeps beside them and the backend, without which a plan needs no account.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case d.IsDir() && name == ".terraform":
			return fs.SkipDir
		case name == "backend.tf", strings.Contains(name, ".tfstate"), strings.HasSuffix(name, ".auto.tfvars"), name == "terraform.tfvars":
			return nil
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o600)
	})
}

// run calls terraform in the copy and gives what it prints on either stream.
func (w *workspace) run(args ...string) ([]byte, error) {
	return w.runIn("terraform", args...)
}

func (w *workspace) runIn(folder string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // also of a workspace that several tests share
	defer cancel()
	cmd := exec.CommandContext(ctx, w.command, append([]string{"-chdir=" + filepath.Join(w.dir, folder)}, args...)...)
	cmd.Env = append(os.Environ(), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
	if !w.offline {
		cmd.Env = append(cmd.Env, pluginCache()...)
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		out.Write(errs.Bytes())
		if i := bytes.Index(out.Bytes(), []byte("Error: ")); i > 0 && args[0] != "test" && args[0] != "validate" {
			out.Next(i) // progress and warnings
		}
	}
	return out.Bytes(), err
}

// pluginCache lets all folders share one download of the provider, which has more than 100 MB.
func pluginCache() []string {
	dir, err := os.UserCacheDir()
	if err != nil || os.Getenv("TF_PLUGIN_CACHE_DIR") != "" {
		return nil
	}
	dir = filepath.Join(dir, "millrace", "terraform-plugins")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil // each folder then has its own
	}
	return []string{"TF_PLUGIN_CACHE_DIR=" + dir, "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1"}
}

// plan makes a plan and gives its JSON.
func (w *workspace) plan(args ...string) ([]byte, error) {
	if out, err := w.run(append([]string{"plan", "-input=false", "-no-color", "-out=plan.bin"}, args...)...); err != nil {
		return nil, fmt.Errorf("terraform plan: %w\n%s", err, out)
	}
	out, err := w.run("show", "-json", "plan.bin")
	if err != nil {
		return nil, fmt.Errorf("terraform show: %w\n%s", err, out)
	}
	return invented.ReplaceAll(out, []byte("null")), nil
}

// invented is what the provider that stands in for Google's answers where the service would choose.
var invented = regexp.MustCompile(`"replay-[a-z_-]+"`)

// apply applies the last plan.
func (w *workspace) apply() error {
	if out, err := w.run("apply", "-input=false", "-no-color", "plan.bin"); err != nil {
		return fmt.Errorf("terraform apply: %w\n%s", err, out)
	}
	return nil
}

// missing is a tool that is not there.
type missing struct{ error }

// folder holds the shared workspace, "" until one is asked for.
var folder string

func TestMain(m *testing.M) {
	code := m.Run()
	if folder != "" {
		_ = os.RemoveAll(folder) // a folder of the temporary ones
	}
	os.Exit(code)
}

// planned gives the stages, or skips.
func planned(t *testing.T) *stages {
	t.Helper()
	s, err := life()
	var m *missing
	if errors.As(err, &m) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read parses a plan.
func read(t *testing.T, data []byte) *Plan {
	t.Helper()
	p, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// readRoles reads the permissions of Google Cloud's roles, which are not ours to keep.
func readRoles() (*Roles, error) {
	data, err := os.ReadFile(filepath.Join(sharedFolder(), "terraform", "gcp-iam-roles.json"))
	if err != nil {
		return nil, &missing{errors.New("gcp-iam-roles.json is not at hand (MILLRACE_SHARED)")}
	}
	return ReadRoles(data)
}

func roles(t *testing.T) *Roles {
	t.Helper()
	r, err := readRoles()
	var m *missing
	if errors.As(err, &m) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}
