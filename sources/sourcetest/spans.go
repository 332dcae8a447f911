package sourcetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
)

// spansWith is the signal of an event of spans.
func spansWith(event analysis.SpanEvent) analysis.Signal {
	return analysis.Signal{Name: "spans-" + string(event), Source: "test", Unit: "1", Shape: analysis.ShapeRatio, Spans: &analysis.SpanSignal{Event: event}}
}

// spanDuration is the signal of how long spans that serve took.
func spanDuration() analysis.Signal {
	return analysis.Signal{Name: "spans-duration", Source: "test", Unit: "s", Shape: analysis.ShapeDistribution, Spans: &analysis.SpanSignal{Event: analysis.SpanDuration}}
}

// topology is the signal of all operations and calls.
func topology() analysis.Signal {
	return analysis.Signal{Name: "traces", Source: "test", Unit: "1", Shape: analysis.ShapeTopology, Spans: &analysis.SpanSignal{}}
}

// spoken returns the recording without the lines or spans that a source does not know,
// and without the pods that then have nothing.
func spoken(rec replay.Recording, lines, spans bool) replay.Recording {
	var out replay.Recording
	for _, p := range rec.Pods {
		had := len(p.Lines)+len(p.Spans) > 0
		if !lines {
			p.Lines = nil
		}
		if !spans {
			p.Spans = nil
		}
		if !had || len(p.Series)+len(p.Lines)+len(p.Spans) > 0 {
			out.Pods = append(out.Pods, p)
		}
	}
	return out
}

// spanned returns the pod with spans.
func spanned(p replay.Pod, spans ...replay.Span) replay.Pod {
	slices.SortStableFunc(spans, func(a, b replay.Span) int { return a.End.Compare(b.End) })
	p.Spans = append(p.Spans, spans...)
	return p
}

// span is one of a request: its number there and its parent's, 0 for none.
func span(request, id, parent int, kind, name string, start, end float64, marks ...string) replay.Span {
	s := replay.Span{
		TraceID: traceID(request), SpanID: fmt.Sprintf("%08x%08x", request, id), Kind: kind, Name: name,
		Start: at(start), End: at(end), Attributes: map[string]string{},
	}
	if parent > 0 {
		s.ParentID = fmt.Sprintf("%08x%08x", request, parent)
	}
	for _, mark := range marks {
		if mark == "error" {
			s.Error = true
		} else {
			s.Attributes["peer.service"] = mark
		}
	}
	return s
}

// told wants rows of a signal of spans: of how many readings a row is need not be told.
func (s suite) told(t *testing.T, q analysis.Query, want ...analysis.Row) {
	t.Helper()
	got := s.ask(t, q).Rows
	for i := range got {
		got[i].Received, got[i].PodStart, got[i].Above = min(got[i].Received, 1), time.Time{}, nil
	}
	s.same(t, got, want)
}

// spanCases: what spans count, alone and in whole traces.
func spanCases() []testCase {
	const server, client, internal = "server", "client", "internal"
	of := func(r analysis.Row, stratum ...string) analysis.Row {
		r.Stratum = stratum
		return r
	}
	return withSpans([]testCase{
		{
			name: "what is served, and with an error, in the fold of its end",
			pods: []replay.Pod{
				spanned(pod("served", "1.0", "a"),
					span(1, 1, 0, server, "GET /", 59, 60), span(2, 1, 0, server, "GET /", 59, 61, "error"), span(3, 1, 0, server, "GET /", 62, 63),
					span(3, 2, 1, client, "query", 62.1, 62.9, "error"), span(3, 3, 1, internal, "render", 62.2, 62.3, "error"),
					span(4, 1, 0, "consumer", "order", 70, 75, "error"), span(5, 1, 0, server, "GET /", 74, 75.5, "error")),
				spanned(pod("served", "2.0", "b"), span(6, 1, 0, server, "GET /", 61, 62)),
				pod("served", "2.0", "alive", cpu(52, 1, 67, 2)),
			},
			check: func(t *testing.T, s suite) {
				alive := row("served", "2.0", "alive", 0, 0, 0)
				alive.Fresh = true
				q := s.lines("served", fold(60, 75), spansWith(analysis.SpanErrors), "1.0", "2.0")
				s.told(t, q, row("served", "1.0", "a", 1, 2, 3), alive, row("served", "2.0", "b", 1, 0, 1))
				q.Strata = []string{analysis.StratumOperation}
				s.told(t, q, of(row("served", "1.0", "a", 1, 1, 2), "GET /"), of(row("served", "1.0", "a", 1, 1, 1), "order"), alive, of(row("served", "2.0", "b", 1, 0, 1), "GET /"))
				s.told(t, s.lines("served", fold(45, 60), spansWith(analysis.SpanErrors), "1.0"), row("served", "1.0", "a", 1, 0, 1))
			},
		},
		{
			name: "how long it took, above bounds",
			pods: []replay.Pod{spanned(pod("took", "1.0", "a"),
				span(11, 1, 0, server, "GET /", 61, 61.05), span(12, 1, 0, server, "GET /", 62, 62.3), span(13, 1, 0, server, "GET /", 63, 63.7), span(14, 1, 0, server, "GET /", 64, 66), span(14, 2, 1, client, "query", 64, 66))},
			check: func(t *testing.T, s suite) {
				// Bounds are those that the source has, as thresholds are chosen: each of the
				// four lies in a bucket of its own.
				h, err := s.source.Distribution(t.Context(), analysis.DistributionQuery{Signal: spanDuration(), Matches: matches("took", "1.0"), From: at(0), To: at(120)})
				if err != nil || h.Validate() != nil || h.Total() != 4 {
					t.Fatalf("distribution: got %+v, %v, want 4 durations", h, err)
				}
				q := s.lines("took", fold(60, 75), spanDuration(), "1.0")
				for i, bound := range h.Bounds {
					if h.Counts[i] > 0 {
						q.Bounds = append(q.Bounds, bound)
					}
				}
				for i, bound := range q.Bounds {
					if want := []float64{0.05, 0.3, 0.7, 2}[i]; bound < want*0.989 || bound > want*1.011 {
						t.Errorf("the bound %v is not within 1.1 %% of %v", bound, want)
					}
				}
				got := s.ask(t, q).Rows
				if len(got) != 1 || got[0].Exposure != 4 || !slices.Equal(got[0].Above, []float64{3, 2, 1, 0}) {
					t.Errorf("got %s, want 4, of which 3, 2, 1 and none took longer", show(got))
				}
			},
		},
		{
			name: "where errors began, and calls by whom they call",
			pods: []replay.Pod{
				spanned(pod("front", "2.0", "f"),
					// The back end's error comes up to the front.
					span(21, 1, 0, server, "GET /cart", 60.5, 63, "error"), span(21, 2, 1, client, "call", 61, 62, "error"),
					// The front's own error.
					span(22, 1, 0, server, "GET /cart", 60.5, 64, "error"), span(22, 2, 1, client, "call", 61, 62),
					// The back end fails, which the front bears.
					span(23, 1, 0, server, "GET /", 60.5, 65), span(23, 2, 1, client, "call", 61, 62, "error"),
					// Another one that sends no spans.
					span(24, 1, 0, server, "GET /", 60.5, 66), span(24, 2, 1, client, "SELECT", 61, 62, "carts-db", "error"), span(24, 3, 1, client, "SELECT", 62, 63, "carts-db")),
				spanned(pod("back", "1.0", "k"),
					span(21, 3, 2, server, "GET /items", 61.2, 61.8, "error"), span(22, 3, 2, server, "GET /items", 61.2, 61.8), span(23, 3, 2, server, "GET /items", 61.2, 61.8, "error")),
			},
			check: func(t *testing.T, s suite) {
				q := s.lines("front", fold(60, 75), spansWith(analysis.SpanExclusive), "2.0")
				q.Strata = []string{analysis.StratumOperation}
				s.told(t, q, of(row("front", "2.0", "f", 1, 0, 2), "GET /"), of(row("front", "2.0", "f", 1, 1, 2), "GET /cart"))
				q = s.lines("back", fold(60, 75), spansWith(analysis.SpanExclusive), "1.0")
				s.told(t, q, row("back", "1.0", "k", 1, 2, 3))
				q = s.lines("front", fold(60, 75), spansWith(analysis.SpanCalls), "2.0")
				s.told(t, q, row("front", "2.0", "f", 1, 3, 5))
				q.Strata = []string{analysis.StratumCall}
				got := s.ask(t, q).Rows
				if len(got) != 2 || len(got[0].Stratum) != 1 || len(got[1].Stratum) != 1 {
					t.Fatalf("got %s, want a row for each of two whom are called", show(got))
				}
				for i, want := range []analysis.Increase{{Bad: 2, Exposure: 3}, {Bad: 1, Exposure: 2}} {
					if got[i].Bad != want.Bad || got[i].Exposure != want.Exposure {
						t.Errorf("calls of %q: got %+v, want %+v", got[i].Stratum, got[i].Increase, want)
					}
				}
				checkEdges(t, s)
			},
		},
		{
			name: "spans: no future, whenever asked",
			pods: []replay.Pod{spanned(pod("spans-later", "1.0", "a"),
				// The errored child ends after the fold: as of its end the error began above.
				span(31, 1, 0, server, "GET /", 61, 62, "error"), span(31, 2, 1, client, "call", 61, 76, "error"),
				span(32, 1, 0, server, "GET /", 61, 77, "error"))},
			check: func(t *testing.T, s suite) {
				for _, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanExclusive} {
					q := s.lines("spans-later", fold(60, 75), spansWith(event), "1.0")
					s.told(t, q, row("spans-later", "1.0", "a", 1, 1, 1))
					s.ask(t, s.lines("spans-later", fold(75, 90), spansWith(event), "1.0"))
					s.told(t, q, row("spans-later", "1.0", "a", 1, 1, 1))
				}
			},
		},
		{
			name:  "the history, the spacing, the releases and the operations of spans",
			pods:  []replay.Pod{spanned(pod("spans-past", "1.0", "a"), pastSpans()...), spanned(pod("spans-past", "2.0", "c"), span(999, 1, 0, server, "GET /new", 360, 361))},
			check: checkPastOfSpans,
		},
	})
}

func withSpans(cases []testCase) []testCase {
	for i, c := range cases {
		cases[i].check = func(t *testing.T, s suite) {
			if s.Spans {
				c.check(t, s)
			}
		}
	}
	return cases
}

// checkEdges asks for the operations and calls of the front: what is counted of them.
func checkEdges(t *testing.T, s suite) {
	t.Helper()
	q := s.lines("front", fold(60, 75), topology(), "2.0")
	q.Spans = &analysis.SpanQuery{}
	answer := s.ask(t, q)
	got := map[analysis.Edge]analysis.SpanCount{}
	for _, r := range answer.Spans {
		if r.Pod != "f" || !slices.Equal(r.Values, []string{environment, "front", "2.0"}) {
			t.Errorf("row of %q, %q", r.Values, r.Pod)
		}
		if !s.near(r.Seconds, r.Self) {
			t.Errorf("%+v took %v s without its children and %v s with them", r.Edge, r.Self, r.Seconds)
		}
		r.Seconds, r.Self = 0, 0
		got[r.Edge] = r.SpanCount
	}
	want := map[analysis.Edge]analysis.SpanCount{
		{Service: "front", Operation: "GET /cart", Kind: "server"}:                                                                      {Calls: 2, Errors: 2, Traces: 2, Sampled: 2, Exclusive: 1},
		{Service: "front", Operation: "GET /", Kind: "server"}:                                                                          {Calls: 2, Traces: 2, Sampled: 2},
		{Service: "front", Operation: "GET /cart", Kind: "client", Callee: "back", CalleeVersion: "1.0", CalleeOperation: "GET /items"}: {Calls: 2, Errors: 1, Traces: 2, Sampled: 2},
		{Service: "front", Operation: "GET /", Kind: "client", Callee: "back", CalleeVersion: "1.0", CalleeOperation: "GET /items"}:     {Calls: 1, Errors: 1, Traces: 1, Sampled: 1},
	}
	for edge, count := range want {
		if got[edge] != count {
			t.Errorf("%+v\n got %+v\nwant %+v", edge, got[edge], count)
		}
	}
}

// near reports whether self time is no more than all of it.
func (s suite) near(all, self float64) bool { return self >= 0 && self <= all*1.01+1e-9 }

// pastSpans is five minutes of three requests a minute, one of which fails. Whole traces
// may be kept for a few minutes only.
func pastSpans() (spans []replay.Span) {
	for i := range 15 {
		start := 5 + 20*float64(i)
		name, marks := "GET /", []string{}
		if i%3 == 0 {
			name, marks = "POST /", []string{"error"}
		}
		spans = append(spans, span(100+i, 1, 0, "server", name, start, start+1, marks...))
	}
	return spans
}

func checkPastOfSpans(t *testing.T, s suite) {
	q := analysis.HistoryQuery{Signal: spansWith(analysis.SpanErrors), Matches: matches("spans-past", "1.0"), From: at(60), To: at(310)}
	got, err := s.source.History(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var want []analysis.MinuteSum
	for minute := range 4 {
		want = append(want, analysis.MinuteSum{Minute: at(60 * float64(minute+1)), Pod: "a", Bad: 1, Exposure: 3})
	}
	if !sameSums(got, want) {
		t.Errorf("history\n got %+v\nwant %+v", got, want)
	}
	spacing, err := s.source.Spacing(t.Context(), analysis.SpacingQuery{Signal: spansWith(analysis.SpanErrors), Matches: matches("spans-past", "1.0"), From: at(0), To: at(300)})
	if err != nil || spacing != 15*time.Second {
		t.Errorf("spacing: got %v, %v, want 15 s: spans have no clock", spacing, err)
	}
	seen, err := s.source.Seen(t.Context(), analysis.SeenQuery{Signal: spansWith(analysis.SpanErrors), Service: "spans-past", From: at(0), To: at(300)})
	release := analysis.Seen{Service: "spans-past", Namespace: namespace, Environment: environment, Version: "1.0", Pods: 1, Exposure: 15}
	if err != nil {
		t.Fatal(err)
	}
	s.sameSeen(t, seen, []analysis.Seen{release})
	spanner, ok := s.source.(sources.SpanSource)
	if !ok {
		t.Fatalf("%T answers questions about spans and is no sources.SpanSource", s.source)
	}
	operations, err := spanner.Operations(t.Context(), analysis.OperationQuery{Signal: topology(), Matches: matches("spans-past", "1.0"), From: at(0), To: at(300)})
	wantOperations := []analysis.OperationCount{{Operation: "GET /", Spans: 10}, {Operation: "POST /", Spans: 5}}
	if err != nil || !slices.Equal(operations, wantOperations) {
		t.Errorf("operations: got %+v, %v, want %+v", operations, err, wantOperations)
	}
}
