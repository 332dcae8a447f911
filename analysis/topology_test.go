package analysis

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// tally is an edge with calls and errors of both arms.
func tallyOf(e Edge, canary, baseline SpanCount) EdgeTally {
	return EdgeTally{Edge: e, Canary: canary, Baseline: baseline, CanaryPods: 1}
}

var (
	payCall  = Edge{Service: "checkout", Operation: "POST /pay", Kind: "client", Callee: "payment", CalleeVersion: "2.0", CalleeOperation: "charge"}
	cartCall = Edge{Service: "checkout", Operation: "POST /pay", Kind: "client", Callee: "cart", CalleeVersion: "7", CalleeOperation: "get"}
	served   = Edge{Service: "checkout", Operation: "POST /pay", Kind: "server"}
)

// What edges show, and that what is as it was shows nothing. The service has 1,000 and
// 9,000 requests.
func TestAspectsOfEdges(t *testing.T) {
	for name, c := range map[string]struct {
		edge             Edge
		canary, baseline SpanCount
		want             string // "": nothing
	}{
		"alike":               {payCall, SpanCount{Calls: 1000, Errors: 10, Seconds: 100}, SpanCount{Calls: 9000, Errors: 90, Seconds: 900}, ""},
		"calls fail":          {payCall, SpanCount{Calls: 1000, Errors: 50}, SpanCount{Calls: 9000, Errors: 90}, "5% fail in the canary, 1% in the baseline"},
		"fewer fail":          {payCall, SpanCount{Calls: 1000, Errors: 1}, SpanCount{Calls: 9000, Errors: 900}, ""},
		"fails by itself":     {served, SpanCount{Calls: 1000, Sampled: 1000, Exclusive: 30}, SpanCount{Calls: 9000, Sampled: 9000}, "3% fail by themselves"},
		"slower":              {served, SpanCount{Calls: 1000, Seconds: 300}, SpanCount{Calls: 9000, Seconds: 900}, "takes 3 times as long (0.3 s, baseline 0.1 s)"},
		"slower, of few":      {served, SpanCount{Calls: 2, Seconds: .6}, SpanCount{Calls: 9000, Seconds: 900}, ""},
		"slower by itself":    {served, SpanCount{Calls: 1000, Seconds: 100, Sampled: 500, Self: 100}, SpanCount{Calls: 9000, Seconds: 900, Sampled: 4500, Self: 90}, "takes by itself 10 times as long"},
		"a new call":          {payCall, SpanCount{Calls: 100}, SpanCount{}, "new in the canary, 100 times"},
		"a new call, one":     {payCall, SpanCount{Calls: .1}, SpanCount{}, ""},
		"a new call, failing": {payCall, SpanCount{Calls: 100, Errors: 50}, SpanCount{}, "50% fail; new in the canary"},
		"no call any more":    {payCall, SpanCount{}, SpanCount{Calls: 9000}, "gone from the canary, 9000 times in the baseline"},
		"rare before":         {payCall, SpanCount{}, SpanCount{Calls: 9}, ""},
		"called twice":        {payCall, SpanCount{Calls: 2000}, SpanCount{Calls: 9000}, "2 times as often for each request"},
		"calls are skipped":   {payCall, SpanCount{Calls: 500}, SpanCount{Calls: 9000}, "0.5 times as often for each request"},
		"retries":             {payCall, SpanCount{Calls: 1000, Retries: 100}, SpanCount{Calls: 9000, Retries: 90}, "10% are retries"},
		"another mix":         {served, SpanCount{Calls: 500}, SpanCount{Calls: 9000}, ""}, // who asks for what is no matter of the release
	} {
		s := testState(t, withStreams(topologyObjective()))
		foldSpans(t, s, 1000, 9000, tallyOf(c.edge, c.canary, c.baseline))
		got := s.Differences()
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %+v", name, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0].What, c.want) || got[0].Found || got[0].Edge == nil || got[0].Edge.CalleeVersion != ""):
			t.Errorf("%s: %+v, want %q", name, got, c.want)
		}
		if got := s.Evidence(); got != 1 {
			t.Errorf("%s: evidence %v", name, got)
		}
	}
}

// Errors come first, then what takes longer by its factor, then what is called otherwise.
func TestTheMostTellingEdgeIsFirst(t *testing.T) {
	s := testState(t, withStreams(topologyObjective()))
	foldSpans(
		t, s, 1000, 9000,
		tallyOf(served, SpanCount{Calls: 1000, Seconds: 150}, SpanCount{Calls: 9000, Seconds: 900}),
		tallyOf(payCall, SpanCount{Calls: 1000, Seconds: 300}, SpanCount{Calls: 9000, Seconds: 900}),
		tallyOf(cartCall, SpanCount{Calls: 1000, Errors: 30}, SpanCount{Calls: 9000, Errors: 9}),
		tallyOf(Edge{Service: "checkout", Operation: "POST /pay", Callee: "mail"}, SpanCount{Calls: 3000}, SpanCount{Calls: 9000}),
	)
	var callees []string
	for _, d := range s.Differences() {
		callees = append(callees, d.Edge.Callee)
	}
	if want := []string{"cart", "payment", "", "mail"}; !slices.Equal(callees, want) {
		t.Errorf("%q, want %q", callees, want)
	}
}

// Calls of a callee in two versions are one edge, and are told by version.
func TestVersionsAreListed(t *testing.T) {
	s := testState(t, withStreams(topologyObjective()))
	next := payCall
	next.CalleeVersion = "2.1"
	foldSpans(
		t, s, 1000, 9000,
		tallyOf(payCall, SpanCount{Calls: 500, Errors: 5}, SpanCount{Calls: 4500, Errors: 45}),
		tallyOf(next, SpanCount{Calls: 500, Errors: 100}, SpanCount{Calls: 4500, Errors: 45}),
	)
	got := s.Differences()
	if len(got) != 2 || got[0].Kind == got[1].Kind {
		t.Fatalf("%+v", got)
	}
	for _, d := range got {
		want := "10.5% fail in the canary, 1% in the baseline"
		if d.Kind == DiffVersions {
			want = "20% of 500 of the canary's to 2.1 fail, 1% of 4500 of the baseline's"
		}
		if !strings.Contains(d.What, want) {
			t.Errorf("%s, want %q", d.What, want)
		}
	}
}

func TestOperationsAreMutedBoundedAndTailSampledOnesUncounted(t *testing.T) {
	s := testState(t, withStreams(topologyObjective()), func(in *PlanInput) { in.Traces = &TracePlan{Mute: []string{"charge"}} })
	many := make([]EdgeTally, 3000)
	for i := range many {
		many[i] = tallyOf(Edge{Service: "checkout", Operation: fmt.Sprintf("op-%04d", i)}, SpanCount{Calls: 10}, SpanCount{Calls: 90})
	}
	broken := SpanCount{Calls: 1000, Errors: 900}
	foldSpans(t, s, 1000, 9000, append([]EdgeTally{tallyOf(payCall, broken, SpanCount{Calls: 9000}), tallyOf(served, broken, SpanCount{Calls: 9000})}, many...)...)
	if got := s.Differences(); len(got) != 2 || got[0].Muted || !got[1].Muted || got[1].Edge.Callee != "payment" {
		t.Errorf("%+v", got)
	}
	if n := s.NotRead().Dropped; n != 100*(3002-maxEdges) {
		t.Errorf("%v spans dropped", n)
	}
	before := s.Differences()
	foldStream(t, s, Evidence{Objective: "traces", Missing: TailSampled, Warnings: []string{"other", "kept for errors"}, Spans: &SpanTally{
		Tail: "kept for errors", Edges: []EdgeTally{tallyOf(cartCall, broken, SpanCount{Calls: 9000})}, NotRead: NotRead{Late: 3},
	}})
	if got := s.Differences(); len(got) != len(before) {
		t.Errorf("%+v", got)
	}
	if w := s.Warnings(); len(w) != 1 || !strings.HasPrefix(w[0], "tail_sampled: traces: kept for errors") {
		t.Errorf("%q", w)
	}
	if n := s.NotRead().Late; n != 3 {
		t.Errorf("%v late", n)
	}
}

// Rates of spans that were kept for what they show are never folded.
func TestTailSampledRatesAreRefused(t *testing.T) {
	s := testState(t, withStreams(spansObjective("span_errors", Critical, ShapeRatio, SpanErrors)))
	for k := range 20 {
		e := Evidence{Objective: "span_errors", Rows: rows(90, 0, 100, 900), Spans: &SpanTally{Tail: "errors only"}}
		if k%2 == 1 {
			e = Evidence{Objective: "span_errors", Missing: TailSampled, Warnings: []string{"errors only"}}
		}
		foldStream(t, s, e)
		foldRows(t, s, 0, rows(1, 9, 100, 900))
	}
	if f := s.Describe()[1]; f.N.CanaryExposure != 0 || float64(f.ERollback) > 1 {
		t.Errorf("%+v", f)
	}
	if c := s.Checks().Coverage; c.Code != TailSampled || !strings.Contains(c.Reason, "errors only") {
		t.Errorf("%+v", c)
	}
}
