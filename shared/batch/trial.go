package batch

import (
	"context"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// TrialAsk is the body with which a deployment asks for a run of a candidate.
type TrialAsk struct {
	Model     string  `json:"model"`
	Candidate string  `json:"candidate"` // gs:// URI, as pipeline.Propose gives it
	Dataset   Dataset `json:"dataset"`   // one generation of an object below TrialPrefix in the staging bucket
}

// Trial is the request for a run of a candidate: of a release whose pointer has not moved. It runs as any other, but with
// the candidate's pipeline and model folder, on rows that lie in staging, and its output goes to staging too.
type Trial struct {
	TrialAsk
	Key string // Idempotency-Key
	By  string // who
}

// TrialPrefix is where the datasets of a model's trials lie in the staging bucket.
func TrialPrefix(model string) string { return "smoke/" + model + "/" }

func (t Trial) record(ctx context.Context, b *Batch) (*ledger.Run, error) {
	if err := checkKey(t.Key); err != nil {
		return nil, err
	}
	if err := t.valid(); err != nil {
		return nil, err
	}
	d := t.Dataset
	if d.Bucket != b.cfg.Staging || !strings.HasPrefix(d.Object, TrialPrefix(t.Model)) || badName(d.Object) != "" || ignoredName(d.Object) != "" {
		return nil, fault.New(fault.Invalid, nil, "dataset: gs://%.80s/%.200s, expected an object below gs://%s/%s", d.Bucket, strconv.QuoteToASCII(d.Object), b.cfg.Staging, TrialPrefix(t.Model))
	}
	if _, err := b.candidate(ctx, t.Model, t.Candidate); err != nil {
		return nil, err
	}
	key := requestKey(t.Model, t.Key)
	return &ledger.Run{
		Key: key, ID: requestRunID(t.Model, key), Model: t.Model, Kind: ledger.Request, State: ledger.Pending,
		Trigger: ledger.Trigger{Request: t.Key, By: t.By, Candidate: t.Candidate,
			Body: identity("trial", t.Model, t.Candidate, d.Bucket, d.Object, strconv.FormatInt(d.Generation, 10))},
		Dataset: d,
	}, nil
}

// valid lists every problem by its place in the body.
func (t *TrialAsk) valid() error {
	var problems []fault.Problem
	missing := func(pointer, expected string, there bool) {
		if !there {
			problems = append(problems, fault.Problem{Pointer: pointer, Code: "missing", Expected: expected, Got: "nothing"})
		}
	}
	missing("/model", "the name of a model", t.Model != "")
	missing("/candidate", "gs://BUCKET/candidates/MODEL/SHA256.json", t.Candidate != "")
	missing("/dataset/bucket", "the staging bucket", t.Dataset.Bucket != "")
	missing("/dataset/object", "the name of an object", t.Dataset.Object != "")
	missing("/dataset/generation", "the object's generation, as text", t.Dataset.Generation > 0)
	if t.Dataset.Prefix != "" {
		problems = append(problems, fault.Problem{Pointer: "/dataset/prefix", Code: "unknown", Expected: "bucket, object and generation", Got: t.Dataset.Prefix})
	}
	return refuse(problems)
}
