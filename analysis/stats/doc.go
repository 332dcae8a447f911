// Package stats is the numeric kernel of Assay: e-processes for counts, their
// overdispersion, and the arithmetic of planning. It knows nothing of releases;
// it sees folds, and a fold is four numbers: xC bad events among nC exposures
// in the canary, xB among nB in the baseline, over the same slice of time.
//
// The story, in the order in which a fold travels:
//
//  1. [Dispersion.Phi] gives the overdispersion phi from the folds before this
//     one, [BaselineRate.P1] the baseline rate the bets start from.
//  2. [Profile.Add] adds the conditional log-likelihood of the fold on a grid of
//     rate ratios; [Affine.Add] adds the log of seven bets against an absolute
//     margin. Both are divided by phi.
//  3. [Dispersion.Add] and [BaselineRate.Add] take the fold in.
//  4. [Profile.LogHarm], [Profile.LogSafety] and [Affine.LogE] read the evidence.
//     A restart is a snapshot of the running sums, subtracted; the starts are
//     averaged by [LogStartMixture], the objectives by [LogWeightedMean].
//
// For people, not for tests, [QuantileRanks] and [DKWRadius] say how exactly a
// quantile or a whole distribution is known.
//
// Levels are no counts: [FitAR1] and [Kappa] describe the noise of a series, [Moments]
// and [SlopeSums] sum its prewhitened rows, and [LogTMean] reads the evidence about
// their mean or slope.
//
// An e-process for a null hypothesis is a nonnegative process with start 1 whose
// mean at every stopping time is at most 1 under the null. By Ville's inequality
// it reaches 1/alpha with probability at most alpha, however often one looks.
//
// Everything is computed in natural logarithms and is deterministic: no clock,
// no randomness, no map. Products are wrapped in float64() where they feed a sum,
// so that the compiler fuses no multiply-add; math.Exp still has one assembly
// version per architecture, so values agree to the last bits only on one
// architecture, and published numbers are printed to six digits.
//
// Input is never trusted and never panics: a fold that cannot be (negative,
// infinite, more events than exposures) is refused with [ErrCounts] and leaves
// the state as it was. Nothing on the path of a fold allocates.
//
// What the package does not do: it decides nothing, combines no verdicts, holds
// no thresholds, fetches nothing, and is not safe for concurrent use of one
// value (a [Grid] is read-only and may be shared).
//
// References:
//
//	[1] Ramdas, Gruenwald, Vovk, Shafer 2023, "Game-theoretic statistics and
//	    safe anytime-valid inference", Stat. Sci. 38.
//	[2] Lindon, Malek 2022, "Anytime-valid inference for multinomial count
//	    data", NeurIPS.
//	[3] Howard, Ramdas, McAuliffe, Sekhon 2021, "Time-uniform, nonparametric,
//	    nonasymptotic confidence sequences", Ann. Stat. 49.
//	[4] Vovk, Wang 2021, "E-values: calibration, combination and applications",
//	    Ann. Stat. 49.
//	[5] Shin, Ramdas, Rinaldo 2024, "E-detectors", NEJSDS.
package stats
