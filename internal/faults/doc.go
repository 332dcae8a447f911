// Package faults is the catalogue of what may go wrong with telemetry, and of what
// Assay must answer then. Every row names a fault, a script for the lying server of
// internal/liar (or for the lying collector of pushed metrics), and the exact verdicts
// and reasons that are allowed where the canary is healthy and where it is harmful.
//
// A run drives the real line in event time: the store, internal/gather,
// internal/validation, and sources/prometheus over a real socket, or sources/otlp. After
// every run the invariants are checked: one final verdict by the deadline, which stays;
// what is published is what is stored; the bundle is judged again to the same bytes;
// a promote has six proven checks and a rollback a proven harm; the audit chain holds.
//
//	go test ./internal/faults -run TestCatalogue -seeds 30
//
// There is nothing here for the program: the catalogue is in the test files.
package faults
