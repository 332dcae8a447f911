// Package analysis is the centre of Assay: the words of release validation and
// the pure arithmetic that turns telemetry into findings and checks.
//
// The story, in the order of the data:
//
//  1. An [Event] tells of a [Deployment] of a [Release]: the canary arm runs
//     its version, the baseline arm the previous one. Each arm is played by a
//     [Cohort] of pods.
//  2. [NewPlan] freezes everything that must be fixed before data is seen: the
//     objectives with tolerance and margin, weights, error rates, cadences and
//     the deadline. Its digest is in every verdict.
//  3. Event time is cut into folds on the grid of each objective's cadence. For
//     every closed [Fold] a [Query] is asked; the answer is [Evidence]: what
//     each pod of either arm counted, or the reason why it is missing.
//  4. [State.Fold] folds the evidence into the accumulators of the objective's
//     method (a row of [Methods]), and [State.Assess] reads findings from them.
//  5. [State.Checks] reduces the findings and the bookkeeping about coverage,
//     identity, serving and environment to the six checks that package verdicts
//     decides on.
//
// Nothing here performs I/O, reads a clock, starts a goroutine or draws a random
// number: the same plan and the same evidence give the same findings, byte for
// byte, in the service, in a backtest and on the laptop of somebody who checks a
// bundle. The numeric kernel is in analysis/stats.
//
// This package does not fetch telemetry (package sources), does not learn from
// history (analysis/history) and does not decide (package verdicts).
package analysis
