// Package doctor finds out why a project does not work yet, or not any more: tools, credentials, and what the project on
// Google Cloud has and lacks. It only reads. For what it finds wrong it prints the command that mends it, which a person
// runs. It makes nothing itself: Terraform does, and the deployment.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Status is how one finding went.
type Status string

// The statuses. Only Fail makes the command fail.
const (
	OK   Status = "ok"
	Warn Status = "warn" // works, or will have to be looked at by somebody
	Fail Status = "fail" // something does not work
	Skip Status = "skip" // could not be looked at; the message says why
)

// Finding is what one check saw, with what mends it: shell lines in the order to run them, and comments starting with #.
type Finding struct {
	Check   string   `json:"check"`
	Status  Status   `json:"status"`
	Message string   `json:"message"`
	Fix     []string `json:"fix,omitempty"`

	unread bool   // nobody knows: the question got no answer
	root   string // of a skip: the check that stopped it
}

// Report is everything that was found, in the order of the checks.
type Report struct {
	Project  string    `json:"project,omitempty"`
	Region   string    `json:"region,omitempty"`
	Findings []Finding `json:"findings"`
	LeftOut  int       `json:"left_out,omitempty"` // checks of the project that were not begun
}

// Failed says whether something does not work.
func (r *Report) Failed() bool { return r.count(Fail) > 0 }

func (r *Report) count(s Status) int {
	n := 0
	for _, f := range r.Findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// Options are what the command line says. Zero values mean: find out.
type Options struct {
	Project  string
	Region   string
	Prefix   string // of the buckets; "" means the project
	Database string // of Firestore; "" means (default)
	Root     string // the checkout
	Getenv   func(string) string
	API      string // address of a server that plays Google's APIs, https://HOST/path becoming API/HOST/path; loopback only
}

// Times. A project is looked at in seconds; a server that does not answer must not keep a person waiting.
const (
	callLimit  = 15 * time.Second
	checkLimit = time.Minute
	atOnce     = 8
)

// probe is what the checks know. A check writes what it found out only for those that name it among their needs.
type probe struct {
	o        Options
	api      *client
	cred     *identity.Credential
	gcloud   gcloudConfig
	account  string // who asks, "" when nobody says
	project  string
	number   string
	region   string
	models   []*manifest.Manifest
	disabled map[string]bool // APIs, by host
	policy   *policy         // of the project
	services map[string]*service
	stopped  map[string]bool // checks of the stage before that left nothing to look at
}

// Run makes all checks. An error means that nothing could be checked at all.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Getenv == nil {
		return nil, fault.New(fault.Invalid, nil, "doctor needs an environment")
	}
	if err := loopback(o.API); err != nil {
		return nil, err
	}
	if info, err := os.Stat(cmp.Or(o.Root, ".")); err != nil || !info.IsDir() {
		return nil, fault.New(fault.Invalid, nil, "%s is no folder, expected the checkout", o.Root)
	}
	p := &probe{o: o, disabled: map[string]bool{}, services: map[string]*service{}, stopped: map[string]bool{}}
	r := &Report{}
	r.Findings = p.run(ctx, localChecks)
	r.Project, r.Region = p.project, p.region
	if p.cred == nil || p.project == "" || p.region == "" {
		r.LeftOut = len(projectChecks)
		return r, nil
	}
	p.api = newClient(o.API, p.cred, p.project)
	r.Findings = append(r.Findings, p.run(ctx, projectChecks)...)
	return r, nil
}

func loopback(api string) error {
	if api == "" {
		return nil
	}
	u, err := url.Parse(api)
	if err == nil && u.Scheme == "http" {
		if ip := net.ParseIP(u.Hostname()); u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
	}
	return fault.New(fault.Invalid, nil, "the address in place of Google's APIs is %q, expected http:// and a loopback address: an access token is sent there", api)
}

func good(format string, args ...any) []Finding {
	return []Finding{{Status: OK, Message: fmt.Sprintf(format, args...)}}
}

func warn(fix []string, format string, args ...any) Finding {
	return Finding{Status: Warn, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func fail(fix []string, format string, args ...any) Finding {
	return Finding{Status: Fail, Message: fmt.Sprintf(format, args...), Fix: fix}
}

func skip(format string, args ...any) []Finding {
	return []Finding{{Status: Skip, Message: fmt.Sprintf(format, args...)}}
}

// orGood gives the problems, or the words for none.
func orGood(problems []Finding, format string, args ...any) []Finding {
	if len(problems) > 0 {
		return problems
	}
	return good(format, args...)
}

// do is a fix of these lines.
func do(lines ...string) []string { return lines }
