// Package validation is the straight line: it takes a deployment from its event to
// its verdict and its bundle.
//
//  1. Events: accepted deployment events are taken from the inbox and open, step,
//     supersede or end validations.
//  2. Plan: cohorts are resolved, history is fetched, the plan is frozen and
//     committed.
//  3. Due: for every fold that has closed, both arms' questions go to
//     internal/gather and come back as evidence, or as a reason why it is missing.
//  4. Fold: the evidence is appended to the spool as one look and handed to the
//     Judge, which folds, assesses, checks and decides.
//  5. Undecided and time left: 3.
//  6. Final: one transaction writes the verdict (compare-and-set), its outbox rows
//     and the audit entry; then the bundle is sealed.
//  7. Publish: the outbox is delivered by Publisher.
//
// The line reads no clock. Its owner calls Advance(ctx, now): each second with the
// wall clock, in the demo with the lab's clock. A fold closes at its end plus
// lateness whether or not data came; only a source that cannot answer delays it,
// up to the deadline.
//
// The pure step is Judge.Look; rejudge replays a bundle's looks through the same
// code. Everything a crash can interrupt is either in the store, or in the spool,
// or asked again.
//
// A process finds what an earlier one has left asleep, and wakes it a thousand at a
// time, or at once where an event or a person needs it. What cannot be judged on, and
// what the process has died on too often, ends with hold: no validation holds up
// another.
//
// This package does not query sources itself, does no statistics and knows no
// transport.
package validation
