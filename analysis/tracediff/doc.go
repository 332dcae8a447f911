// Package tracediff turns spans into what two versions can be compared by: how often an
// operation was served, failed, and how long it took; who called whom, and where an
// error began. It is pure: it holds no telemetry, reads no clock, and knows no source.
//
// The story, in the order of the data:
//
//  1. Every span counts for its operation. How long it took goes into a [Sketch], an
//     exponential histogram whose buckets are 2^(1/64) wide: a value is known to 0.55 %.
//  2. What needs parents and children together comes from whole traces. A [Quota] says
//     which traces those are: the ones of the smallest [Hash], as many as the minute
//     before allows. Neither what happened in a trace nor when it arrived matters.
//  3. A [Tally] takes in whole traces one by one ([Tally.Add]) and counts operations and
//     edges between them (assemble.go, edges.go): self time, errors that began there,
//     which version called which, what was tried again.
//  4. [Weight] reads how many requests a sampled trace stands for, and [Tail] tells where
//     spans were chosen by how they ended, so that they tell no rates.
//
// Every number is independent of the order in which spans and traces are given. Broken
// traces (unknown or circular parents, ids that come twice, spans that end before they
// began, clocks that disagree) are counted as far as they can be, and [Faults] says how
// many there were.
//
// This package does not decode, does not decide which fold a span belongs to beyond
// its end, and judges nothing.
package tracediff
