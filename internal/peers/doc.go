// Package peers judges a release as other tools do, so that their answers can be
// laid beside Assay's on the same data.
//
// The story: every rule reads what both arms did look by look and says at which
// look it would have rolled back, if ever.
//
//   - [Kayenta] is Spinnaker's automated canary analysis, NetflixACAJudge-v1.0: a
//     Mann-Whitney test for each metric ([Kayenta.Classify]), repeated over a
//     growing window ([Kayenta.Alarm]), and a weighted score over metrics ([Score]).
//     It is written from the behaviour of its source, root search and rounding
//     included, and its acceptance cases are this package's tests.
//   - [Argo] is a metric of an Argo Rollouts AnalysisRun with a failure limit,
//     [Flagger] a metric of a Flagger canary whose failed checks add up to its
//     threshold: both compare each window with a fixed value.
//   - [Ratio] and [ZTest] are what teams write themselves.
//
// Nothing here is part of a verdict: no package of the program imports it. It does
// not fetch, and it does not improve on the tools: what looks like a fault is
// theirs, and is kept.
package peers
