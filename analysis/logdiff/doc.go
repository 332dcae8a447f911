// Package logdiff compares log lines of two versions: it reads off what wraps a
// message (JSON, logfmt, time stamp, level), hides what differs from line to line
// (numbers, identifiers, addresses), and finds the templates that lines have in common.
//
// The story of a line is short:
//
//  1. A Reader takes the message, its severity and its trace id out of the raw line, and
//     a Joiner puts together stack traces that came as separate entries.
//  2. A Tally counts messages by their masked text, for one pod and one slice of time.
//     It is bounded, mergeable and independent of the order in which lines arrive.
//  3. Before a deployment Learn makes a template tree of bounded history, which is then
//     frozen in the plan, one for both arms. Compile reads it back.
//  4. At the close of a fold Tally.Rows matches the masked texts against the frozen
//     templates. What matches none keeps its text, and Tree.Mine makes new templates of
//     such rows, in canonical order, so that another order of arrival, a restart or a
//     replay gives the same ids.
//
// The tree is of the family of Drain [1]: lines are told apart by their number of words
// and their first words, then by the share of words that agree. Unlike Drain a frozen
// template never changes, a new one is its first line, and words of failure ("refused",
// "timeout") are never taken for parameters.
//
// Diff compares two plain logs of which neither exposure nor history is known.
//
// The package judges nothing: what weighs is counted by the ratios of package analysis
// (statistics 10.1). It does not redact; callers pass in what does. Nothing here is safe
// for concurrent use, but for Tree.Match while nothing is added to the tree.
//
// [1] P. He, J. Zhu, Z. Zheng, M. R. Lyu, "Drain: an online log parsing approach with
// fixed depth tree", ICWS 2017.
package logdiff
