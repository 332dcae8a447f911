package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
)

// A Source receives metrics and answers questions about them. All methods may be
// called concurrently.
type Source struct {
	cfg Config

	mu       sync.RWMutex // protects services, not what is in them
	services map[string]*service

	asked   asked
	tracked atomic.Pointer[tracked]

	// Of spans.
	askedSpans   asked
	blocks       blocks
	resources    resources
	traces       traceStore
	spanCounters counters
	otherSpans   atomic.Uint64 // whose operation did not keep its name
	operations   atomic.Int64
	spanSketches atomic.Int64 // bytes

	// Of lines.
	askedLines    asked
	lineResources resources
	requests      repeated
	trees         trees
	redactor      *redact.Redactor
	textBytes     *ledger // of tallies, by tick
	countBytes    *ledger // of tallies without texts, by minute
	sampleBytes   *ledger // by hour

	counters, lineCounters counters
	untraced               atomic.Uint64 // log records without a trace id
	series                 atomic.Int64
	samples                atomic.Int64
	windows                atomic.Int64

	listening                  sync.Mutex
	grpcListener, httpListener net.Listener // opened and not yet served
	grpcAddr, httpAddr         string
}

var _ sources.Source = (*Source)(nil)

// New returns a source that holds nothing and does not listen yet.
func New(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	redactor, err := redact.New(cfg.Redact)
	if err != nil {
		return nil, fmt.Errorf("otlp: redact: %w", err)
	}
	s := &Source{
		cfg: cfg.withDefaults(), services: map[string]*service{},
		redactor: redactor, textBytes: newLedger(maxTextBytes), countBytes: newLedger(maxCountBytes), sampleBytes: newLedger(maxSampleBytes),
	}
	s.tracked.Store(newTracked())
	s.traces.limit = maxTraceBytes
	return s, nil
}

// Render returns what a question comes to, without asking it.
func (s *Source) Render(q analysis.Query) []string {
	sel, err := compile(q.Signal)
	if err != nil {
		return nil
	}
	return render(sel, q)
}

// Rows implements sources.Source. It may be asked for closed folds only: what
// arrives for them later is dropped.
func (s *Source) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	sel, err := s.begin(ctx, "rows", q.Signal)
	if err != nil {
		return analysis.Answer{}, err
	}
	if !q.Fold.End.After(q.Fold.Start) {
		return analysis.Answer{}, s.fail("rows", sources.Rejected, errors.New("the fold is empty"))
	}
	if sel.logs != nil {
		return s.lineRows(ctx, q, sel)
	}
	if sel.spans != nil {
		return s.spanRows(ctx, q)
	}
	end := q.Fold.End.UnixNano()
	// Resources that appear from here on know that the fold was answered.
	s.asked.add(q.Matches, end)

	answer := analysis.Answer{Rendered: render(sel, q)}
	var rows []analysis.Row
	err = s.each(ctx, "rows", q.Matches, func(w *window, values []string) {
		w.answered = max(w.answered, end)
		if q.Fold.Start.UnixNano() < w.trimmed {
			answer.Partial = true
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s: telemetry before %s is no longer kept", w.pod, instant(w.trimmed).Format(time.RFC3339)))
			return
		}
		picked, odd := sel.pick(w)
		if odd == "" && w.lost.during(q.Fold, sel) {
			odd = "points of its service were dropped"
		}
		if odd != "" {
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s left out: %s", w.pod, odd))
			return
		}
		found, why := sel.rows(w, picked, q)
		if why != "" {
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s%s", w.pod, why))
		}
		for _, row := range found {
			row.Values, row.Observed, row.Pod = values, observe(w, q.Observe), w.pod
			if w.pod == "" {
				answer.Warnings = append(answer.Warnings, "some telemetry has neither "+analysis.AttrPod+" nor "+analysis.AttrInstance+": its pods cannot be told apart")
			}
			rows = append(rows, row)
		}
	})
	if err != nil {
		return analysis.Answer{}, err
	}
	answer.Rows = sources.AddUp(rows, q.Signal)
	slices.Sort(answer.Warnings)
	answer.Warnings = slices.Compact(answer.Warnings)
	return answer, nil
}

// Spacing implements sources.Source. The spacing is that of readings: instants at
// which any series of the pod's signal has a sample. A series of increments may be
// silent for long; its pod is not.
func (s *Source) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	sel, err := s.begin(ctx, "spacing", q.Signal)
	if err != nil {
		return 0, err
	}
	if sel.logs != nil {
		return s.lineSpacing(ctx, q)
	}
	if sel.spans != nil {
		return s.spanSpacing(ctx, q)
	}
	var gaps []int64
	from, to := q.From.UnixNano(), q.To.UnixNano()
	err = s.each(ctx, "spacing", q.Matches, func(w *window, _ []string) {
		picked, _ := sel.pick(w)
		var times []int64
		for _, c := range picked {
			for _, p := range c.samples[searchTimes(c.samples, from-1):searchTimes(c.samples, to-1)] {
				times = append(times, p.t)
			}
		}
		slices.Sort(times)
		times = slices.Compact(times)
		for i := 1; i < len(times); i++ {
			gaps = append(gaps, times[i]-times[i-1])
		}
	})
	if err != nil || len(gaps) == 0 {
		return 0, err
	}
	slices.Sort(gaps)
	return time.Duration(gaps[len(gaps)/2]), nil
}

// History implements sources.Source. Beyond Config.Retention it knows the signals
// that were tracked.
func (s *Source) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	sel, err := s.begin(ctx, "history", q.Signal)
	if err != nil {
		return nil, err
	}
	if sel.spans != nil {
		return s.spanHistory(ctx, q)
	}
	from, to := minuteFrom(q.From.UnixNano()), q.To.UnixNano()
	var g *grid
	if sel.shape == analysis.ShapeDistribution && len(q.Bounds) > 0 {
		g = bounded(q.Bounds)
	}
	var sums []analysis.MinuteSum
	err = s.each(ctx, "history", q.Matches, func(w *window, _ []string) {
		if sel.logs != nil {
			if w.lines != nil {
				for _, m := range w.lines.history(sel, from, to) {
					sums = append(sums, analysis.MinuteSum{Minute: instant(m.at), Pod: w.pod, Bad: m.bad})
				}
			}
			return
		}
		for _, m := range w.history(sel, from, to) {
			sum := analysis.MinuteSum{Minute: instant(m.at), Pod: w.pod, Bad: m.bad, Exposure: m.exposure}
			switch {
			case sel.shape == analysis.ShapeLevel:
				sum.Bad, sum.Level = 0, m.bad
			case g != nil:
				sum.Above = g.above(m.buckets)
			}
			sums = append(sums, sum)
		}
	})
	if err != nil {
		return nil, err
	}
	return byMinute(sums, sel.mean), nil
}

// Seen implements sources.Source. It knows raw samples only (Config.Retention).
func (s *Source) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	sel, err := s.begin(ctx, "seen", q.Signal)
	if err != nil {
		return nil, err
	}
	var matches []analysis.Match
	if q.Service != "" {
		matches = []analysis.Match{{Name: analysis.AttrService, Values: []string{q.Service}}}
	}
	exposures, pods := map[release]float64{}, map[release]map[string]bool{}
	fold := analysis.Fold{Start: q.From, End: q.To}
	err = s.each(ctx, "seen", matches, func(w *window, _ []string) {
		exposure, received := sel.seen(w, fold)
		if received == 0 {
			return
		}
		r := releaseOf(w)
		if pods[r] == nil {
			pods[r] = map[string]bool{}
		}
		exposures[r] += exposure
		pods[r][w.pod] = true
	})
	if err != nil {
		return nil, err
	}
	var seen []analysis.Seen
	for r, exposure := range exposures {
		seen = append(seen, analysis.Seen{Service: r.service, Namespace: r.namespace, Environment: r.environment, Version: r.version, Pods: len(pods[r]), Exposure: exposure})
	}
	slices.SortFunc(seen, func(a, b analysis.Seen) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Version, b.Version))
	})
	return seen, nil
}

func (s *Source) begin(ctx context.Context, op string, signal analysis.Signal) (*selection, error) {
	if err := ctx.Err(); err != nil {
		return nil, s.fail(op, sources.Unavailable, err)
	}
	sel, err := compile(signal)
	if err != nil {
		return nil, s.fail(op, sources.Rejected, err)
	}
	return sel, nil
}

func (s *Source) fail(op string, kind sources.Kind, err error) error {
	return &sources.Error{Kind: kind, Source: s.cfg.Name, Op: op, Err: err}
}
