package otlp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
	"github.com/release-assay/assay/sources"
)

const (
	// recordsExpected is from how many spans a fold, by the last ten, silence of a pod is
	// a loss of telemetry and not a pause (statistics 2.3).
	recordsExpected = 10
	foldsExpecting  = 10
	// aliveFor is how long other telemetry of a pod proves that it lives: two exports.
	aliveFor = 2 * time.Minute
	maxLives = 32
	// tailWindow is the time in which spans are held against the counters beside them.
	tailWindow = 5 * time.Minute
)

// beginSpans says whether a signal of spans can be answered.
func (s *Source) beginSpans(ctx context.Context, op string, signal analysis.Signal) error {
	if err := ctx.Err(); err != nil {
		return s.fail(op, sources.Unavailable, err)
	}
	if err := signal.Validate(); err != nil {
		return s.fail(op, sources.Rejected, err)
	}
	return nil
}

// A spanPod is what one window says of a fold.
type spanPod struct {
	window   *window
	values   []string
	observed []string
	start    time.Time
	alive    bool // anything was heard of it
	spans    bool // spans were heard of it, sometime
	heard    bool // in the fold
	quiet    bool // so few spans are expected that none tells nothing
	lately   bool // spans were heard in the last ten folds
	rows     []analysis.Row
}

// spanRows answers Rows for signals of spans.
func (s *Source) spanRows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	if err := s.beginSpans(ctx, "rows", q.Signal); err != nil {
		return analysis.Answer{}, err
	}
	if !q.Fold.End.After(q.Fold.Start) {
		return analysis.Answer{}, s.fail("rows", sources.Rejected, errors.New("the fold is empty"))
	}
	end := q.Fold.End.UnixNano()
	s.askedSpans.add(q.Matches, end)
	answer := analysis.Answer{Rendered: renderSpans(q)}
	whole := q.Signal.Spans.Event.Sampled() || q.Spans != nil || q.Signal.Shape == analysis.ShapeTopology
	namers := map[string]namer{}
	var pods []*spanPod
	var counter, spans tracediff.Counted
	err := s.eachNamed(ctx, "rows", q.Matches, func(svc *service, w *window, values []string) {
		if _, known := namers[svc.name]; !known {
			namers[svc.name] = svc.spanNames.namer(q)
		}
		p := &spanPod{window: w, values: values, observed: observe(w, q.Observe), start: w.startedIn(q.Fold)}
		pods = append(pods, p)
		sw := s.spansOf(w)
		p.alive = sw.livesIn(w, q.Fold)
		sw.answered = max(sw.answered, end)
		if len(sw.ops) == 0 {
			return
		}
		if q.Fold.Start.UnixNano() < sw.trimmed {
			answer.Partial = true
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s: spans before %s are no longer kept", w.pod, instant(sw.trimmed).Format(time.RFC3339)))
			p.alive = false
			return
		}
		p.lookAt(sw, q.Fold)
		if _, all := w.lost[loss{}]; all || w.lost.of(q.Fold, lostSpans) {
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s left out: spans of its service were dropped", w.pod))
			p.alive, p.heard, p.lately = false, false, false
			return
		}
		for t := range sw.within(q.Fold.Start.UnixNano(), end) {
			answer.NotRead.Late += float64(t.late)
		}
		if why := p.answer(sw, q, namers[svc.name]); why != "" {
			answer.Warnings = append(answer.Warnings, "pod "+w.pod+why)
			p.alive, p.heard, p.lately = false, false, false
			return
		}
		if q.Spans != nil || q.Signal.Shape == analysis.ShapeTopology {
			answer.Spans = append(answer.Spans, p.operations(sw, q, namers[svc.name])...)
		}
		a, b := w.requestsBeside(analysis.Fold{Start: q.Fold.End.Add(-tailWindow), End: q.Fold.End})
		spans.Requests, spans.Errors = spans.Requests+a.Requests, spans.Errors+a.Errors
		counter.Requests, counter.Errors = counter.Requests+b.Requests, counter.Errors+b.Errors
	})
	if err != nil {
		return analysis.Answer{}, err
	}
	answer.Tail = tracediff.Tail(spans, counter)
	if whole {
		s.wholeTraces(&answer, pods, q, namers)
	}
	if s.cfg.TailSampled {
		answer.Tail = "the configuration says that they are tail-sampled"
	}
	answer.Rows = sources.AddUp(present(pods), q.Signal)
	answer.Spans = addUpSpans(answer.Spans)
	slices.Sort(answer.Warnings)
	answer.Warnings = slices.Compact(answer.Warnings)
	return answer, nil
}

// livesIn reports whether anything but spans of the window was heard of in the fold or
// shortly before. It says the same every time.
func (sw *spanWindow) livesIn(w *window, fold analysis.Fold) bool {
	start, end := fold.Start.UnixNano(), fold.End.UnixNano()
	for _, known := range sw.lives {
		if known.start == start && known.end == end {
			return known.alive
		}
	}
	lately := analysis.Fold{Start: fold.End.Add(-max(aliveFor, fold.End.Sub(fold.Start))), End: fold.End}
	alive := w.freshIn(lately, nil) || w.lines != nil && w.lines.count(lately) > 0
	if len(sw.lives) >= maxLives {
		sw.lives = slices.Delete(sw.lives, 0, maxLives/2)
	}
	sw.lives = append(sw.lives, lived{start, end, alive})
	return alive
}

// A lived says whether anything but spans was heard of a resource in a fold that was
// answered.
type lived struct {
	start, end int64
	alive      bool
}

// lookAt finds what was heard of the window in the fold and in the ten before.
func (p *spanPod) lookAt(sw *spanWindow, fold analysis.Fold) {
	p.spans = true
	p.heard = sw.heardIn(fold)
	start := fold.Start.UnixNano()
	before := 0.
	for t := range sw.within(start-foldsExpecting*int64(fold.End.Sub(fold.Start)), start) {
		p.lately = true
		for r := range t.records {
			before += float64(r.n)
		}
	}
	p.quiet = before < recordsExpected*foldsExpecting
}

// present returns the rows of what is known to live. A pod without a span in the fold has
// one, too, that says that it received nothing, if so few are expected of it that this is
// no loss, and something else was heard of it or spans were lately.
func present(pods []*spanPod) (rows []analysis.Row) {
	type id struct{ values, pod string }
	known := map[id]*spanPod{}
	of := func(p *spanPod) id { return id{strings.Join(p.values, "\x00"), p.window.pod} }
	for _, p := range pods {
		sum := known[of(p)]
		if sum == nil {
			sum = &spanPod{quiet: true}
			known[of(p)] = sum
		}
		sum.alive = sum.alive || p.alive || p.heard
		sum.heard, sum.spans, sum.lately = sum.heard || p.heard, sum.spans || p.spans, sum.lately || p.lately
		sum.quiet = sum.quiet && (p.quiet || !p.spans)
	}
	for _, p := range pods {
		sum := known[of(p)]
		if p.heard && len(p.rows) > 0 {
			rows = append(rows, p.rows...)
			continue
		}
		row := analysis.Row{Values: p.values, Observed: p.observed, Pod: p.window.pod, PodStart: p.start, Fresh: sum.alive}
		switch {
		case p.heard, p.spans && sum.quiet && (sum.alive || sum.lately):
			row.Received = 1
		case !sum.alive || sum.heard:
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

// answer counts what every span says; why not is told after the pod's name.
func (p *spanPod) answer(sw *spanWindow, q analysis.Query, names namer) (why string) {
	event := q.Signal.Spans.Event
	if event.Sampled() || q.Signal.Shape == analysis.ShapeTopology {
		return ""
	}
	durations := event == analysis.SpanDuration
	groups := map[string]*served{}
	var order []string
	for t := range sw.within(q.Fold.Start.UnixNano(), q.Fold.End.UnixNano()) {
		if durations && t.unsketched {
			return " left out: durations of spans are kept only since an objective that is loaded judges them"
		}
		for r := range t.records {
			op := &sw.ops[r.op]
			if !op.kind.Serves() {
				continue
			}
			stratum := ""
			if slices.Contains(q.Strata, analysis.StratumOperation) {
				stratum = names.name(op.name)
			}
			v := groups[stratum]
			if v == nil {
				v = &served{}
				groups[stratum] = v
				order = append(order, stratum)
			}
			v.add(op, &r, durations)
		}
	}
	slices.Sort(order)
	for _, stratum := range order {
		v := groups[stratum]
		row := p.row(q, stratum, "")
		row.Bad, row.Exposure = v.counts()
		if durations {
			row.Bad = 0
			row.Above, row.Exposure = v.above(q.Bounds)
			if row.Above == nil && len(q.Bounds) > 0 {
				return ": a bound is none of the buckets of durations"
			}
		}
		p.rows = append(p.rows, row)
	}
	return ""
}

// row is one of the pod in a stratum.
func (p *spanPod) row(q analysis.Query, operation, call string) analysis.Row {
	row := analysis.Row{Values: p.values, Observed: p.observed, Pod: p.window.pod, PodStart: p.start, Received: 1, Fresh: p.alive}
	for _, name := range q.Strata {
		switch name {
		case analysis.StratumOperation:
			row.Stratum = append(row.Stratum, operation)
		case analysis.StratumCall:
			row.Stratum = append(row.Stratum, call)
		default:
			row.Stratum = append(row.Stratum, p.window.attribute(name))
		}
	}
	return row
}

// above counts durations above bounds.
func (v *served) above(bounds []float64) (above []float64, exposure float64) {
	g := bounded(bounds)
	if len(v.others) == 0 {
		exposure = float64(v.sketch.Total())
		if len(bounds) == 0 {
			return nil, exposure
		}
		return g.above(bucketsOf(&v.sketch)), exposure
	}
	var sum, squares float64
	if len(bounds) > 0 {
		above = make([]float64, len(bounds))
	}
	for weight, sketch := range v.byWeight.all {
		w, n := float64(weight)/tracediff.OneWeight, float64(sketch.Total())
		sum, squares = sum+w*n, squares+w*w*n
		if len(bounds) == 0 {
			continue
		}
		more := g.above(bucketsOf(sketch))
		if more == nil {
			return nil, 0
		}
		for i := range above {
			above[i] += w * more[i]
		}
	}
	for i := range above {
		above[i], _ = tracediff.Effective(above[i], sum, squares)
	}
	_, exposure = tracediff.Effective(0, sum, squares)
	return above, exposure
}

func renderSpans(q analysis.Query) []string {
	var b strings.Builder
	b.WriteString("spans " + string(q.Signal.Spans.Event))
	for _, name := range q.Strata {
		b.WriteString(" by " + name)
	}
	return []string{b.String() + whereOf(q)}
}
