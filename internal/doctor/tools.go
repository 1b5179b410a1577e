package doctor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// toolLimit bounds one call of a tool; gcloud takes seconds to start on a slow machine.
const toolLimit = 30 * time.Second

// tool is a program that work with the project needs.
type tool struct {
	name    string
	version []string // arguments that make it say its version
	least   string   // "" takes any
	missing Status
	why     string
	install string
}

// Versions older than these were not tried. Go's is that of go.mod, Terraform's that of its configuration, read from there.
var (
	gitTool       = tool{"git", []string{"--version"}, "", Warn, "which changes to deploy is then decided by content alone, and deployments record no commit", "https://git-scm.com/downloads"}
	makeTool      = tool{"make", []string{"--version"}, "", Fail, "every command of the project is a make target", "Debian and Ubuntu: sudo apt-get install make; macOS: xcode-select --install"}
	goTool        = tool{"go", []string{"env", "GOVERSION"}, "", Fail, "functions are built and tested with it", "https://go.dev/dl/"}
	gcloudTool    = tool{"gcloud", []string{"version"}, "528.0.0", Fail, "deployments and most commands below are gcloud's", "https://cloud.google.com/sdk/docs/install"}
	terraformTool = tool{"terraform", []string{"version"}, "", Warn, "only who applies the infrastructure needs it", "https://developer.hashicorp.com/terraform/install"}
)

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// check asks the tool for its version and compares.
func (t tool) check(ctx context.Context, p *probe) []Finding {
	program := identity.Find(p.o.Getenv, t.name)
	if program == "" {
		return []Finding{{Status: t.missing, Message: fmt.Sprintf("not on PATH; %s", t.why), Fix: do("# install " + t.name + ": " + t.install)}}
	}
	out, err := p.tool(ctx, program, t.version...)
	if err != nil {
		return []Finding{fail(do("# install "+t.name+" again: "+t.install), "%s does not run: %v", program, err)}
	}
	found := versionNumber.FindString(string(out))
	if found == "" {
		line, _, _ := strings.Cut(string(out), "\n")
		return []Finding{warn(nil, "%s gives no version: %.60q", program, line)}
	}
	least := cmp.Or(t.least, p.asked(t))
	if least != "" && older(found, least) {
		fix := "# install " + t.name + " " + least + " or later: " + t.install
		if t.name == "gcloud" {
			fix = "gcloud components update"
		}
		return []Finding{warn(do(fix), "version %s; %s or later is what this was tried with", found, least)}
	}
	return good("%s", found)
}

// asks are the places in the checkout that say which version of a tool they take.
var asks = map[string]struct {
	file string
	line *regexp.Regexp
}{
	"go":        {"go.mod", regexp.MustCompile(`(?m)^go (\S+)`)}, // an older Go fetches that one itself, unless it was told not to
	"terraform": {"terraform/versions.tf", regexp.MustCompile(`required_version\s*=\s*">=\s*([0-9.]+)`)},
}

// asked is the version that the checkout asks for, "" if it says nothing.
func (p *probe) asked(t tool) string {
	place, ok := asks[t.name]
	if !ok {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(p.o.Root, filepath.FromSlash(place.file)))
	if err != nil {
		return ""
	}
	m := place.line.FindSubmatch(text)
	if m == nil {
		return ""
	}
	return string(m[1])
}

// older compares versions by their numbers; the pattern that found them lets nothing else through.
func older(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		n, m := 0, 0
		if i < len(x) {
			n, _ = strconv.Atoi(x[i])
		}
		if i < len(y) {
			m, _ = strconv.Atoi(y[i])
		}
		if n != m {
			return n < m
		}
	}
	return false
}

// tool runs one program and gives what it printed.
func (p *probe) tool(ctx context.Context, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CHECKPOINT_DISABLE=1", "GOTOOLCHAIN=local")
	cmd.Dir = p.o.Root
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(errs.String()), "\n")
		return nil, fmt.Errorf("%w: %s", errors.Join(ctx.Err(), err), or(line, "it says nothing"))
	}
	return out.Bytes(), nil
}

// gcloudConfig is the part of gcloud's settings that says where commands go.
type gcloudConfig struct {
	Core struct{ Account, Project string }
	Run  struct{ Region string }
}

// readGcloud reads gcloud's settings; there are none without gcloud.
func (p *probe) readGcloud(ctx context.Context) gcloudConfig {
	var c gcloudConfig
	program := identity.Find(p.o.Getenv, "gcloud")
	if program == "" {
		return c
	}
	out, err := p.tool(ctx, program, "config", "list", "--format=json")
	if err != nil {
		return c // the check of the tool says what is wrong with it
	}
	if err := json.Unmarshal(out, &c); err != nil {
		return gcloudConfig{}
	}
	return c
}

// checkModels reads the manifests, which say what the project must have.
func checkModels(_ context.Context, p *probe) []Finding {
	root, err := os.OpenRoot(cmp.Or(p.o.Root, "."))
	if err != nil {
		return []Finding{fail(nil, "%v", err)}
	}
	defer root.Close()
	models, err := manifest.LoadAll(root.FS(), "models")
	if _, missing := root.Stat("models"); errors.Is(missing, fs.ErrNotExist) {
		return []Finding{fail(do("# run this in the checkout, or name it:", "bin/millrace doctor --repo CHECKOUT"), "%s has no folder models", or(p.o.Root, "this folder"))}
	}
	if err != nil {
		return []Finding{fail(do("bin/millrace validate"), "%s", fault.Public(err).Message)}
	}
	if len(models) == 0 {
		return []Finding{warn(do("make create-new-model"), "no model folder below models")}
	}
	p.models = models
	names := make([]string, len(models))
	for i, m := range models {
		names[i] = m.Name
	}
	return good("%d: %s", len(models), list(names))
}
