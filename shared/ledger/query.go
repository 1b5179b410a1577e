package ledger

import (
	"context"
	_ "embed" // indexes.json
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/shared/fault"
)

//go:embed indexes.json
var indexes string

// Indexes is indexes.json: every composite index that the queries of this file need. Terraform and the local cloud read
// the same file.
func Indexes() []byte { return []byte(indexes) }

// PageLimit is the largest page of List.
const PageLimit = 500

// Page asks for records, the newest first. Empty fields do not filter.
type Page struct {
	Model string
	State State
	Limit int    // 1 to PageLimit; 0 means 50
	Token string // of the page before
}

// List gives one page of records, the newest first, and the token of the next page, empty at the end.
func (l *Ledger) List(ctx context.Context, p Page) (runs []*Run, next string, err error) {
	if p.Limit == 0 {
		p.Limit = 50
	}
	if p.Limit < 0 || p.Limit > PageLimit {
		return nil, "", fault.New(fault.Invalid, nil, "limit is %d, expected 1 to %d", p.Limit, PageLimit)
	}
	q := l.client.Collection(Collection).Query
	if p.Model != "" {
		q = q.Where("model", "==", p.Model)
	}
	if p.State != "" {
		q = q.Where("state", "==", string(p.State))
	}
	q = q.OrderBy("created", firestore.Desc).OrderBy(firestore.DocumentID, firestore.Desc)
	if p.Token != "" {
		at, key, err := openToken(p.Token)
		if err != nil {
			return nil, "", err
		}
		q = q.StartAfter(at, key)
	}
	runs, err = l.query(ctx, q.Limit(p.Limit+1), "list runs")
	if err != nil || len(runs) <= p.Limit {
		return runs, "", err
	}
	runs = runs[:p.Limit]
	return runs, pageToken(runs[p.Limit-1]), nil
}

// Oldest gives at most limit records of a state, the oldest first, after the given record (nil: from the start).
func (l *Ledger) Oldest(ctx context.Context, state State, limit int, after *Run) ([]*Run, error) {
	q := l.client.Collection(Collection).Where("state", "==", string(state)).
		OrderBy("created", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc)
	if after != nil {
		q = q.StartAfter(after.CreatedAt, after.Key)
	}
	return l.query(ctx, q.Limit(limit), fmt.Sprintf("query %s runs", state))
}

// OldestOf is the waiting line of one model: its pending records, the oldest first.
func (l *Ledger) OldestOf(ctx context.Context, model string, limit int) ([]*Run, error) {
	q := l.client.Collection(Collection).Where("model", "==", model).Where("state", "==", string(Pending)).
		OrderBy("created", firestore.Asc)
	return l.query(ctx, q.Limit(limit), "query pending runs of "+model)
}

// Next gives at most limit pending records that are not held back behind another run, the oldest first.
func (l *Ledger) Next(ctx context.Context, limit int) ([]*Run, error) {
	q := l.client.Collection(Collection).Where("state", "==", string(Pending)).Where("hold", "==", "").
		OrderBy("created", firestore.Asc)
	return l.query(ctx, q.Limit(limit), "query due runs")
}

// TicksBefore gives a schedule's records with an earlier tick than the given one, the latest first.
func (l *Ledger) TicksBefore(ctx context.Context, model, schedule string, at time.Time, limit int) ([]*Run, error) {
	q := l.client.Collection(Collection).Where("model", "==", model).Where("kind", "==", string(Tick)).
		Where("trigger.schedule", "==", schedule).Where("trigger.at", "<", at).
		OrderBy("trigger.at", firestore.Desc)
	return l.query(ctx, q.Limit(limit), "query ticks of "+model+"/"+schedule)
}

// ByID reads the record with this run id. None is fault.NotFound.
func (l *Ledger) ByID(ctx context.Context, runID string) (*Run, error) {
	q := l.client.Collection(Collection).Where("run_id", "==", runID)
	runs, err := l.query(ctx, q.Limit(1), "find run "+runID)
	if err != nil {
		return nil, err
	}
	if len(runs) == 0 {
		return nil, fault.New(fault.NotFound, nil, "no run is named %q", runID)
	}
	return runs[0], nil
}

func (l *Ledger) query(ctx context.Context, q firestore.Query, what string) ([]*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	it := q.Documents(ctx)
	defer it.Stop()
	runs := []*Run{} // not nil: an empty page is [] as JSON
	for {
		snap, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return runs, nil
		}
		if err != nil {
			return nil, unavailable(err, "%s", what)
		}
		run, err := decode(snap)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
}

// pageToken is the place of a record in the order of List.
func pageToken(r *Run) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(r.CreatedAt.UnixMicro(), 10) + " " + r.Key))
}

func openToken(token string) (at time.Time, key string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	micros, key, found := strings.Cut(string(raw), " ")
	n, nerr := strconv.ParseInt(micros, 10, 64)
	if err != nil || nerr != nil || !found || !isKey(key) {
		return time.Time{}, "", fault.New(fault.Invalid, nil, "page_token %.80q is none that a page of runs gave out", token)
	}
	return time.UnixMicro(n).UTC(), key, nil
}

// isKey says that the text is 64 lower-case hex digits. Anything else from outside must not become a document name.
func isKey(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
