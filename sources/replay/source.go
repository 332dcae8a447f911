// Package replay answers questions from a recording: what pods exported, kept in a
// file or built by a test. It serves offline re-judging with another plan, and it
// is the plainest possible reading of the contract, so that other sources can be
// compared with it.
//
// A [Recording] holds what pods count, observe, show, log and trace in no product's words. It is
// read from JSON lines by [ReadRecording], or filled in by hand. Every operator of
// a selector is understood, regular expressions too, since the recording may come
// from any product.
//
// This package does not open bundles (a bundle holds what was folded and is
// re-judged without any source), does not fetch, keeps nothing between questions,
// and makes no effort to be fast: a question walks the whole recording.
package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// HistoryLookback is how far back an earlier sample proves, in a history, that a
// target is not new.
const HistoryLookback = 10 * time.Minute

// A Source answers from a recording. It is immutable, hence safe for concurrent use.
type Source struct {
	name string
	rec  Recording
}

var _ sources.Source = (*Source)(nil)

// New returns a source of the given recording, which must not be changed afterwards.
func New(rec Recording) (*Source, error) {
	if err := rec.Validate(); err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	return &Source{name: "replay", rec: rec}, nil
}

// Rows implements sources.Source.
func (s *Source) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	sel, err := s.begin(ctx, "rows", q.Signal)
	if err != nil {
		return analysis.Answer{}, err
	}
	if !q.Fold.End.After(q.Fold.Start) {
		return analysis.Answer{}, s.rejected("rows", errors.New("the fold is empty"))
	}
	switch {
	case sel.logs != nil:
		return s.lineRows(q, sel)
	case sel.spans != nil:
		return s.spanRows(q, sel)
	}
	var rows []analysis.Row
	for _, pod := range s.rec.Pods {
		values, ok := match(pod, q.Matches)
		if !ok {
			continue
		}
		row := analysis.Row{Values: values, Pod: pod.Name()}
		for _, name := range q.Observe {
			row.Observed = append(row.Observed, pod.Attributes[name])
		}
		series := sel.pick(pod, q.Bounds, q.Strata)
		row.Fresh = fresh(pod, series, q.Fold)
		heard := false
		for _, stratum := range strata(series) {
			t := target(pod, series, stratum, q.Fold, q.Since)
			one := row
			one.Stratum, one.PodStart = stratum, started(pod, t)
			if sel.shape == analysis.ShapeLevel {
				one.Level, one.Received = level(series, stratum, q.Fold, q.Signal)
			} else {
				one.Increase, one.Received = analysis.IncreaseOf(t, q.Fold, sel.good)
			}
			if one.Received > 0 {
				heard = true
				rows = append(rows, one)
			}
		}
		if !heard && row.Fresh {
			row.PodStart = started(pod, target(pod, series, nil, q.Fold, q.Since))
			rows = append(rows, row)
		}
	}
	return analysis.Answer{Rows: sources.AddUp(rows, q.Signal)}, nil
}

// strata returns the strata of series, each once, in their order.
func strata(series []picked) [][]string {
	var out [][]string
	for _, s := range series {
		out = append(out, s.stratum)
	}
	slices.SortFunc(out, slices.Compare)
	return slices.CompactFunc(out, slices.Equal)
}

// level returns the newest values of a stratum's gauges inside a fold as one, and how
// many readings there were.
func level(series []picked, stratum []string, fold analysis.Fold, signal analysis.Signal) (sum float64, received int) {
	var times []time.Time
	n := 0.0
	for _, s := range series {
		inside := s.Samples[countUntil(s.Samples, fold.Start, timeOf):countUntil(s.Samples, fold.End, timeOf)]
		if len(inside) == 0 || !slices.Equal(s.stratum, stratum) {
			continue
		}
		sum += inside[len(inside)-1].V
		n++
		for _, sample := range inside {
			times = append(times, sample.T)
		}
	}
	if n > 1 && !signal.Adds() {
		sum /= n
	}
	slices.SortFunc(times, time.Time.Compare)
	return sum, len(slices.CompactFunc(times, time.Time.Equal))
}

// Spacing implements sources.Source. The spacing is that of readings: instants at
// which any series of the pod's signal has a sample.
func (s *Source) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	sel, err := s.begin(ctx, "spacing", q.Signal)
	if err != nil {
		return 0, err
	}
	if sel.logs != nil || sel.spans != nil {
		return s.streamSpacing(q, sel), nil
	}
	var gaps []time.Duration
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		var times []time.Time
		for _, series := range sel.pick(pod, nil, nil) {
			for _, sample := range series.Samples {
				if !sample.T.Before(q.From) && sample.T.Before(q.To) {
					times = append(times, sample.T)
				}
			}
		}
		slices.SortFunc(times, time.Time.Compare)
		times = slices.CompactFunc(times, time.Time.Equal)
		for i := 1; i < len(times); i++ {
			gaps = append(gaps, times[i].Sub(times[i-1]))
		}
	}
	if len(gaps) == 0 {
		return 0, nil
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2], nil
}

// Seen implements sources.Source.
func (s *Source) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	sel, err := s.begin(ctx, "seen", q.Signal)
	if err != nil {
		return nil, err
	}
	type release struct{ service, namespace, environment, version string }
	seen := map[release]*analysis.Seen{}
	pods := map[release]map[string]bool{}
	for _, pod := range s.rec.Pods {
		a := pod.Attributes
		r := release{a[analysis.AttrService], a[analysis.AttrNamespace], a[analysis.AttrEnvironment], a[analysis.AttrVersion]}
		if q.Service != "" && r.service != q.Service {
			continue
		}
		fold := analysis.Fold{Start: q.From, End: q.To}
		var inc analysis.Increase
		received := 0
		if sel.logs != nil || sel.spans != nil {
			received = len(sel.within(pod, fold))
			inc.Exposure = float64(received)
		} else {
			inc, received = analysis.IncreaseOf(target(pod, sel.pick(pod, nil, nil), nil, fold, q.From.Add(-HistoryLookback)), fold, sel.good)
		}
		if received == 0 {
			continue
		}
		if seen[r] == nil {
			seen[r] = &analysis.Seen{Service: r.service, Namespace: r.namespace, Environment: r.environment, Version: r.version}
			pods[r] = map[string]bool{}
		}
		seen[r].Exposure += inc.Exposure
		pods[r][pod.Name()] = true
	}
	var out []analysis.Seen
	for r, s := range seen {
		s.Pods = len(pods[r])
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b analysis.Seen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Version, b.Version))
	})
	return out, nil
}

func (s *Source) begin(ctx context.Context, op string, signal analysis.Signal) (selection, error) {
	if err := ctx.Err(); err != nil {
		return selection{}, &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: err}
	}
	sel, err := compile(signal)
	if err != nil {
		return selection{}, s.rejected(op, err)
	}
	return sel, nil
}

func (s *Source) rejected(op string, err error) error {
	return &sources.Error{Kind: sources.Rejected, Source: s.name, Op: op, Err: err}
}

// match returns the pod's values of the matches, if it carries a wanted one of each.
func match(pod Pod, matches []analysis.Match) ([]string, bool) {
	values := make([]string, 0, len(matches))
	for _, m := range matches {
		value := pod.Attributes[m.Name]
		if !slices.Contains(m.Values, value) {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// fresh reports whether a series of the pod that is not of the signal has a sample
// inside the fold.
func fresh(pod Pod, signal []picked, fold analysis.Fold) bool {
	for i, series := range pod.Series {
		if slices.ContainsFunc(signal, func(p picked) bool { return p.index == i }) {
			continue
		}
		if hasSample(series.Samples, fold.Start.Add(1), fold.End) {
			return true
		}
		n := countUntil(series.Histograms, fold.End, timeOfHistogram)
		if n > 0 && series.Histograms[n-1].T.After(fold.Start) {
			return true
		}
	}
	return false
}

// started returns the newest start that the target's samples tell of: a restart is
// not heard of before the first sample after it.
func started(pod Pod, t analysis.Target) time.Time {
	var newest time.Time
	for _, series := range t.Series {
		if last := series.Samples[len(series.Samples)-1].T; last.After(newest) {
			newest = last
		}
	}
	n := countUntil(pod.Starts, newest, func(t time.Time) time.Time { return t })
	if n == 0 {
		return time.Time{}
	}
	return pod.Starts[n-1]
}

// recent drops what lies before since, except the last such sample of each series:
// nothing else can matter to a fold that begins after since.
func recent(t analysis.Target, since time.Time) analysis.Target {
	for i, series := range t.Series {
		if n := countUntil(series.Samples, since, timeOf); n > 1 {
			t.Series[i].Samples = series.Samples[n-1:]
		}
	}
	return t
}
