// Package gather asks the sources for all due validations at once.
//
// A deployment asks about one service and two versions; a thousand deployments ask
// the same thousand times. Rows therefore (merge.go) unites the questions that
// differ in service and version only, asks each source once for up to 250 services
// and both arms, and (split.go) gives every validation its own rows back, counted
// for their arm. What a validation gets is what it would have got alone. Where a
// merged question fails for a reason that one of its parts may have brought in, it
// is halved and asked again (ask.go), so that one service with broken telemetry
// costs the others nothing.
//
// At most a fixed number of questions is under way at each source. History comes
// in windows of one hour, which are kept (history.go).
//
// The package does not judge, knows no objectives beyond their names, does not
// decide what an error means for a validation, never asks again by itself later,
// and reads no clock.
package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// A Request is the question of one objective of one validation for one fold.
type Request struct {
	Validation analysis.ValidationID
	Objective  string
	Query      analysis.Query
	Cohorts    analysis.Cohorts
	DeployedAt time.Time
}

// A Result answers a Request: evidence, or the error that kept it away, of which
// sources.KindOf says whether to wait for it or to record it as missing.
type Result struct {
	Evidence analysis.Evidence
	Err      error
}

// Options are limits. A zero field stands for its default.
type Options struct {
	Concurrency int // questions under way at each source; 4
	Services    int // services in one question, and half the versions; 250
	HistorySums int // minute sums in one answer of History; 1,000,000
	CachedSums  int // minute sums that are kept for later questions; 500,000
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		field *int
		value int
	}{{&o.Concurrency, 4}, {&o.Services, 250}, {&o.HistorySums, 1_000_000}, {&o.CachedSums, 500_000}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// Stats counts questions since the Gatherer was made.
type Stats struct {
	Unmerged uint64 // what Rows would have asked, one by one
	Issued   uint64 // what Rows asked
	Cached   uint64 // hours of history that were known already
}

// A Gatherer asks the sources of one process. It is safe for concurrent use.
type Gatherer struct {
	table   map[string]sources.Source
	slots   map[string]chan struct{}
	opts    Options
	history *historyCache

	unmerged, issued, cached atomic.Uint64
}

// New returns a Gatherer of the given sources, by the name that signals call them.
func New(table map[string]sources.Source, opts Options) *Gatherer {
	g := &Gatherer{table: table, slots: map[string]chan struct{}{}, opts: opts.withDefaults()}
	for name := range table {
		g.slots[name] = make(chan struct{}, g.opts.Concurrency)
	}
	g.history = newHistoryCache(g.opts.CachedSums)
	return g
}

// Stats returns the counts so far.
func (g *Gatherer) Stats() Stats {
	return Stats{Unmerged: g.unmerged.Load(), Issued: g.issued.Load(), Cached: g.cached.Load()}
}

// Rows answers the requests in their order. It returns when every source has
// answered or failed; what has not answered when ctx ends has its error. A source
// that fails costs only the requests that asked it.
func (g *Gatherer) Rows(ctx context.Context, requests []Request) []Result {
	results := make([]Result, len(requests))
	parts := make([][]part, len(requests)) // of each request, until both arms are answered
	var questions []*question
	for i, r := range requests {
		split, err := ask(r)
		if err != nil {
			results[i].Err = &sources.Error{Kind: sources.Rejected, Source: r.Query.Signal.Source, Op: "rows", Err: err}
			continue
		}
		for _, s := range split {
			s.request = i
			questions = append(questions, s)
		}
		parts[i] = make([]part, 0, len(split))
	}
	g.unmerged.Add(uint64(len(questions)))

	var mu sync.Mutex
	g.run(ctx, merge(questions, g.opts.Services), func(asked *merged, answer analysis.Answer, err error) {
		sorted := sortByWho(asked.query, answer.Rows)
		mu.Lock()
		defer mu.Unlock()
		for _, q := range asked.questions {
			parts[q.request] = append(parts[q.request], part{q, answer, sorted, err})
		}
	})
	for i, r := range requests {
		if parts[i] != nil {
			results[i] = join(r, parts[i])
		}
	}
	return results
}

// Lag is how far a source is behind the moment that it describes, 0 where it does
// not say.
func (g *Gatherer) Lag(source string) time.Duration {
	if s, ok := g.table[source].(interface{ Lag() time.Duration }); ok {
		return s.Lag()
	}
	return 0
}

// Spacing asks one source for the spacing of its samples.
func (g *Gatherer) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	return withSlot(ctx, g, q.Signal.Source, "spacing", func(s sources.Source) (time.Duration, error) { return s.Spacing(ctx, q) })
}

// Seen asks one source for the releases that it heard of.
func (g *Gatherer) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	return withSlot(ctx, g, q.Signal.Source, "seen", func(s sources.Source) ([]analysis.Seen, error) { return s.Seen(ctx, q) })
}

// withSlot asks a source when one of its slots is free.
func withSlot[T any](ctx context.Context, g *Gatherer, name, op string, ask func(sources.Source) (T, error)) (answer T, err error) {
	source := g.table[name]
	if source == nil {
		return answer, &sources.Error{Kind: sources.Rejected, Source: name, Op: op, Err: fmt.Errorf("no source has this name")}
	}
	unanswered := func() error {
		return &sources.Error{Kind: sources.Unavailable, Source: name, Op: op, Err: context.Cause(ctx)}
	}
	if ctx.Err() != nil {
		return answer, unanswered()
	}
	select {
	case g.slots[name] <- struct{}{}:
	case <-ctx.Done():
		return answer, unanswered()
	}
	defer func() { <-g.slots[name] }()
	answer, err = ask(source)
	var known *sources.Error
	if err != nil && !errors.As(err, &known) {
		err = &sources.Error{Kind: sources.Unavailable, Source: name, Op: op, Err: err}
	}
	return answer, err
}

// union returns the values of all lists, sorted, each once.
func union(lists ...[]string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(lists...))))
}
