package batch

import (
	"slices"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// born are the states that a record may be created in.
var born = []ledger.State{ledger.Pending, ledger.Ignored, ledger.Invalid, ledger.Superseded}

// moves is the one table of what may follow what. A state that stands in its own row may get a new owner, once the lease
// of the old one is over. Final states have no row.
//
//   - pending → claimed: Start, Drain, Reconcile; the others: the object is gone, a newer one exists, a person says so
//   - claimed, submitting: the owner of the lease; submitting leaves for pending or failed only when Vertex surely refused
//   - submitting and later → the end: Finish and Reconcile; a pipeline may end before its starter wrote submitted
var moves = map[ledger.State][]ledger.State{
	ledger.Pending: {ledger.Claimed, ledger.Invalid, ledger.Superseded, ledger.Cancelled},
	ledger.Claimed: {ledger.Claimed, ledger.Submitting, ledger.Pending, ledger.Invalid, ledger.Superseded, ledger.Failed},
	ledger.Submitting: {ledger.Submitting, ledger.Submitted, ledger.Pending, ledger.Running,
		ledger.Succeeded, ledger.Failed, ledger.Cancelled, ledger.Invalid},
	ledger.Submitted: {ledger.Running, ledger.Succeeded, ledger.Failed, ledger.Cancelled, ledger.Invalid},
	ledger.Running:   {ledger.Succeeded, ledger.Failed, ledger.Cancelled, ledger.Invalid},
}

// allowed says whether the table has the move. From "" means creation.
func allowed(from, to ledger.State) bool {
	if from == "" {
		return slices.Contains(born, to)
	}
	return slices.Contains(moves[from], to)
}
