package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
)

// lookBack is how far before a fold a sample is looked for that deltas count
// from: the longest gap that Prometheus itself bridges, or three folds.
const lookBack = 5 * time.Minute

// maxPods is how many pods are named in one query.
const maxPods = 250

// Rows answers a query for one fold from raw samples.
func (s *Source) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	const op = "rows"
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	counters, err := s.ratio(q.Signal, q.Matches)
	if err != nil {
		return analysis.Answer{}, s.rejected(op, err)
	}
	i := &inquiry{Source: s, op: op}
	from := rangeStart(q.Fold)
	ask := func(from time.Time) func([]*labels.Matcher) ([]series, error) {
		return func(ms []*labels.Matcher) ([]series, error) { return i.raw(ctx, ms, q.AsOf().Sub(from), q.AsOf()) }
	}

	found, err := counters.read(ask(from))
	if err != nil {
		return analysis.Answer{}, err
	}
	starts, err := i.starts(ctx, q.Matches, q.AsOf().Sub(from), q.AsOf())
	if err != nil {
		return analysis.Answer{}, err
	}
	f := newFold(s.labels, q, counters.good)
	f.add(found, starts)
	// What is new within the look-back, a target or one of its series, may have
	// been there before an outage. That is asked once: in the next fold it is known.
	if !q.Since.IsZero() && q.Since.Before(from) {
		if err := f.lookFurther(counters, ask(q.Since.Truncate(time.Second))); err != nil {
			return analysis.Answer{}, err
		}
	}
	return analysis.Answer{Rows: f.rows(), Partial: len(i.warnings) > 0, Skew: s.clock.latest(), Warnings: unique(i.warnings), Rendered: i.rendered}, nil
}

// rangeStart is from when on samples are asked for.
func rangeStart(f analysis.Fold) time.Time {
	return f.Start.Add(-max(lookBack, 3*f.End.Sub(f.Start)))
}

// Render returns the queries that a question comes to, without asking them: what a
// merged question would have been for one of those it was merged from. A question
// that cannot be put has none.
func (s *Source) Render(q analysis.Query) []string {
	counters, err := s.ratio(q.Signal, q.Matches)
	if err != nil {
		return nil
	}
	starts, err := s.labels.bind(&analysis.Selector{Metric: startMetric}, q.Matches)
	if err != nil {
		return nil
	}
	asked := [][]*labels.Matcher{counters.total}
	if !counters.within {
		asked = append(asked, counters.event)
	}
	var rendered []string
	for _, ms := range append(asked, starts) {
		query, err := render(ms, q.AsOf().Sub(rangeStart(q.Fold)))
		if err != nil {
			return nil
		}
		rendered = append(rendered, query)
	}
	return rendered
}

// A fold sorts the series of a query into pods and their targets.
type fold struct {
	labels naming
	query  analysis.Query
	names  []string // of the query's matches
	good   bool
	pods   map[podKey]*pod
	same   map[podKey][]*pod // by key without what was observed
}

type podKey struct{ values, name, observed string }

// A pod becomes one row. One that was upgraded in place is two: it shows two
// observed versions.
type pod struct {
	row     analysis.Row
	label   string             // that names it
	targets map[string]*target // by what is scraped at once
}

type target struct {
	analysis.Target
	analysis.Increase
	received int
}

func newFold(n naming, q analysis.Query, good bool) *fold {
	f := &fold{labels: n, query: q, good: good, pods: map[podKey]*pod{}, same: map[podKey][]*pod{}}
	for _, m := range q.Matches {
		f.names = append(f.names, m.Name)
	}
	return f
}

// pod returns the pod that a series belongs to.
func (f *fold) pod(s series) *pod {
	values, observed := f.labels.values(s.metric, f.names), f.labels.values(s.metric, f.query.Observe)
	name, label := f.labels.pod(s.metric)
	key := podKey{strings.Join(values, "\x00"), name, strings.Join(observed, "\x00")}
	p := f.pods[key]
	if p == nil {
		p = &pod{row: analysis.Row{Values: values, Observed: observed, Pod: name}, label: label, targets: map[string]*target{}}
		f.pods[key] = p
		key.observed = ""
		f.same[key] = append(f.same[key], p)
	}
	return p
}

// target returns the target that a series belongs to.
func (f *fold) target(s series) *target {
	p, scrape := f.pod(s), f.labels.scrape(s.metric)
	if p.targets[scrape] == nil {
		p.targets[scrape] = new(target)
	}
	return p.targets[scrape]
}

// add takes in the counters and the starts, and counts.
func (f *fold) add(counters, starts []series) {
	for _, s := range counters {
		t := f.target(s)
		t.Series = append(t.Series, s.CounterSeries)
	}
	for _, s := range starts {
		for _, p := range f.started(s) {
			if t := p.targets[f.labels.scrape(s.metric)]; t != nil {
				t.Starts = startsOf(s.Samples)
			}
			if last := s.Samples[len(s.Samples)-1].T; last.After(f.query.Fold.Start) {
				p.row.Fresh = true
			}
		}
	}
	for _, p := range f.pods {
		for _, t := range p.targets {
			t.Increase, t.received = analysis.IncreaseOf(t.Target, f.query.Fold, f.good)
		}
	}
}

// started returns the pods that a start belongs to. Where the version is a label
// of the counters alone, that is every pod of the name.
func (f *fold) started(s series) []*pod {
	if strings.Join(f.labels.values(s.metric, f.query.Observe), "") == "" {
		name, _ := f.labels.pod(s.metric)
		key := podKey{values: strings.Join(f.labels.values(s.metric, f.names), "\x00"), name: name}
		if same := f.same[key]; len(same) > 0 {
			return same
		}
	}
	p := f.pod(s)
	if len(p.targets) == 0 { // heard of by its start alone
		f.target(s)
	}
	return []*pod{p}
}

// lookFurther asks for a longer range of the pods that have something new, and
// counts their targets again.
func (f *fold) lookFurther(counters ratio, ask func([]*labels.Matcher) ([]series, error)) error {
	pods := map[string][]string{} // by the label that names them
	for _, p := range f.pods {
		for _, t := range p.targets {
			if _, err := literal(p.label, []string{p.row.Pod}); f.isNew(t) && (err == nil || p.label == "") {
				pods[p.label] = append(pods[p.label], p.row.Pod) // a name that no query can carry stays new
			}
		}
	}
	for _, label := range slices.Sorted(maps.Keys(pods)) {
		for part := range slices.Chunk(unique(pods[label]), maxPods) {
			var narrowed []*labels.Matcher
			if label != "" {
				m, err := literal(label, part)
				if err != nil {
					return fmt.Errorf("look further back for %d pods: %w", len(part), err)
				}
				narrowed = append(narrowed, m)
			}
			earlier, err := counters.read(ask, narrowed...)
			if err != nil {
				return err
			}
			f.recount(earlier)
		}
	}
	return nil
}

// isNew reports whether a target, or one of its series, has its first sample of
// the range in the fold. A series that was silent for long may have been there
// too: counting it from 0 would count its whole past again.
func (f *fold) isNew(t *target) bool {
	return slices.ContainsFunc(t.Series, func(s analysis.CounterSeries) bool { return s.Samples[0].T.After(f.query.Fold.Start) })
}

// recount gives targets that had something new the series of a longer range.
func (f *fold) recount(counters []series) {
	longer := map[*target][]analysis.CounterSeries{}
	for _, s := range counters {
		if t := f.target(s); f.isNew(t) {
			longer[t] = append(longer[t], s.CounterSeries)
		}
	}
	for t, series := range longer {
		t.Series = series
		t.Increase, t.received = analysis.IncreaseOf(t.Target, f.query.Fold, f.good)
	}
}

// rows returns one row for every pod that had a sample in the fold, of the signal
// or of anything else.
func (f *fold) rows() []analysis.Row {
	var rows []analysis.Row
	for p := range maps.Values(f.pods) {
		r := p.row
		for _, scrape := range slices.Sorted(maps.Keys(p.targets)) { // an order, so that sums of floats are the same each time
			t := p.targets[scrape]
			r.Bad += t.Bad
			r.Exposure += t.Exposure
			r.New = r.New || t.New
			r.FirstBad += t.FirstBad
			r.FirstExposure += t.FirstExposure
			r.Received = max(r.Received, t.received)
			if n := len(t.Starts); n > 0 && (r.PodStart.IsZero() || t.Starts[n-1].Before(r.PodStart)) {
				r.PodStart = t.Starts[n-1] // of the process that runs; the oldest of several
			}
		}
		if r.Received > 0 || r.Fresh {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b analysis.Row) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), slices.Compare(a.Observed, b.Observed))
	})
	return rows
}

// unique returns the strings sorted, each once, in a slice of their own.
func unique(all []string) []string {
	if len(all) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(all)))
}
