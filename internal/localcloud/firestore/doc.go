// Package firestore is a google.firestore.v1.Firestore server over a bbolt file: the part of Cloud Firestore that the
// deployed code uses, durable and with the semantics that exactly-once rests on (preconditions, versions, transactions,
// composite indexes). Real clients speak to it unchanged.
//
// It is not a general emulator: no security rules, no Listen, no pipelines, no vector search, no history to read from.
// What is left out answers UNIMPLEMENTED by name. It names gRPC codes itself, unlike the rest of the house, because they are
// its wire format: ALREADY_EXISTS and FAILED_PRECONDITION are one kind of fault but two answers.
package firestore
