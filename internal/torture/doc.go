// Package torture is what the kill loop knows: which deployments it tells an Assay
// of, when it kills the process, what their telemetry shows, and what must be true
// of everything that was seen. The loop itself, which needs real processes, is in
// internal/e2e.
//
//  1. [NewPlan] draws a round from a seed: scripts, each the story of one service
//     (deployments, steps, repeats, forgeries, cancels), and lives, each one process
//     from its start to the signal that ends it. The same seed gives the same round;
//     what the operating system interleaves differs.
//  2. [Fleet] answers for the telemetry of all these services as Prometheus does,
//     honestly, at once, and always with the same numbers.
//  3. What is done and seen becomes a [History]: promises (an event acknowledged),
//     reads of verdicts, the records of the verdict topic, the store, the bundles.
//  4. [Check] is a pure function from a history to what is wrong with it.
//  5. [Bugs] are faults of the kind that it must catch, each a small change of the
//     real source. A harness that does not catch them proves nothing.
//
// SIGKILL ends a process between any two instructions, but the kernel keeps what it
// has written: a missing fsync is not found here (reliability F42 is about that).
// There is one process at a time, so that fences between replicas are not tried
// either.
package torture
