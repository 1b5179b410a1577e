package ledger

import (
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/millrace-ml/millrace/shared/fault"
)

// ParsePage reads a page from a URL's query: model, state, limit, page_token. All problems come at once.
func ParsePage(q url.Values) (Page, error) {
	p := Page{Model: q.Get("model"), State: State(q.Get("state")), Token: q.Get("page_token")}
	var problems []fault.Problem
	bad := func(name, code, expected string) {
		problems = append(problems, fault.Problem{Pointer: "/" + name, Code: code, Expected: expected, Got: q.Get(name)})
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if !slices.Contains([]string{"model", "state", "limit", "page_token"}, name) {
			bad(name, "unknown", "model, state, limit or page_token")
		}
	}
	if p.State != "" && !slices.Contains(States(), p.State) {
		bad("state", "unknown", "one of the states, such as pending, running, succeeded, failed")
	}
	if q.Has("limit") {
		n, err := strconv.Atoi(q.Get("limit"))
		if p.Limit = n; err != nil || n < 1 || n > PageLimit {
			bad("limit", "range", "1 to "+strconv.Itoa(PageLimit))
		}
	}
	if problems == nil {
		return p, nil
	}
	err := fault.New(fault.Invalid, nil, "%.40s: %.80q, expected %s", problems[0].Pointer, problems[0].Got, problems[0].Expected)
	err.Problems = problems
	return Page{}, err
}
