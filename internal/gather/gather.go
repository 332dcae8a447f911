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
// Each source is asked no more at a time than it can bear, and not at all while it
// fails or asks for rest (flow.go). History comes in windows of six hours, which are
// kept (history.go), and what several ask for at the same moment is asked once
// (flight.go).
//
// The package does not judge, knows no objectives beyond their names, does not
// decide what an error means for a validation, never asks again by itself later,
// and reads no clock: Advance tells it the time.
package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	Listed   Listed // beside the evidence, where the query asks for lines or operations
	Err      error
}

// Listed is what an answer lists, split by arm and not yet made into evidence.
type Listed struct {
	Lines    []ArmLine // sorted by arm, pod, template, text
	Spans    []ArmSpan // sorted by arm, pod, edge
	NotRead  analysis.NotRead
	Tail     string
	NoTraces bool
}

// An ArmLine is what a pod of an arm wrote.
type ArmLine struct {
	Arm analysis.Arm
	analysis.LineRow
}

// An ArmSpan is what the spans of a pod of an arm say about one operation or edge.
type ArmSpan struct {
	Arm analysis.Arm
	analysis.SpanRow
}

// Options are limits. A zero field stands for its default.
type Options struct {
	Concurrency int // questions under way at each source that names no number itself; 4
	Services    int // services in one question, and half the versions; 250
	HistorySums int // minute sums in one answer of History, those of distributions count more; 1,000,000
	CachedSums  int // the same that are kept for later questions; 500,000

	// Exemplars are the sources of whole traces, by name. A source of the table may be
	// one of them under the same name.
	Exemplars map[string]sources.ExemplarSource

	// Asked is called when a question is put to a source, and what it returns when
	// the answer has come, from several goroutines. Nil: nobody wants to know.
	Asked func(source, op string) (answered func(error))
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
	Shared   uint64 // questions of plans that were answered already, or were being asked

	Sources map[string]SourceStats
}

// A Gatherer asks the sources of one process. It is safe for concurrent use.
type Gatherer struct {
	table        map[string]sources.Source
	flows        map[string]*flow
	opts         Options
	history      *historyCache
	spacing      flights[time.Duration]
	distribution flights[analysis.Histogram]
	seen         flights[[]analysis.Seen]

	now                      atomic.Int64 // in nanoseconds
	unmerged, issued, shared atomic.Uint64
}

// New returns a Gatherer of the given sources, by the name that signals call them.
func New(table map[string]sources.Source, opts Options) *Gatherer {
	g := &Gatherer{table: table, flows: map[string]*flow{}, opts: opts.withDefaults()}
	for name, source := range table {
		g.flows[name] = newFlow(name, g.ceiling(source))
	}
	for name, source := range opts.Exemplars {
		if g.flows[name] == nil {
			g.flows[name] = newFlow(name, g.ceiling(source))
		}
	}
	g.history = newHistoryCache(g.opts.CachedSums)
	return g
}

// ceiling is how many questions a source may be asked at once when all is well.
func (g *Gatherer) ceiling(source any) int {
	if s, ok := source.(interface{ Concurrency() int }); ok {
		return s.Concurrency()
	}
	return g.opts.Concurrency
}

// Advance tells the time, by which sources are left alone and the past is settled.
func (g *Gatherer) Advance(now time.Time) {
	g.now.Store(now.UnixNano())
	for _, f := range g.flows {
		f.advance(now)
	}
}

// Stats returns the counts so far.
func (g *Gatherer) Stats() Stats {
	s := Stats{Unmerged: g.unmerged.Load(), Issued: g.issued.Load(), Shared: g.shared.Load(), Sources: map[string]SourceStats{}}
	for name, f := range g.flows {
		s.Sources[name] = f.stats()
	}
	return s
}

// concurrency is how many questions a source may be asked at once when all is well.
func (g *Gatherer) concurrency(source string) int {
	if f := g.flows[source]; f != nil {
		return f.ceiling
	}
	return 1
}

// Rows answers the requests in their order. It returns when every source has
// answered or failed; what has not answered when ctx ends has its error. A source
// that fails costs only the requests that asked it.
func (g *Gatherer) Rows(ctx context.Context, requests []Request) []Result {
	results := make([]Result, len(requests))
	g.Each(ctx, requests, func(answered []int, those []Result) {
		for k, i := range answered {
			results[i] = those[k]
		}
	})
	return results
}

// Each answers the requests as Rows does, and hands the results over as they come:
// the indexes of the requests, ascending, and what they got. All requests of a
// validation are handed over together. The calls do not overlap, and while one
// lasts no more is asked.
func (g *Gatherer) Each(ctx context.Context, requests []Request, hand func(answered []int, results []Result)) {
	d := newDelivery(requests, hand)
	var questions []*question
	var refused []int
	for i, r := range requests {
		split, err := ask(r)
		if err != nil {
			d.results[i].Err = &sources.Error{Kind: sources.Rejected, Source: r.Query.Signal.Source, Op: "rows", Err: err}
			refused = append(refused, i)
			continue
		}
		for _, s := range split {
			s.request = i
			questions = append(questions, s)
		}
		d.expect(i, len(split))
	}
	g.unmerged.Add(uint64(len(questions)))
	d.settled(refused)
	g.run(ctx, merge(questions, g.opts.Services), func(asked *merged, answer analysis.Answer, err error) {
		if len(asked.questions) > 1 {
			answer.Rendered = nil // it names others
		}
		d.take(asked, answer, err, g.rendered)
	})
}

// rendered is how a question would have been put to its source alone, nil where the
// source cannot tell.
func (g *Gatherer) rendered(q *question) []string {
	if s, ok := g.table[q.query.Signal.Source].(interface {
		Render(analysis.Query) []string
	}); ok {
		return s.Render(q.query)
	}
	return nil
}

// Lag is how far a source is behind the moment that it describes, 0 where it does
// not say.
func (g *Gatherer) Lag(source string) time.Duration {
	if s, ok := g.table[source].(interface{ Lag() time.Duration }); ok {
		return s.Lag()
	}
	return 0
}

// Spacing asks one source for the spacing of its samples; of a log signal with requests
// both sources, of which the slower counts.
func (g *Gatherer) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	if requests := requestsOf(q.Signal); requests != nil {
		of := q
		of.Signal = *requests
		q.Signal = eventsOf(q.Signal)
		exposure, err := g.Spacing(ctx, of)
		if err != nil || exposure == 0 {
			return 0, err
		}
		events, err := g.Spacing(ctx, q)
		return max(events, exposure), err
	}
	return g.spacing.once(ctx, g, q.Signal.Source, "spacing", named(q.Signal, q.Matches, q.From, q.To), func() (time.Duration, error) {
		return put(ctx, g, plans, q.Signal.Source, "spacing", func(s sources.Source) (time.Duration, error) { return s.Spacing(ctx, q) })
	})
}

// Distribution asks one source how the observations of a histogram were distributed.
func (g *Gatherer) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	return g.distribution.once(ctx, g, q.Signal.Source, "distribution", named(q.Signal, q.Matches, q.From, q.To), func() (analysis.Histogram, error) {
		return put(ctx, g, plans, q.Signal.Source, "distribution", func(s sources.Source) (analysis.Histogram, error) { return s.Distribution(ctx, q) })
	})
}

// HistoryStep is what lies between two values of a level's history at the given
// cadence: a minute, or less where the source keeps every sample.
func (g *Gatherer) HistoryStep(source string, cadence time.Duration) time.Duration {
	return HistoryStep(g.table[source], cadence)
}

// HistoryStep is the same of one source.
func HistoryStep(source sources.Source, cadence time.Duration) time.Duration {
	if s, ok := source.(interface{ KeepsSamples() bool }); ok && s.KeepsSamples() {
		return min(cadence, time.Minute)
	}
	return time.Minute
}

// Seen asks one source for the releases that it heard of.
func (g *Gatherer) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	seen, err := g.seen.once(ctx, g, q.Signal.Source, "seen", named(q.Signal, q.Service, q.From, q.To), func() ([]analysis.Seen, error) {
		return put(ctx, g, plans, q.Signal.Source, "seen", func(s sources.Source) ([]analysis.Seen, error) { return s.Seen(ctx, q) })
	})
	return slices.Clone(seen), err
}

// put asks a source when it is this question's turn.
func put[T any](ctx context.Context, g *Gatherer, l lane, name, op string, ask func(sources.Source) (T, error)) (answer T, err error) {
	source := g.table[name]
	if source == nil {
		return answer, &sources.Error{Kind: sources.Rejected, Source: name, Op: op, Err: fmt.Errorf("no source has this name")}
	}
	return inTurn(ctx, g, l, name, op, func() (T, error) { return ask(source) })
}

// inTurn asks when it is this question's turn at the source of the given name.
func inTurn[T any](ctx context.Context, g *Gatherer, l lane, name, op string, ask func() (T, error)) (answer T, err error) {
	f := g.flows[name]
	if err := f.enter(ctx, l, op); err != nil {
		return answer, err
	}
	answered := func(error) {}
	if g.opts.Asked != nil {
		answered = g.opts.Asked(name, op)
	}
	answer, err = guarded(name, op, ask)
	var known *sources.Error
	if err != nil && !errors.As(err, &known) {
		known = &sources.Error{Kind: sources.Unavailable, Source: name, Op: op, Err: err}
		err = known
	}
	answered(err)
	pause := f.leave(l, op, err, err != nil && ctx.Err() != nil)
	if err != nil && known.Kind == sources.Unavailable && pause > known.RetryAfter { // to ask before would be in vain
		err = &sources.Error{Kind: sources.Unavailable, Source: name, Op: op, RetryAfter: pause, Err: known.Err}
	}
	return answer, err
}

// union returns the values of all lists, sorted, each once.
func union(lists ...[]string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(lists...))))
}
