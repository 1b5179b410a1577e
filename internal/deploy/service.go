package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	// previousTag marks the revision that had the traffic when a deployment began: by it that revision is asked by itself,
	// and a deployment that follows an interrupted one knows where the traffic belongs.
	previousTag = "previous"
	candidate   = "c-" // with hashDigits of the unit's hash: the tag of a revision that is tried
	hashDigits  = 10   // tag, service and Cloud Run's own part share the 63 characters of a host name
	labelDigits = 40   // of the hash, in the label
	unitLabel   = "unit-hash"
	commitLabel = "commit-sha"
)

// service is what gcloud says of a Cloud Run service, as far as deployments look.
type service struct {
	Metadata struct {
		Name   string            `json:"name"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Status struct {
		URL     string   `json:"url"`
		Traffic []target `json:"traffic"`
	} `json:"status"`
}

// target is a revision's share of the traffic, its tag, or both.
type target struct {
	Revision string `json:"revisionName"`
	Percent  int    `json:"percent"`
	Tag      string `json:"tag"`
	URL      string `json:"url"`
}

// describe reads a service; fault.NotFound if there is none.
func (s *script) describe(ctx context.Context, name string) (*service, error) {
	data, err := s.gcloud(ctx, callLimit, "run", "services", "describe", name)
	if err != nil {
		return nil, err
	}
	svc := &service{}
	if err := json.Unmarshal(data, svc); err != nil {
		return nil, fault.New(fault.Internal, err, "gcloud describes %s in a way that cannot be read", name)
	}
	if svc.Status.URL == "" || len(svc.Status.Traffic) == 0 {
		return nil, fault.New(fault.Unavailable, nil, "service %s has no URL or no revision with traffic yet; look at it with: gcloud run services describe %s --region %s --project %s", name, name, s.region, s.project)
	}
	return svc, nil
}

// revisionUnit is the unit's hash in a revision's label, "" of a revision that no deployment made.
func (s *script) revisionUnit(ctx context.Context, revision string) (string, error) {
	data, err := s.gcloud(ctx, callLimit, "run", "revisions", "describe", revision)
	if err != nil {
		return "", err
	}
	var r struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return "", fault.New(fault.Internal, err, "gcloud describes %s in a way that cannot be read", revision)
	}
	return r.Metadata.Labels[unitLabel], nil
}

// tagged finds the revision that has the tag.
func (v *service) tagged(tag string) (target, bool) {
	i := slices.IndexFunc(v.Status.Traffic, func(t target) bool { return t.Tag == tag })
	if i < 0 {
		return target{}, false
	}
	return v.Status.Traffic[i], true
}

// shares are the revisions with traffic, the largest share first.
func (v *service) shares() []target {
	var out []target
	for _, t := range v.Status.Traffic {
		if t.Percent == 0 {
			continue
		}
		if i := slices.IndexFunc(out, func(o target) bool { return o.Revision == t.Revision }); i >= 0 {
			out[i].Percent += t.Percent
			continue
		}
		out = append(out, target{Revision: t.Revision, Percent: t.Percent})
	}
	slices.SortStableFunc(out, func(a, b target) int { return b.Percent - a.Percent })
	return out
}

// rightful is the revision that the traffic belongs to. A split is what an interrupted deployment left, or a person: then
// it is the one that had the traffic before, by its tag, else the one with the largest share.
func (v *service) rightful() (revision string, split bool) {
	shares := v.shares()
	if len(shares) == 0 {
		return "", false
	}
	if len(shares) == 1 {
		return shares[0].Revision, false
	}
	if before, ok := v.tagged(previousTag); ok && slices.ContainsFunc(shares, func(t target) bool { return t.Revision == before.Revision }) {
		return before.Revision, true
	}
	return shares[0].Revision, true
}

// oldTags are the tags of deployments, other than keep.
func (v *service) oldTags(keep string) []string {
	var out []string
	for _, t := range v.Status.Traffic {
		if t.Tag != keep && (t.Tag == previousTag || strings.HasPrefix(t.Tag, candidate)) {
			out = append(out, t.Tag)
		}
	}
	return out
}

// traffic are the arguments that give each revision its share and every other none.
func traffic(service string, shares ...target) []string {
	var parts []string
	for _, t := range shares {
		if t.Percent > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", t.Revision, t.Percent))
		}
	}
	return []string{"run", "services", "update-traffic", service, "--to-revisions", strings.Join(parts, ",")}
}
