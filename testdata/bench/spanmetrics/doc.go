// Package spanmetrics holds Assay's reading of spans against the Collector's span metrics
// connector, in one run on the same bytes. It is a module of its own, since the Collector
// is no part of Assay:
//
//	cd testdata/bench/spanmetrics && go test -bench . -cpu 1 -benchtime 20x
//
// Both sides begin with the bytes of an export request. The connector's are decoded with
// pdata and given to ConsumeTraces with its default dimensions and histogram; Assay counts
// operations, failures and durations, and holds whole traces of its sample. With
// assembly it is also asked for the whole traces of a service, fold by fold. Each figure is
// the ratio of alternating rounds of 16 requests, at the time that one round in ten beats.
package spanmetrics
