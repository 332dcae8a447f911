// Package backtest judges past releases again by a changed configuration and counts what
// would have come out otherwise.
//
// The story of a case: a sealed bundle is opened; its plan is made again under the policy
// that the release would have now (analysis.Plan.Replan); the recorded looks are folded by
// the judge that folded them first (validation.Judge), with the new plan; and the word that
// comes out is held against the one that was sealed. A [Tally] counts the cases, by what
// was answered and, where people know how a release turned out, by that.
//
// Nothing is guessed. What the policy asks and the evidence does not answer is
// [Case.CannotTell]. A bundle ends where its verdict became final, so that a policy that
// would have waited longer is [Pending] at the end of the evidence.
//
// This package asks no source, reads no configuration and prints nothing.
package backtest
