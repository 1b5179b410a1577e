// Package chaos is the local cloud's fault switch: it kills the process at the n-th call of a kind, fails the call, or lets
// its answer get lost, before or after the call applied. Tests of crash safety and of lost answers arm it; without an armed
// fault it only counts.
package chaos

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
)

// Variable is the environment variable with which a server of its own process is armed at its start, see Parse.
const Variable = "MILLRACE_CHAOS"

// Action is what happens to the call that a fault hits.
type Action uint8

// The actions.
const (
	Fail Action = iota // answer Fault.Code
	Kill               // SIGKILL of this process: only for servers in a process of their own
	Drop               // no answer until the caller gives up
)

// Fault hits one call and is then spent.
type Fault struct {
	Match  string // prefix of a call's name, such as "firestore:Commit" or "storage:objects.insert"; "" = every call
	N      int    // the n-th matching call since the fault was armed; 0 means 1
	Action Action
	After  bool       // the call applies first; only its answer is lost
	Code   codes.Code // of Fail; OK means UNAVAILABLE
}

// String is the form that Parse reads.
func (f Fault) String() string {
	action := [...]string{Fail: "fail:" + codeName(f.code()), Kill: "kill", Drop: "drop"}[f.Action]
	when := "before"
	if f.After {
		when = "after"
	}
	return fmt.Sprintf("match=%s,n=%d,action=%s,when=%s", f.Match, max(f.N, 1), action, when)
}

func (f Fault) code() codes.Code {
	if f.Code == codes.OK {
		return codes.Unavailable
	}
	return f.Code
}

// Switch counts calls and applies armed faults. The zero value is ready; one switch serves all servers of a local cloud,
// so that a scenario's calls have one numbering.
type Switch struct {
	// Exit replaces SIGKILL; nil = kill this process for good.
	Exit func()

	mu    sync.Mutex
	calls []string
	armed []*armed
}

type armed struct {
	Fault
	seen int
}

// Arm adds a fault. Several may be armed; each counts from its own arming, and a call takes the first that it completes.
func (s *Switch) Arm(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = append(s.armed, &armed{Fault: f})
}

// Disarm removes all faults that have not struck, and returns how many there were.
func (s *Switch) Disarm() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.armed)
	s.armed = nil
	return n
}

// Calls lists the names of all calls so far, in order of arrival.
func (s *Switch) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

// Reset forgets the calls.
func (s *Switch) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// maxCalls bounds the memory of a server that runs for days; a scenario has tens.
const maxCalls = 100_000

// hit records a call and returns the fault it takes, if any.
func (s *Switch) hit(name string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) == maxCalls {
		s.calls = append(s.calls[:0], s.calls[maxCalls/2:]...)
	}
	s.calls = append(s.calls, name)
	struck := -1
	for i, a := range s.armed {
		if !strings.HasPrefix(name, a.Match) {
			continue
		}
		if a.seen++; a.seen >= max(a.N, 1) && struck < 0 {
			struck = i
		}
	}
	if struck < 0 {
		return Fault{}, false
	}
	f := s.armed[struck].Fault
	s.armed = append(s.armed[:struck], s.armed[struck+1:]...)
	return f, true
}

// die ends the process as a power cut would; nothing of it runs on.
func (s *Switch) die() {
	if s.Exit != nil {
		s.Exit()
		return
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {} // the signal is on its way
}

// dropLimit ends a dropped call whose caller has no deadline.
const dropLimit = 10 * time.Minute

// FromEnv arms a switch as the variable says; an empty variable arms nothing.
func FromEnv(getenv func(string) string) (*Switch, error) {
	s := &Switch{}
	faults, err := Parse(getenv(Variable))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Variable, err)
	}
	for _, f := range faults {
		s.Arm(f)
	}
	return s, nil
}

// Parse reads faults separated by ";", each as match=PREFIX,n=N,action=kill|drop|fail:CODE,when=before|after. Missing n is
// 1, missing when is before; action must be given.
func Parse(text string) ([]Fault, error) {
	var out []Fault
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		f, err := parseFault(part)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func parseFault(text string) (Fault, error) {
	f := Fault{N: 1}
	action := false
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		switch key {
		case "match":
			f.Match = value
		case "n":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return f, fmt.Errorf("fault %q: n is %q, wanted a whole number from 1", text, value)
			}
			f.N = n
		case "when":
			if value != "before" && value != "after" {
				return f, fmt.Errorf("fault %q: when is %q, wanted before or after", text, value)
			}
			f.After = value == "after"
		case "action":
			if err := f.parseAction(value); err != nil {
				return f, fmt.Errorf("fault %q: %w", text, err)
			}
			action = true
		default:
			return f, fmt.Errorf("fault %q: unknown key %q, wanted match, n, action or when", text, key)
		}
	}
	if !action {
		return f, fmt.Errorf("fault %q: no action, wanted kill, drop or fail:CODE", text)
	}
	return f, nil
}

func (f *Fault) parseAction(value string) error {
	word, code, _ := strings.Cut(value, ":")
	switch {
	case value == "kill":
		f.Action = Kill
	case value == "drop":
		f.Action = Drop
	case word == "fail":
		f.Action = Fail
		return f.Code.UnmarshalJSON([]byte(strconv.Quote(code)))
	default:
		return fmt.Errorf("action is %q, wanted kill, drop or fail:CODE", value)
	}
	return nil
}
