package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	callLimit  = 3 * time.Minute  // of a gcloud command that changes traffic or looks
	buildLimit = 40 * time.Minute // of one that builds
	killDelay  = 10 * time.Second // from SIGTERM to the end of gcloud
)

// script carries out the commands of a deployment, or only prints them: what --dry-run shows is made by the code that
// deploys. Commands of gcloud are printed as a person could enter them, own steps as comments between them.
type script struct {
	project, region string
	program         string // gcloud
	env             []string
	out             *lines
	played          *played // answers in the place of gcloud, when nothing is to be done
}

// lines writes whole lines, each begun with what it belongs to where several units deploy at once.
type lines struct {
	mu     *sync.Mutex
	w      io.Writer
	prefix string
}

func newLines(w io.Writer) *lines { return &lines{&sync.Mutex{}, w, ""} }

func (l *lines) with(prefix string) *lines { return &lines{l.mu, l.w, prefix} }

func (l *lines) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, l.prefix+format+"\n", args...)
}

// step does one own step. The sentence stands in the plan and in the log alike.
func (s *script) step(ctx context.Context, sentence string, do func(context.Context) error) error {
	s.out.say("# %s", sentence)
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if s.played != nil {
		return nil
	}
	return do(ctx)
}

// gcloud runs one command in the project and region of the deployment, without prompts, and gives its JSON.
func (s *script) gcloud(ctx context.Context, limit time.Duration, args ...string) ([]byte, error) {
	args = append(args, "--region", s.region, "--project", s.project, "--quiet", "--format", "json")
	s.out.say("gcloud %s", quote(args))
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if s.played != nil {
		return s.played.answer(args)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.program, args...)
	// A group of its own: Ctrl-C must reach this process alone, which then decides what gcloud still has to do.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	cmd.Env = slices.Concat(s.env, []string{"CLOUDSDK_CORE_DISABLE_PROMPTS=1"}) // several units share env
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return nil, fault.New(fault.Timeout, err, "gcloud %s did not end within %s", strings.Join(args[:3], " "), limit)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, refusal(args, err, stderr.String())
}

// Errors of gcloud that say what to do.
var (
	noService    = regexp.MustCompile(`(?i)cannot find service|service \[?[a-z0-9-]+\]? (could not be|was not) found`)
	noCredential = regexp.MustCompile(`(?i)active account|gcloud auth login|reauthentication|invalid_grant`)
)

// refusal makes one line of what gcloud writes when it fails.
func refusal(args []string, err error, stderr string) error {
	text := ""
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "ERROR:") || text == "" && line != "" {
			text = line
		}
	}
	command := "gcloud " + strings.Join(args[:min(len(args), 4)], " ")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return fault.New(fault.Invalid, err, "%s", missingGcloud)
	case noService.MatchString(stderr):
		return fault.New(fault.NotFound, nil, "%s: %s", command, text)
	case noCredential.MatchString(stderr):
		return fault.New(fault.Unauthenticated, nil, "gcloud has no credential; run: gcloud auth login (%s)", text)
	case text == "":
		text = err.Error()
	}
	return fault.New(fault.Internal, nil, "%s: %s", command, text)
}

const missingGcloud = "gcloud is not on PATH: install it (https://cloud.google.com/sdk/docs/install), or see with --dry-run what would be run"

var plain = regexp.MustCompile(`^[A-Za-z0-9@%+=:,./_-]+$`)

// quote writes arguments as a shell reads them.
func quote(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if out[i] = a; !plain.MatchString(a) {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}
