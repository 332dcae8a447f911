// Package tempo finds whole traces in Grafana Tempo, over its HTTP API: one by its id
// (/api/v2/traces), or some of a cohort and window that show what a finding says
// (/api/search with TraceQL). Nothing is counted from them: a search returns whatever
// was found first.
//
// A TraceQL query is put together here (query.go) from attribute names that are checked
// and values that are quoted, so that no value of a deployment can say anything but
// itself. What the search returns is ordered by what was asked and by a hash of the ids,
// then read by id until there are enough; a trace of which no span fits the question
// once those after its end are gone is passed over.
//
// Tempo writes OTLP as JSON with ids in base64, and cuts zeros off the front of the ids
// that a search returns; both are put right (answer.go).
//
// Errors are those of package internal/exemplar. The package makes no network call before
// the first question, does not retry and keeps nothing.
package tempo
