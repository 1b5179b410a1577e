package batch

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// life is the table as the protocol states it, one row a line: from, then everything that may follow.
const life = `
-          pending ignored invalid superseded
pending    claimed invalid superseded cancelled
claimed    claimed submitting pending invalid superseded failed
submitting submitting submitted pending running succeeded failed cancelled invalid
submitted  running succeeded failed cancelled invalid
running    succeeded failed cancelled invalid
`

func TestEveryPairOfStates(t *testing.T) {
	t.Parallel()
	want := map[[2]ledger.State]bool{}
	for row := range strings.SplitSeq(strings.TrimSpace(life), "\n") {
		words := strings.Fields(row)
		from := strings.TrimPrefix(words[0], "-")
		for _, to := range words[1:] {
			want[[2]ledger.State{ledger.State(from), ledger.State(to)}] = true
		}
	}
	states := append(ledger.States(), "")
	for _, from := range states {
		for _, to := range states {
			if got := allowed(from, to); got != want[[2]ledger.State{from, to}] {
				t.Errorf("%q to %q is allowed: %v, expected %v", from, to, got, !got)
			}
		}
	}
}

func TestNoMoveBesideTheTable(t *testing.T) {
	t.Parallel()
	var c Closer // without a ledger: a move that the table lacks must not come to it
	for _, to := range ledger.States() {
		if _, err := c.move(t.Context(), &ledger.Run{State: ledger.Succeeded}, to, "test", nil); err == nil {
			t.Errorf("a succeeded run went to %s", to)
		}
	}
}

func TestFinalStatesAreTheEnd(t *testing.T) {
	t.Parallel()
	for _, s := range ledger.States() {
		if s.Final() != (len(moves[s]) == 0) {
			t.Errorf("%s: final %v, but %d states may follow", s, s.Final(), len(moves[s]))
		}
	}
}

func TestEveryStateLeadsToAnEnd(t *testing.T) {
	t.Parallel()
	var ends func(s ledger.State, seen map[ledger.State]bool) bool
	ends = func(s ledger.State, seen map[ledger.State]bool) bool {
		if s.Final() {
			return true
		}
		seen[s] = true
		for _, next := range moves[s] {
			if !seen[next] && ends(next, seen) {
				return true
			}
		}
		return false
	}
	for _, s := range ledger.States() {
		if !ends(s, map[ledger.State]bool{}) {
			t.Errorf("no way from %s to an end", s)
		}
	}
}

func TestOnlyStatesWithALeaseMayChangeHands(t *testing.T) {
	t.Parallel()
	for _, s := range ledger.States() {
		if allowed(s, s) != s.Owned() {
			t.Errorf("%s to itself is allowed: %v, expected %v", s, allowed(s, s), s.Owned())
		}
	}
}
