package deploy

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
)

// heldLease writes the lease of another build.
func heldLease(t *testing.T, p *project, until time.Time) {
	t.Helper()
	data, err := json.Marshal(held{Holder: "build 7", Until: until})
	if err != nil {
		t.Fatal(err)
	}
	w := p.client.Bucket("shop-artifacts").Object(leasePrefix + unit + ".json").NewWriter(t.Context())
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// runWith deploys one unit with other options.
func (p *project) runWith(t *testing.T, next change.Change, edit func(*Options)) error {
	o := p.options()
	build := *p.build
	build.Units = []change.Change{next}
	o.Build = &build
	edit(&o)
	out, err := Run(t.Context(), o)
	return errors.Join(err, Failed(out))
}

func TestLeases(t *testing.T) {
	t.Parallel()
	t.Run("of a build that is gone is taken over", func(t *testing.T) {
		t.Parallel()
		p, next := serving(t)
		heldLease(t, p, time.Now().Add(-time.Second))
		if err := p.runWith(t, next, func(*Options) {}); err != nil {
			t.Error(err)
		}
		p.truth(t, unit, serviceName)
	})
	t.Run("of a build that lives is waited for, and not for ever", func(t *testing.T) {
		t.Parallel()
		p, next := serving(t)
		heldLease(t, p, time.Now().Add(time.Hour))
		err := p.runWith(t, next, func(o *Options) { o.Wait, o.Lease = 50*time.Millisecond, 80*time.Millisecond })
		if err == nil || !strings.Contains(err.Error(), "predict@tiny is being deployed by build 7 until") {
			t.Errorf("error %v", err)
		}
		if len(p.calls) != 0 {
			t.Errorf("something was done: %q", p.calls)
		}
	})
	t.Run("is renewed", func(t *testing.T) {
		t.Parallel()
		p, next := serving(t)
		if err := p.runWith(t, next, func(o *Options) { o.Lease, o.Watch = 100*time.Millisecond, 150*time.Millisecond }); err != nil {
			t.Error(err)
		}
	})
}

func TestALostLeaseStopsEverything(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	began := time.Now()
	steal := sync.OnceFunc(func() { heldLease(t, p, time.Now().Add(time.Hour)) })
	p.after = func(args []string) {
		if strings.Contains(strings.Join(args, " "), "predict-tiny-00003=10") {
			steal()
		}
	}
	err := p.runWith(t, next, func(o *Options) { o.Lease, o.Watch = 8*time.Second, time.Minute }) // it notices when it renews, in its watch
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("noticed after %s, want after a quarter of the lease", took)
	}
	if !errors.Is(err, errLeaseLost) || !strings.Contains(err.Error(), "nothing was taken back") {
		t.Errorf("error %v", err)
	}
	if last := p.calls[len(p.calls)-1]; !strings.Contains(last, "predict-tiny-00003=10") {
		t.Errorf("after the lease was lost: %s", last)
	}
}
