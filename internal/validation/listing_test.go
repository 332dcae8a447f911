package validation

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/gather"
)

func lineOf(arm analysis.Arm, pod, text string, second int, severity analysis.Severity, events float64) gather.ArmLine {
	return gather.ArmLine{Arm: arm, LineRow: analysis.LineRow{
		Pod: pod, Text: text, Severity: severity, Lines: events, Bytes: 10 * events, Events: events,
		Example: &analysis.Line{Time: start.Add(time.Duration(second) * time.Second), Pod: pod, Text: text},
	}}
}

// Lines that are unknown get the same templates, whoever's answer came first.
func TestTallyLinesInAnyOrder(t *testing.T) {
	lines := []gather.ArmLine{
		lineOf(analysis.Canary, "c1", "voucher refused by store", 3, analysis.SeverityError, 2),
		lineOf(analysis.Canary, "c2", "voucher refused by store", 2, analysis.SeverityError, 1),
		lineOf(analysis.Baseline, "b1", "cache warmed up slowly again", 1, analysis.SeverityInfo, 4),
		lineOf(analysis.Control, "x1", "cache warmed up slowly again", 0, analysis.SeverityInfo, 9),
		lineOf(analysis.Canary, "c1", "cache warmed up slowly again", 4, analysis.SeverityInfo, 5),
	}
	tally := func(lines []gather.ArmLine) *analysis.LogTally {
		tree, err := logdiff.Compile(nil)
		if err != nil {
			t.Fatal(err)
		}
		return tallyLines(tree, gather.Listed{Lines: lines, NotRead: analysis.NotRead{Late: 3}})
	}
	want := tally(lines)
	if len(want.Templates) != 2 || want.NotRead.Late != 3 {
		t.Fatalf("got %+v", want)
	}
	cache, voucher := want.Templates[0], want.Templates[1] // in order of appearance
	if cache.New == "" || cache.Baseline != 4 || cache.Canary != 5 || cache.BaselinePods != 1 || cache.Severity != analysis.SeverityInfo {
		t.Errorf("the line of both arms: %+v", cache)
	}
	if voucher.New == "" || voucher.Canary != 3 || voucher.Baseline != 0 || !reflect.DeepEqual(voucher.CanaryPods, []string{"c1", "c2"}) || voucher.CanaryExample.Pod != "c2" {
		t.Errorf("the line of the canary: %+v", voucher)
	}
	volumes := []analysis.Volume{
		{Arm: analysis.Baseline, Level: analysis.SeverityInfo, Lines: 4, Bytes: 40},
		{Arm: analysis.Canary, Level: analysis.SeverityInfo, Lines: 5, Bytes: 50},
		{Arm: analysis.Canary, Level: analysis.SeverityError, Lines: 3, Bytes: 30},
		{Arm: analysis.Control, Level: analysis.SeverityInfo, Lines: 9, Bytes: 90},
	}
	if !reflect.DeepEqual(want.Volumes, volumes) {
		t.Errorf("volumes %+v\nwant %+v", want.Volumes, volumes)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		if got := tally(lines); !reflect.DeepEqual(got, want) {
			t.Fatalf("in another order\n%+v\nwant\n%+v", got, want)
		}
	}
}

func TestTallySpans(t *testing.T) {
	pay, list := analysis.Edge{Service: "checkout", Operation: "POST /pay"}, analysis.Edge{Service: "checkout", Operation: "GET /list"}
	row := func(arm analysis.Arm, pod string, edge analysis.Edge, n, failed float64) gather.ArmSpan {
		return gather.ArmSpan{Arm: arm, SpanRow: analysis.SpanRow{Pod: pod, Edge: edge, SpanCount: analysis.SpanCount{Calls: n, Errors: failed}}}
	}
	got := tallySpans(gather.Listed{Tail: "kept for their errors", Spans: []gather.ArmSpan{
		row(analysis.Canary, "c1", pay, 5, 1), row(analysis.Canary, "c1", pay, 2, 0), row(analysis.Canary, "c2", pay, 1, 1),
		row(analysis.Canary, "c1", analysis.Edge{Service: "checkout", Operation: "charge", Kind: "client"}, 9, 9),
		row(analysis.Baseline, "b1", pay, 50, 1), row(analysis.Baseline, "b1", list, 7, 0), row(analysis.Control, "x1", list, 9, 9),
	}})
	want := &analysis.SpanTally{Tail: "kept for their errors", Edges: []analysis.EdgeTally{
		{Edge: list, Baseline: analysis.SpanCount{Calls: 7}},
		{Edge: pay, Baseline: analysis.SpanCount{Calls: 50, Errors: 1}, Canary: analysis.SpanCount{Calls: 8, Errors: 2}, CanaryPods: 2},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// Spans that were kept for what they show are listed, and rates are not read from them.
func TestTailSampledSpansTellNoRates(t *testing.T) {
	v := &run{}
	rows := []analysis.ArmRow{{Arm: analysis.Canary}}
	tailed := analysis.Evidence{Rows: rows, Warnings: []string{"other"}}
	o := &analysis.PlannedObjective{Objective: analysis.Objective{Name: "span_errors", Signal: analysis.Signal{Shape: analysis.ShapeRatio, Spans: &analysis.SpanSignal{}}}}
	if err := v.list(o, &tailed, gather.Listed{Tail: "kept for their errors"}); err != nil {
		t.Fatal(err)
	}
	if tailed.Missing != analysis.TailSampled || tailed.Rows != nil || !reflect.DeepEqual(tailed.Warnings, []string{"kept for their errors", "other"}) {
		t.Errorf("got %+v", tailed)
	}
	whole := analysis.Evidence{Rows: rows}
	if err := v.list(o, &whole, gather.Listed{}); err != nil || whole.Missing != "" || len(whole.Rows) != 1 {
		t.Errorf("got %+v (%v), want it unchanged", whole, err)
	}
}
