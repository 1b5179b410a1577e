package doctor

import (
	"context"
	"strings"
	"sync"
)

// check is one thing that is looked at. It begins when those that it needs have ended, and only if they found no failure.
type check struct {
	name  string
	about string   // for the reference page: what is looked at
	needs []string // names of checks before it in the list
	api   string   // host of the API that it asks; left out when that is not enabled
	soft  softness // which of its own results leave those that need it going on
	run   func(context.Context, *probe) []Finding
}

// softness says what a check may find without stopping those that need it: they look at other things then.
type softness uint8

const (
	softFail softness = 1 << iota
	softSkip
)

// stops says whether those that need the check have nothing to look at any more.
func (c check) stops(findings []Finding) bool {
	for _, f := range findings {
		switch {
		case f.Status == Fail && (f.unread || c.soft&softFail == 0), f.Status == Skip && (f.root != "" || c.soft&softSkip == 0):
			return true
		}
	}
	return false
}

// state is how far a check is; the rest is valid once done is closed.
type state struct {
	done     chan struct{}
	stops    bool
	findings []Finding
}

// run makes the checks, a bounded number at once, and gives their findings in the order of the list.
func (p *probe) run(ctx context.Context, checks []check) []Finding {
	states := make(map[string]*state, len(checks))
	for _, c := range checks {
		states[c.name] = &state{done: make(chan struct{})}
	}
	for name := range p.stopped {
		states[name] = &state{done: closed, stops: true}
	}
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for _, c := range checks {
		wg.Go(func() {
			s := states[c.name]
			defer close(s.done)
			s.findings = p.one(ctx, c, states, slots)
			for i := range s.findings {
				s.findings[i].Check = c.name
			}
			s.stops = c.stops(s.findings)
		})
	}
	wg.Wait()
	var all []Finding
	for _, c := range checks {
		all = append(all, states[c.name].findings...)
		if states[c.name].stops {
			p.stopped[c.name] = true
		}
	}
	return all
}

// closed is the channel of what has ended long ago.
var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (p *probe) one(ctx context.Context, c check, states map[string]*state, slots chan struct{}) []Finding {
	for _, need := range c.needs {
		before, ok := states[need]
		if !ok {
			continue // of the stage before, and in order
		}
		<-before.done // it ends: each of its requests has a deadline
		if before.stops {
			return because(need, before.findings)
		}
	}
	if c.api != "" && p.disabled[c.api] { // only those that come after the check of the APIs name one
		return skip("because %s is not enabled", c.api)
	}
	slots <- struct{}{}
	defer func() { <-slots }()
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	return c.run(ctx, p)
}

// because is the result of a check that another one stopped; it names the first in the chain, which is what to mend.
func because(need string, findings []Finding) []Finding {
	root := need
	for _, f := range findings {
		if f.root != "" {
			root = f.root
		}
	}
	return []Finding{{Status: Skip, Message: "because of " + root, root: root}}
}

// gone lists what is not among those that are there.
func gone(want []string, have map[string]bool) []string {
	var missing []string
	for _, w := range want {
		if !have[w] {
			missing = append(missing, w)
		}
	}
	return missing
}

// list joins names for a sentence, and counts what would make it too long.
func list(names []string) string {
	const most = 6
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
