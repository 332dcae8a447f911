// Package archtest keeps the house of Assay as it was drawn: which package may import which, where the clock, goroutines,
// randomness and the network may be touched, and what a package must say of itself.
//
// It holds tests only. They parse the source of every package in the repository, whatever its build tags, so neither a
// build nor the go command is needed, and each violation names file, line, rule and reason. The tables to edit are at the
// top of rules_test.go: a new package gets a row in rooms, an exception gets a row with its reason in exceptions; rows that
// nothing needs fail too, so the tables never say more than the tree.
//
// The go command caches the outcome of tests that read files; run this one with `make arch`, which turns the cache off.
// Types are not resolved: a local variable that is called like an imported package can be taken for it.
package archtest
