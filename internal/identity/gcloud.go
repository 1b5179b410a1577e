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
	program := find(getenv("PATH"), "gcloud")
	if program == "" {
		return "", errNone
	}
	token, said, err := printToken(ctx, program, "--audiences="+audience)
	if err != nil && strings.Contains(said, "Invalid account type") {
		token, said, err = printToken(ctx, program)
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay):
		return "", fault.New(fault.Timeout, err, "gcloud auth print-identity-token took longer than %s; run it yourself to see why", gcloudLimit)
	case err != nil:
		return "", fault.New(fault.Unauthenticated, nil, "gcloud gave no identity token (%s); run: gcloud auth login", reason(said, err))
	}
	return check(token, "gcloud auth print-identity-token")
}

func printToken(ctx context.Context, program string, args ...string) (token, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, gcloudLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append([]string{"auth", "print-identity-token", "--quiet"}, args...)...)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	cmd.WaitDelay = time.Second // gcloud is a shell script: its child may outlive it and hold the pipes
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if ctx.Err() != nil {
		err = errors.Join(exec.ErrWaitDelay, ctx.Err())
	}
	return out.String(), errs.String(), err
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

// find looks a program up on the path that was given, not on this process's.
func find(path, program string) string {
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			continue
		}
		if file, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return file
		}
	}
	return ""
}
