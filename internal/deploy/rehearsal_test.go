package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
)

const unit, serviceName = "predict@tiny", "predict-tiny"

// serving is a project in which the tiny model serves and is recorded; both revisions are well by Cloud Monitoring.
func serving(t *testing.T) (*project, change.Change) {
	t.Helper()
	p := newProject(t)
	p.metrics.of = func(string) sample { return sample{1000, 2, 20 * time.Millisecond} }
	p.terraform(serviceName)
	first := p.bundle(t, unit, tiny(1, ""))
	if err := p.deploy(t.Context(), first); err != nil {
		t.Fatalf("the first deployment: %v\n%s", err, p.log.String())
	}
	p.truth(t, unit, serviceName)
	p.calls = nil
	return p, first
}

func TestAChangedModelIsRolledOut(t *testing.T) {
	t.Parallel()
	p, _ := serving(t)
	next := p.bundle(t, unit, tiny(1.05, ""))
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatalf("%v\n%s", err, p.log.String())
	}
	p.truth(t, unit, serviceName)
	t.Log(p.log.String())
	t.Log(strings.Join(p.calls, "\n"))
}
