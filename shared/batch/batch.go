// Package batch is the only code that moves a run from state to state: Start, Drain, Reconcile, Finish. It is not for
// decoding requests, which the functions do, nor for what happens inside a pipeline, which the steps do.
package batch
