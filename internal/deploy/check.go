package deploy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	askedRows   = 100 // in a request
	enough      = 50  // requests of a revision that tell something
	replayed    = 60  // requests to each revision, where too few came by themselves
	moreErrors  = 0.01
	slower      = 1.5
	slowerFloor = 50 * time.Millisecond // is no difference: an instance that starts, a neighbour
)

// sample is what is known of a revision's requests.
type sample struct {
	requests, errors int
	latency          time.Duration // its 95th percentile of Cloud Monitoring, or the median of a replay, which has few requests
}

func (s sample) String() string {
	return fmt.Sprintf("%d requests, %d errors, %s", s.requests, s.errors, s.latency.Round(time.Millisecond/10))
}

func (s sample) ratio() float64 { return float64(s.errors) / float64(max(s.requests, 1)) }

// worse says why a new revision is worse than the one before, "" if it is not.
func worse(before, after sample) string {
	switch {
	case after.ratio() > before.ratio()+moreErrors:
		return fmt.Sprintf("more errors: %.2g%% of %d requests, before %.2g%% of %d", 100*after.ratio(), after.requests, 100*before.ratio(), before.requests)
	case after.latency > time.Duration(slower*float64(before.latency))+slowerFloor:
		return fmt.Sprintf("slower: %s, before %s", after.latency.Round(time.Millisecond), before.latency.Round(time.Millisecond))
	}
	return ""
}

// predictTrial tries the function of a real-time model.
type predictTrial struct {
	parity   *bundle.Parity // nil where nothing is asked
	patience time.Duration
	watcher  *watcher
	out      *lines
}

// smoke wants the exact answers of the bundle's own model to its parity rows.
func (p *predictTrial) smoke(ctx context.Context, s *server) error {
	for _, x := range p.parity.Exchanges(askedRows) {
		err := s.patiently(ctx, p.patience, http.MethodPost, x.Request, func(r reply) error { return x.Check("the new revision", r.status, r.body) })
		if err != nil {
			return err
		}
	}
	return nil
}

// compare stops a model whose predictions moved further than its manifest allows.
func (p *predictTrial) compare(ctx context.Context, before, after *server) error {
	diff := newMoved(p.parity.Manifest)
	for _, x := range p.parity.Exchanges(askedRows) {
		taken, err := p.set(ctx, before, after, x, diff)
		for row := x.First; err == nil && !taken && row < x.First+x.Rows; row++ { // which of them the old version does not take
			if taken, err = p.set(ctx, before, after, p.parity.Row(row), diff); !taken {
				diff.refused++
			}
			taken = false
		}
		if err != nil {
			return err
		}
	}
	text, err := diff.report()
	if err == nil {
		p.out.say("# predictions: %s", text)
	}
	return err
}

// set asks both revisions the same and adds the difference; false if the old one does not answer.
func (p *predictTrial) set(ctx context.Context, before, after *server, x bundle.Exchange, diff *moved) (taken bool, err error) {
	old, err := before.send(ctx, http.MethodPost, x.Request)
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil || old.status != http.StatusOK {
		return false, nil
	}
	was, err := predictions(diff.manifest, old.body)
	if err != nil {
		return false, err
	}
	fresh, err := after.send(ctx, http.MethodPost, x.Request)
	if err != nil {
		return false, err
	}
	is, err := predictions(diff.manifest, fresh.body)
	if err != nil {
		return false, err
	}
	return true, diff.add(x.First, was, is)
}

// check compares the revisions while both have traffic: by what Cloud Monitoring saw, or, where that is too little, by
// sending the parity rows to both.
func (p *predictTrial) check(ctx context.Context, before, after *server, began, since time.Time) error {
	old, fresh, err := p.watcher.samples(ctx, before.revision, after.revision, began, since)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p.out.say("# Cloud Monitoring does not answer, the parity rows are sent to both revisions instead: %v", err)
	}
	source := "Cloud Monitoring, 95th percentile"
	if err != nil || min(old.requests, fresh.requests) < enough {
		source = "parity rows, median"
		if old, fresh, err = p.replay(ctx, before, after); err != nil {
			return err
		}
	}
	p.out.say("# %s: before %v; now %v (%s)", after.revision, old, fresh, source)
	if why := worse(old, fresh); why != "" {
		return fault.New(fault.Conflict, nil, "the new revision is worse, %s (%s)", why, source)
	}
	return nil
}

// replay sends parity rows to both revisions in turn, so that what slows one slows the other.
func (p *predictTrial) replay(ctx context.Context, before, after *server) (old, fresh sample, err error) {
	var took [2][]time.Duration
	var errors [2]int
	for i := range replayed {
		x := p.parity.Row(1 + i%p.parity.Rows())
		for side, s := range []*server{before, after} {
			r, err := s.send(ctx, http.MethodPost, x.Request)
			if ctx.Err() != nil {
				return old, fresh, context.Cause(ctx)
			}
			if fault.KindOf(err) == fault.Unauthenticated {
				return old, fresh, err
			}
			if errorAnswer(r, err) || side == 1 && r.status != http.StatusOK { // it has shown that it takes these rows
				errors[side]++
			}
			took[side] = append(took[side], r.took)
		}
	}
	median := func(d []time.Duration) time.Duration { slices.Sort(d); return d[len(d)/2] }
	return sample{replayed, errors[0], median(took[0])}, sample{replayed, errors[1], median(took[1])}, nil
}
