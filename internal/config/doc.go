// Package config reads what people write about Assay, strictly.
//
// There are two kinds of files. The process file (assay.yaml) says where this
// process listens, keeps its data and finds its sources: [Load] lays it over
// [Defaults], in which everything is already decided. The policy files say what
// is promised and how releases are held to it: OpenSLO v1 objects of kind SLO,
// SLI, DataSource and Service, and ReleaseValidation objects of assay.dev/v1alpha1.
// [Config.LoadPolicies] turns them into the words of package analysis, and
// [Policies.For] picks the policy of a release: the one that its event names,
// else the most specific that matches, else the built-in plan on the built-in
// signals ([BuiltinPolicy]).
//
// A mistake is never read as a default. An unknown key, a duplicate key, a value
// of the wrong type, a word that is not in the list, a reference to nothing and
// a query that cannot be reduced to one counter are faults, each with file, line
// and column, the path of the field, the legal values and, where one is near,
// the word that was probably meant. All of them are reported at once, as
// [Faults]. What OpenSLO or a later version of Assay knows and this version does
// not is a fault too, which says so: it is never skipped.
//
// The reading goes in one direction: bytes to YAML nodes with positions
// (document.go), nodes to Go values by one strict decoder whose struct types are
// the grammar (decode.go), and values to analysis types, checked against each
// other (process.go, openslo.go, validation.go).
//
// Two things go in the other direction. [Config.Print] and [Policies.Print] write
// what holds, defaults and all, without its secrets; [Schema] makes from the
// decoder's own types what editors complete and check by.
//
// This package does not open what it reads about: it connects to nothing, asks no
// source whether a metric exists (assay check does, by the places that
// [Policies.Written] tells it) and knows no options of any source or sink; those
// blocks are kept with their positions for the adapter to decode ([Source.Decode]).
// It does not read PromQL (internal/promql does), does not watch files and does not
// reload. It reads no flags: they are laid over the Config by cmd.
package config
