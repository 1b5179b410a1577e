package batch

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestIdentityTellsEveryListOfPartsApart(t *testing.T) {
	t.Parallel()
	parts := rapid.SliceOfN(rapid.StringOf(rapid.RuneFrom([]rune("ab1:0"))), 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		same := len(a) == len(b) && strings.Join(a, "\x00") == strings.Join(b, "\x00")
		if got := identity(a...) == identity(b...); got != same {
			t.Fatalf("%q and %q: equal keys %v, expected %v", a, b, got, same)
		}
	})
}

func TestKeysOfOneInstantAreTheirOwn(t *testing.T) {
	t.Parallel()
	at := time.Date(2011, 11, 6, 5, 30, 0, 0, time.UTC)
	keys := map[string]string{
		"upload":                 uploadKey("m", Upload{Bucket: "b", Object: "o", Generation: 1}),
		"upload, newer":          uploadKey("m", Upload{Bucket: "b", Object: "o", Generation: 2}),
		"upload, another model":  uploadKey("n", Upload{Bucket: "b", Object: "o", Generation: 1}),
		"upload, another bucket": uploadKey("m", Upload{Bucket: "bo", Object: "", Generation: 1}),
		"tick":                   tickKey("m", "s", at),
		"tick an hour later":     tickKey("m", "s", at.Add(time.Hour)),
		"manual":                 manualKey("m", "s", at),
		"request":                requestKey("m", "s"),
	}
	seen := map[string]string{}
	for name, k := range keys {
		if seen[k] != "" {
			t.Errorf("%s and %s have one key", name, seen[k])
		}
		seen[k] = name
	}
	zone := time.FixedZone("", -4*3600)
	if tickKey("m", "s", at) != tickKey("m", "s", at.In(zone)) {
		t.Error("one instant in two zones has two keys")
	}
	a := Upload{Bucket: "b", Object: "o", Generation: 1, Size: 5, Created: at}
	if uploadKey("m", a) != keys["upload"] {
		t.Error("size or time of creation is part of the key: an event and a listing would differ")
	}
}

func TestRunIDs(t *testing.T) {
	t.Parallel()
	key := tickKey("bike-demand", "nightly", time.Unix(0, 0))
	late := time.Date(2011, 12, 31, 23, 30, 0, 0, time.FixedZone("", -5*3600)) // already January in UTC
	if got, want := runID("bike-demand", late, key), "bike-demand-20120101-"+key[:20]; got != want {
		t.Errorf("run id = %s, expected %s", got, want)
	}
	if got, want := requestRunID("bike-demand", key), "bike-demand-request-"+key[:20]; got != want {
		t.Errorf("run id of a request = %s, expected %s", got, want)
	}
	job := regexp.MustCompile(`^[a-z][-a-z0-9]{0,126}$`)
	if id := runID("a-model-name-of-22-char", late, key); !job.MatchString(id) {
		t.Errorf("%s is no Vertex job id", id)
	}
	for name, value := range labels(&ledger.Run{Key: key, Model: "bike-demand", Kind: ledger.Upload}) {
		if len(value) == 0 || len(value) > 64 || strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
			t.Errorf("label %s = %q is not allowed", name, value)
		}
	}
}
