// Package batchscore is the default batch pipeline: plan, then each shard scored in parallel and published, with an exit
// task that closes the run. It holds the graph and the words that the graph and its steps share; what the steps do is
// package step below it.
//
//	root     work (everything but the exit task)
//	           plan                     resolves the dataset; scores and publishes a small one itself
//	           sharded                  only if plan answers mode "sharded"
//	             score-shards           a loop over plan's shards, so many at a time as the manifest says
//	               score                one shard into staging
//	             publish                after every score: staging into the outbox, _SUCCESS.json last
//	         finish                     whatever became of work: closes the run in the ledger
//
// What a step needs beyond these parameters (delimiter, shard size, limits) is in the manifest of the model folder, which
// every step fetches by digest: so a run is described by its parameters and two digests.
package batchscore
