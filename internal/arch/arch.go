// Package arch holds the architecture as a test: who may import whom (docs/architecture.md). It has no other code.
package arch
