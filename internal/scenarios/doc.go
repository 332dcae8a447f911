// Package scenarios reads and plays the scripts of testdata/scenarios: releases that
// users of other tools told of, with the verdict that a user would expect.
//
// A script says which objectives a release has, what its history was, what the pods
// of either arm counted fold by fold, and what the verdict must be ([Read]). It is
// played through the library alone: plan, folds, checks and decision, without source,
// store or clock ([Scenario.Play]). The language has eight commands and is described
// in testdata/scenarios/README.md.
//
// What Kayenta answers on the same points is part of a script too, and is asserted
// by the tests; the judge itself is in internal/peers. This package decides nothing
// and corrects nobody: a script that Assay does not fulfil fails.
package scenarios
