package identity

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// gcloudLimit is for one command; the first of a day may refresh a login over the network.
const gcloudLimit = 30 * time.Second

// gcloud asks the command line that a person is signed in with. Service accounts and impersonation name the audience, which
// a person's account may not: gcloud then says so before it asks anyone, and is asked again without.
func gcloud(ctx context.Context, getenv func(string) string, audience string) (string, error) {
	program := Find(getenv, "gcloud")
	if program == "" {
		return "", errNone
	}
	const command = "auth print-identity-token"
	token, said, err := runGcloud(ctx, program, "auth", "print-identity-token", "--quiet", "--audiences="+audience)
	if err != nil && strings.Contains(said, "Invalid account type") {
		token, said, err = runGcloud(ctx, program, "auth", "print-identity-token", "--quiet")
	}
	if err != nil {
		return "", gcloudError(ctx, command, said, err)
	}
	return check(token, "gcloud "+command)
}

func gcloudError(ctx context.Context, command, said string, err error) error {
	if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Timeout, err, "gcloud %s took longer than %s; run it yourself to see why", command, gcloudLimit)
	}
	return fault.New(fault.Unauthenticated, nil, "gcloud %s gave nothing (%s); run: gcloud auth login", command, reason(said, err))
}

// runGcloud runs one command without questions, and gives what it printed on both outputs.
func runGcloud(ctx context.Context, program string, args ...string) (out, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, gcloudLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	cmd.WaitDelay = time.Second // gcloud is a shell script: its child may outlive it and hold the pipes
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err = cmd.Run(); ctx.Err() != nil {
		err = ctx.Err()
	}
	return o.String(), e.String(), err
}

// reason is the first line in which gcloud says what is wrong.
func reason(said string, err error) string {
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "ERROR:") {
			return strings.TrimSpace(strings.TrimPrefix(line, "ERROR:"))
		}
	}
	if said = strings.TrimSpace(said); said != "" {
		line, _, _ := strings.Cut(said, "\n")
		return line
	}
	return err.Error()
}

// Find looks a program up on the PATH of the given environment, "" if it is not there.
func Find(getenv func(string) string, program string) string {
	for _, dir := range filepath.SplitList(getenv("PATH")) {
		if dir == "" {
			continue
		}
		if file, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return file
		}
	}
	return ""
}
