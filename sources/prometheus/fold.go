package prometheus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

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

// A target is what is scraped at once. Its series are told apart by the stratum that
// they count for.
type target struct {
	starts  []time.Time
	series  map[string][]series // by stratum
	strata  map[string][]string
	counted []stratum
}

// A stratum is what the series of one stratum of a target counted.
type stratum struct {
	values []string
	analysis.Increase
	level    float64
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

// add takes in the series and the starts, and counts.
func (f *fold) add(found, starts []series) {
	for _, s := range found {
		f.target(s).take(f, s)
	}
	for _, s := range starts {
		for _, p := range f.started(s) {
			if t := p.targets[f.labels.scrape(s.metric)]; t != nil {
				t.starts = startsOf(s.Samples)
			}
			if last := s.Samples[len(s.Samples)-1].T; last.After(f.query.Fold.Start) {
				p.row.Fresh = true
			}
		}
	}
	for _, p := range f.pods {
		for _, t := range p.targets {
			t.count(f)
		}
	}
}

// take adds a series to its stratum.
func (t *target) take(f *fold, s series) {
	values := f.labels.values(s.metric, f.query.Strata)
	key := strings.Join(values, "\x00")
	if t.series == nil {
		t.series, t.strata = map[string][]series{}, map[string][]string{}
	}
	t.series[key], t.strata[key] = append(t.series[key], s), values
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
func (f *fold) lookFurther(asked question, ask func(form, []*labels.Matcher) ([]series, error)) error {
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
			earlier, err := asked.read(ask, narrowed...)
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
	for _, all := range t.series {
		if slices.ContainsFunc(all, func(s series) bool { return s.first().After(f.query.Fold.Start) }) {
			return true
		}
	}
	return false
}

// first returns when the first sample of a series is.
func (s series) first() time.Time {
	if len(s.readings) > 0 {
		return s.readings[0].T
	}
	return s.Samples[0].T
}

// recount gives targets that had something new the series of a longer range.
func (f *fold) recount(found []series) {
	longer := map[*target]*target{}
	for _, s := range found {
		t := f.target(s)
		if !f.isNew(t) {
			continue
		}
		if longer[t] == nil {
			longer[t] = &target{starts: t.starts}
		}
		longer[t].take(f, s)
	}
	for t, again := range longer {
		again.count(f)
		*t = *again
	}
}

// rows returns one row for every pod, and every stratum of it, that had a sample in
// the fold, of the signal or of anything else.
func (f *fold) rows() []analysis.Row {
	var rows []analysis.Row
	for p := range maps.Values(f.pods) {
		heard := false
		for _, scrape := range slices.Sorted(maps.Keys(p.targets)) { // an order, so that sums of floats are the same each time
			t := p.targets[scrape]
			if n := len(t.starts); n > 0 && (p.row.PodStart.IsZero() || t.starts[n-1].Before(p.row.PodStart)) {
				p.row.PodStart = t.starts[n-1] // of the process that runs; the oldest of several
			}
		}
		for _, scrape := range slices.Sorted(maps.Keys(p.targets)) {
			for _, c := range p.targets[scrape].counted {
				if c.received == 0 {
					continue
				}
				heard = true
				r := p.row
				r.Stratum, r.Increase, r.Level, r.Received = c.values, c.Increase, c.level, c.received
				rows = append(rows, r)
			}
		}
		if !heard && p.row.Fresh {
			rows = append(rows, p.row)
		}
	}
	return sources.AddUp(rows, f.query.Signal)
}
