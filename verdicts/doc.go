// Package verdicts turns what is known about a release into one word that is
// safe to act on.
//
// The story of one look:
//
//  1. Package analysis hands over six checks, each with its state and reason:
//     harm, safety, coverage, identity, serving and environment. Beside them are
//     the user's gates and the time up to which telemetry has been folded.
//  2. [Decide] looks them up in a table of fifteen rows (file decide.go; [Table]
//     prints it). Rollback needs harm shown on a proven identity, and no sign
//     that the environment did it. Promote needs every check good, every gate
//     open and the bake over. Everything else is pending with a reason, and at
//     the deadline a final hold with the same reason.
//  3. The reason is a code of the table [Reasons] and one line of at most
//     [MaxReason] characters. docs/reason-codes.md is printed from both tables.
//  4. [New] makes a [Verdict] of the decision: the one object that every receiver
//     gets, with every key always present. Its [Sink]s deliver it.
//
// A receiver may act on exactly two words, promote and rollback. Whatever else it
// meets, an unknown word, a timeout, an answer that is too old, means: stay where
// you are. The zero value of everything here is "not proven".
//
// This package performs no I/O and reads no clock. It does not measure or test
// anything (package analysis), does not explain at length (verdicts/report), does
// not keep (verdicts/bundle, internal/store) and does not deliver: sinks are
// packages of their own. It never changes a verdict that is final; to write it
// once is the store's part.
package verdicts

//go:generate go test -count=1 -run=^TestReasonCodesPage$ . -update
