package ledger_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestParsePage(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		query string
		want  ledger.Page
		bad   []string // pointers of the problems
	}{
		"empty":       {"", ledger.Page{}, nil},
		"all of it":   {"model=rides&state=failed&limit=500&page_token=x", ledger.Page{Model: "rides", State: ledger.Failed, Limit: 500, Token: "x"}, nil},
		"a typo":      {"modle=rides", ledger.Page{}, []string{"/modle"}},
		"no state":    {"state=done", ledger.Page{}, []string{"/state"}},
		"limit 0":     {"limit=0", ledger.Page{}, []string{"/limit"}},
		"limit 501":   {"limit=501", ledger.Page{}, []string{"/limit"}},
		"limit word":  {"limit=all", ledger.Page{}, []string{"/limit"}},
		"empty limit": {"limit=", ledger.Page{}, []string{"/limit"}},
		"all at once": {"a=1&b=2&state=x&limit=-1", ledger.Page{}, []string{"/a", "/b", "/state", "/limit"}},
	}
	for name, tc := range cases {
		q, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ledger.ParsePage(q)
		var bad []string
		if err != nil {
			for _, p := range fault.Public(err).Problems {
				bad = append(bad, p.Pointer)
			}
		}
		if got != tc.want || cmp.Diff(tc.bad, bad) != "" || (err != nil) != (tc.bad != nil) {
			t.Errorf("%s: %+v, problems %v, %v; expected %+v, %v", name, got, bad, err, tc.want, tc.bad)
		}
	}
}
