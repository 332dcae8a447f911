// Package report tells a verdict to people.
//
// [Explain] writes one page of plain text for somebody who was woken by it: what
// the answer is and why, what to do now, what each objective showed against its
// limits, what is still missing, and where the evidence lies. It reads a pending
// verdict as well as a final one, and needs nothing but the verdict; with the plan
// it also says which margin was chosen and why.
//
// The story of a page:
//
//  1. page.go lays out: labels, wrapped text, never wider than [Width] but for links,
//     which must not be broken. Every
//     word that somebody else wrote (names, reasons, warnings) goes through
//     verdicts.Plain first, so that no terminal acts on it.
//  2. explain.go writes the page from top to bottom, the answer first.
//  3. objective.go writes one objective; ruler.go draws its interval and its
//     limits on one scale.
//  4. differences.go writes what logs and traces show to differ, with examples and
//     traces, and what of them was not read; links.go makes the addresses under which
//     it can be looked at in the sources.
//  5. words.go puts figures into words.
//
// There is no probability on the page: evidence is given as what it is, how many
// times harder the data are to explain by the opposite.
//
// This package does not decide and does not read bundles or telemetry. It reads no
// clock: "left" and "ago" count from the verdict's own asOf.
package report
