package replay

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// served reports whether the pod did with the span what it was asked for.
func (s *Span) served() bool { return s.Kind == "server" || s.Kind == "consumer" }

// calls reports whether the pod asked another one with the span.
func (s *Span) calls() bool { return s.Kind == "client" || s.Kind == "producer" }

func (s *Span) seconds() float64 { return s.End.Sub(s.Start).Seconds() }

// counts reports whether the signal counts the span.
func counts(signal *analysis.SpanSignal, s *Span) bool {
	switch signal.Event {
	case analysis.SpanCalls:
		return s.calls()
	case "":
		return true
	}
	return s.served()
}

// A trace is all spans of one request that had ended by some instant.
type trace struct {
	pods  []Pod // of the spans
	spans []Span
}

// traces returns what was known of every request at an instant.
func (s *Source) traces(asOf time.Time) map[string]*trace {
	out := map[string]*trace{}
	for _, pod := range s.rec.Until(asOf).Pods {
		for _, span := range pod.Spans {
			t := out[span.TraceID]
			if t == nil {
				t = &trace{}
				out[span.TraceID] = t
			}
			t.pods, t.spans = append(t.pods, pod), append(t.spans, span)
		}
	}
	return out
}

// children returns the indices of the spans below a span.
func (t *trace) children(id string) (of []int) {
	for i, s := range t.spans {
		if s.ParentID == id {
			of = append(of, i)
		}
	}
	return of
}

// exclusive reports whether the error of a span began there.
func (t *trace) exclusive(s *Span) bool {
	return s.Error && !slices.ContainsFunc(t.children(s.SpanID), func(i int) bool { return t.spans[i].Error })
}

// callee names whom a span called and what for: the span that answered it, else the
// peer that its attributes name, else itself.
func (t *trace) callee(s *Span) (service, version, operation string) {
	for _, i := range t.children(s.SpanID) {
		if t.spans[i].served() {
			a := t.pods[i].Attributes
			return a[analysis.AttrService], a[analysis.AttrVersion], t.spans[i].Name
		}
	}
	for _, name := range []string{"peer.service", "server.address"} {
		if peer := s.Attributes[name]; peer != "" {
			return peer, "", s.Name
		}
	}
	return s.Name, "", s.Name
}

// caller names the operation that a span was made for: that of the nearest span above it
// in the same pod that serves, else of the highest.
func (t *trace) caller(pod Pod, s *Span) string {
	name := s.Name
	for range t.spans { // parents may be in a circle
		i := slices.IndexFunc(t.spans, func(p Span) bool { return p.SpanID == s.ParentID })
		if i < 0 || t.pods[i].Name() != pod.Name() {
			break
		}
		s = &t.spans[i]
		name = s.Name
		if s.served() {
			break
		}
	}
	return name
}

// self is how long a span took without its children, which may overlap.
func (t *trace) self(s *Span) float64 {
	var children []Span
	for _, i := range t.children(s.SpanID) {
		children = append(children, t.spans[i])
	}
	slices.SortFunc(children, func(a, b Span) int { return a.Start.Compare(b.Start) })
	left, covered := s.End.Sub(s.Start), s.Start
	for _, c := range children {
		from, to := c.Start, c.End
		if from.Before(covered) {
			from = covered
		}
		if to.After(s.End) {
			to = s.End
		}
		if to.After(from) {
			left -= to.Sub(from)
			covered = to
		}
	}
	return left.Seconds()
}

// spanRows answers a question about spans.
func (s *Source) spanRows(q analysis.Query, sel selection) (analysis.Answer, error) {
	traces := s.traces(q.Fold.End)
	var answer analysis.Answer
	edges := map[string]*analysis.SpanRow{}
	seen := map[string]bool{} // an edge of a trace
	for _, pod := range s.rec.Pods {
		values, ok := match(pod, q.Matches)
		if !ok {
			continue
		}
		row := analysis.Row{Values: values, Pod: pod.Name(), Fresh: heard(pod, sel, q.Fold)}
		for _, name := range q.Observe {
			row.Observed = append(row.Observed, pod.Attributes[name])
		}
		spans := sel.within(pod, q.Fold)
		rows := map[string]*analysis.Row{}
		for _, e := range spans {
			t := traces[e.span.TraceID]
			stratum := t.stratum(pod, e.span, q.Strata)
			key := strings.Join(stratum, "\x00")
			if rows[key] == nil {
				one := row
				if one.Stratum = stratum; len(q.Bounds) > 0 {
					one.Above = make([]float64, len(q.Bounds))
				}
				rows[key] = &one
			}
			t.count(rows[key], e.span, sel.spans.Event, q.Bounds)
		}
		for _, r := range rows {
			answer.Rows = append(answer.Rows, *r)
		}
		if len(spans) == 0 && row.Fresh {
			answer.Rows = append(answer.Rows, row)
		}
		if q.Spans == nil {
			continue
		}
		for _, e := range (selection{spans: &analysis.SpanSignal{}}).within(pod, q.Fold) {
			t := traces[e.span.TraceID]
			for _, edge := range t.edges(pod, e.span, q.Spans.Operations) {
				one := analysis.SpanRow{Values: row.Values, Observed: row.Observed, Pod: row.Pod, Edge: edge}
				key := strings.Join(append(append(slices.Clone(values), row.Pod), row.Observed...), "\x00") + "\x01" + edgeKey(edge)
				if edges[key] == nil {
					edges[key] = &one
				}
				c := analysis.SpanCount{Calls: 1, Seconds: e.span.seconds(), Sampled: 1, Self: t.self(e.span)}
				if e.span.Error {
					c.Errors = 1
				}
				if t.exclusive(e.span) {
					c.Exclusive = 1
				}
				if again := key + e.span.TraceID; !seen[again] {
					seen[again], c.Traces = true, 1
				}
				edges[key].Add(c)
			}
		}
	}
	answer.Rows = sources.AddUp(answer.Rows, q.Signal)
	for _, e := range edges {
		answer.Spans = append(answer.Spans, *e)
	}
	slices.SortFunc(answer.Spans, func(a, b analysis.SpanRow) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), cmp.Compare(edgeKey(a.Edge), edgeKey(b.Edge)))
	})
	return answer, nil
}

// edgeKey sorts edges by their fields, in their order.
func edgeKey(e analysis.Edge) string {
	return strings.Join([]string{e.Service, e.Operation, e.Kind, e.Callee, e.CalleeVersion, e.CalleeOperation}, "\x00")
}

// edges are the operation that a span does, and the call that it is.
func (t *trace) edges(pod Pod, s *Span, keep []string) []analysis.Edge {
	service := pod.Attributes[analysis.AttrService]
	named := func(operation string) string {
		if len(keep) > 0 && !slices.Contains(keep, operation) {
			return analysis.OtherOperation
		}
		return operation
	}
	out := []analysis.Edge{{Service: service, Operation: named(s.Name), Kind: s.Kind}}
	if s.calls() {
		callee, version, operation := t.callee(s)
		out = append(out, analysis.Edge{Service: service, Operation: named(t.caller(pod, s)), Kind: s.Kind, Callee: callee, CalleeVersion: version, CalleeOperation: operation})
	}
	return out
}

// stratum returns what a span is told apart by: its operation, whom it calls and what
// for, or an attribute of it or of the pod.
func (t *trace) stratum(pod Pod, s *Span, strata []string) (out []string) {
	for _, name := range strata {
		value, ok := s.Attributes[name]
		switch {
		case name == analysis.StratumOperation:
			value = s.Name
		case name == analysis.StratumCall:
			callee, _, operation := t.callee(s)
			value = callee + " " + operation
		case !ok:
			value = pod.Attributes[name]
		}
		out = append(out, value)
	}
	return out
}

// count adds a span to a row.
func (t *trace) count(row *analysis.Row, s *Span, event analysis.SpanEvent, bounds []float64) {
	row.Received++
	if event == "" {
		return
	}
	row.Exposure++
	for i, bound := range bounds {
		if s.seconds() > bound {
			row.Above[i]++
		}
	}
	switch event {
	case analysis.SpanErrors, analysis.SpanCalls:
		if s.Error {
			row.Bad++
		}
	case analysis.SpanExclusive:
		if t.exclusive(s) {
			row.Bad++
		}
	}
}

// operations counts what was served.
func (s *Source) operations(q analysis.OperationQuery) (out []analysis.OperationCount) {
	byName := map[string]float64{}
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		for i := range pod.Spans {
			if span := &pod.Spans[i]; span.served() && !span.End.Before(q.From) && span.End.Before(q.To) {
				byName[span.Name]++
			}
		}
	}
	for name, n := range byName {
		out = append(out, analysis.OperationCount{Operation: name, Spans: n})
	}
	slices.SortFunc(out, func(a, b analysis.OperationCount) int {
		return cmp.Or(cmp.Compare(b.Spans, a.Spans), cmp.Compare(a.Operation, b.Operation))
	})
	return out
}

// spanDistribution answers Distribution for the durations of spans.
func (s *Source) spanDistribution(q analysis.DistributionQuery) analysis.Histogram {
	counts := map[float64]float64{}
	for _, pod := range s.rec.Pods {
		if _, ok := match(pod, q.Matches); !ok {
			continue
		}
		for i := range pod.Spans {
			if span := &pod.Spans[i]; span.served() && !span.End.Before(q.From) && span.End.Before(q.To) {
				counts[span.seconds()]++
			}
		}
	}
	if len(counts) == 0 {
		return analysis.Histogram{}
	}
	h := analysis.Histogram{Exact: true}
	for value := range counts {
		h.Bounds = append(h.Bounds, value)
	}
	slices.Sort(h.Bounds)
	for _, value := range h.Bounds {
		h.Counts = append(h.Counts, counts[value])
	}
	h.Counts = append(h.Counts, 0)
	return h
}
