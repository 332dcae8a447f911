package otlp

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// operations returns the rows of a window's operations, counted from every span.
func (p *spanPod) operations(sw *spanWindow, q analysis.Query, names namer) (rows []analysis.SpanRow) {
	type key struct {
		name   string
		kind   tracediff.Kind
		weight uint64
	}
	sums := map[key]*cells{}
	for t := range sw.within(q.Fold.Start.UnixNano(), q.Fold.End.UnixNano()) {
		for r := range t.records {
			op := &sw.ops[r.op]
			k := key{names.name(op.name), op.kind, op.weight}
			if sums[k] == nil {
				sums[k] = &cells{}
			}
			sums[k].add(r.cell)
		}
	}
	service := p.window.attribute(analysis.AttrService)
	for k, sum := range sums {
		w := float64(k.weight) / tracediff.OneWeight
		rows = append(rows, analysis.SpanRow{
			Values: p.values, Observed: p.observed, Pod: p.window.pod,
			Edge:      analysis.Edge{Service: service, Operation: k.name, Kind: k.kind.String()},
			SpanCount: analysis.SpanCount{Calls: w * float64(sum.n), Errors: w * float64(sum.failed), Seconds: w * float64(sum.nanos) / 1e9},
		})
	}
	return rows
}

// cells adds up cells of spans of the same weight.
type cells struct{ n, failed, nanos uint64 }

func (c *cells) add(one cell) {
	c.n += uint64(one.n)
	c.failed += uint64(one.failed)
	c.nanos += one.nanos
}

// addUpSpans sorts rows and adds up those of the same pod and edge.
func addUpSpans(rows []analysis.SpanRow) (out []analysis.SpanRow) {
	order := func(a, b analysis.SpanRow) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), tracediff.CompareEdges(a.Edge, b.Edge), slices.Compare(a.Observed, b.Observed))
	}
	slices.SortFunc(rows, func(a, b analysis.SpanRow) int {
		return cmp.Or(order(a, b), cmp.Compare(a.Calls, b.Calls), cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(a.Errors, b.Errors), cmp.Compare(a.Self, b.Self))
	})
	for _, row := range rows {
		if n := len(out); n > 0 && order(out[n-1], row) == 0 {
			out[n-1].Add(row.SpanCount)
			continue
		}
		out = append(out, row)
	}
	return out
}

// Operations implements sources.SpanSource: what was served in the ticks that are kept.
func (s *Source) Operations(ctx context.Context, q analysis.OperationQuery) ([]analysis.OperationCount, error) {
	if err := s.beginSpans(ctx, "operations", q.Signal); err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	err := s.each(ctx, "operations", q.Matches, func(w *window, _ []string) {
		if w.spans == nil {
			return
		}
		for t := range w.spans.within(q.From.UnixNano(), q.To.UnixNano()) {
			for r := range t.records {
				if op := &w.spans.ops[r.op]; op.kind.Serves() && op.name != analysis.OtherOperation {
					counts[op.name] += float64(r.n) * float64(op.weight) / tracediff.OneWeight
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var out []analysis.OperationCount
	for name, n := range counts {
		out = append(out, analysis.OperationCount{Operation: name, Spans: n})
	}
	slices.SortFunc(out, func(a, b analysis.OperationCount) int {
		return cmp.Or(-cmp.Compare(a.Spans, b.Spans), cmp.Compare(a.Operation, b.Operation))
	})
	return out, nil
}

// whereOf says who is asked about, for people.
func whereOf(q analysis.Query) string {
	var b strings.Builder
	for i, bound := range q.Bounds {
		b.WriteString([]string{" above ", ", "}[min(i, 1)] + strconv.FormatFloat(bound, 'g', -1, 64))
	}
	for _, m := range q.Matches {
		b.WriteString(" where " + m.Name + " in")
		for _, v := range m.Values {
			b.WriteString(" " + strconv.Quote(v))
		}
	}
	return b.String()
}

// Names of the histograms that SDKs count requests with (semantic conventions), and their
// older ones.
var requestMetrics = []string{"http.server.request.duration", "http.server.duration", "rpc.server.duration", "rpc.server.call.duration"}

// requestsBeside returns what the window's spans of kind server say of requests, and what
// its own counters say of the same fold; nothing if it has no such counter.
func (w *window) requestsBeside(fold analysis.Fold) (spans, counter tracediff.Counted) {
	for _, metric := range requestMetrics {
		var all []counted
		for _, series := range w.byMetric[metric] {
			if series.field != analysis.FieldCount || series.kind != cumulative && series.kind != delta {
				continue
			}
			all = append(all, counted{series: series, event: failedRequest(series), total: true})
		}
		if len(all) == 0 {
			continue
		}
		inc, _, _ := increase(all, fold, fold.Start.Add(-lookback), false)
		counter.Requests += inc.Exposure
		counter.Errors += inc.Bad
	}
	if counter.Requests == 0 {
		return spans, counter
	}
	for t := range w.spans.within(fold.Start.UnixNano(), fold.End.UnixNano()) {
		for r := range t.records {
			if op := &w.spans.ops[r.op]; op.kind == tracediff.Server {
				weight := float64(op.weight) / tracediff.OneWeight
				spans.Requests += weight * float64(r.n)
				spans.Errors += weight * float64(r.failed)
			}
		}
	}
	return spans, counter
}

// failedRequest reports whether a series counts requests that failed, by what spans of
// kind server are given an error status for.
func failedRequest(s *series) bool {
	for _, name := range []string{"http.response.status_code", "http.status_code"} {
		if inClass(s.attribute(name), "5xx") {
			return true
		}
	}
	if s.attribute("error.type") != "" {
		return true
	}
	switch s.attribute("rpc.grpc.status_code") {
	case "2", "4", "12", "13", "14", "15":
		return true
	}
	return false
}
