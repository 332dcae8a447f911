package validation

import (
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/sources"
)

// broken is a source whose answers list what nobody can have counted.
type broken struct {
	sources.Source
	spoil func(*analysis.Answer)
}

func (s *broken) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	a, err := s.Source.Rows(ctx, q)
	if err == nil {
		s.spoil(&a)
	}
	return a, err
}

func TestImpossibleListingsCostOneObjective(t *testing.T) {
	k := talk{map[string]float64{"stored order %d": .02}, map[string]float64{"stored order %d": .02}}
	lines := func(change func(*analysis.LineRow)) func(*analysis.Answer) {
		return func(a *analysis.Answer) {
			for i := range a.Lines {
				change(&a.Lines[i])
			}
		}
	}
	for name, spoil := range map[string]func(*analysis.Answer){
		"no number":      lines(func(r *analysis.LineRow) { r.Events = math.NaN() }),
		"infinite bytes": lines(func(r *analysis.LineRow) { r.Bytes = math.Inf(1) }),
		"negative":       lines(func(r *analysis.LineRow) { r.Lines = -1 }),
		"more than any":  lines(func(r *analysis.LineRow) { r.Lines = 1e300 }),
		"no severity":    lines(func(r *analysis.LineRow) { r.Severity = 99 }),
		"of no year":     lines(func(r *analysis.LineRow) { r.Example = &analysis.Line{Time: time.Unix(1<<50, 0)}; r.Template = "" }),
		"not read":       func(a *analysis.Answer) { a.NotRead.Dropped = math.NaN() },
		"pod of no year": func(a *analysis.Answer) {
			for i := range a.Rows {
				if len(a.Lines) > 0 {
					a.Rows[i].PodStart = time.Unix(1<<50, 0)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, dir: t.TempDir(), source: &broken{mustReplay(t, k.say(chatty.record(1), chatty, 3)), spoil}, policy: talkative}
			b.open()
			t.Cleanup(func() { b.close() })
			v := b.judgedTo(25 * time.Minute)
			if v.ReasonCode == analysis.AnalyzerFault || !v.Final {
				t.Fatalf("%s %s: %s", v.Verdict, v.ReasonCode, v.Reason)
			}
			b.rejudged(v)
		})
	}
}

// What only the control's pods write names no template: no look tells of it, and nobody
// would know it after a restart.
func TestLinesOfTheControlAreNotMined(t *testing.T) {
	tree, err := logdiff.Compile(nil)
	if err != nil {
		t.Fatal(err)
	}
	row := analysis.LineRow{Pod: "a", Text: "cart is gone", Severity: analysis.SeverityError, Lines: 1, Events: 1}
	if got := tallyLines(tree, gather.Listed{Lines: []gather.ArmLine{{Arm: analysis.Control, LineRow: row}}}); len(got.Templates) != 0 || len(got.Volumes) != 1 {
		t.Errorf("%+v", got)
	}
	got := tallyLines(tree, gather.Listed{Lines: []gather.ArmLine{{Arm: analysis.Canary, LineRow: row}}})
	if len(got.Templates) != 1 || got.Templates[0].New != "cart is gone" {
		t.Errorf("the canary's line is told as %+v", got.Templates)
	}
}

// A look that did not come to the disk is asked again and tells its templates then.
func TestTemplatesOfALostLookAreToldAgain(t *testing.T) {
	b := newTalk(t, chatty, talk{nil, map[string]float64{"order %d was stored": .05}})
	b.deploy(deployment(analysis.Live))
	b.advance(start)
	var at time.Duration
	for ; ; at += time.Second { // until the first look that is lost
		spool := b.spools.path(deployment(analysis.Live).Deployment(1).Validation())
		if err := os.MkdirAll(spool, 0o755); err != nil { // no file can be written there
			t.Fatal(err)
		}
		if err := b.Advance(t.Context(), start.Add(at)); err != nil {
			if err := os.Remove(spool); err != nil {
				t.Fatal(err)
			}
			break
		}
		if at > 5*time.Minute {
			t.Fatal("every look was written")
		}
	}
	for ; at < 5*time.Minute; at += 15 * time.Second {
		b.advance(start.Add(at))
	}
	v := b.verdict()
	fresh := slices.IndexFunc(v.Differences, func(d analysis.Difference) bool { return d.New })
	if fresh < 0 || !strings.Contains(v.Differences[fresh].Template, "was stored") {
		t.Errorf("%+v", v.Differences)
	}
}

// A look tells once what is told once: examples and pods do not come again.
func TestLooksTellExamplesOnce(t *testing.T) {
	b := newTalk(t, chatty, talk{map[string]float64{"payment %d failed": .01}, map[string]float64{"payment %d failed": .01, "refused voucher %d": .01}})
	b.deploy(deployment(analysis.Live))
	for at := time.Duration(0); at <= 5*time.Minute; at += 15 * time.Second {
		b.advance(start.Add(at))
	}
	data, err := os.ReadFile(b.spools.path(deployment(analysis.Live).Deployment(1).Validation()))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), `"ce":`); n != 2 {
		t.Errorf("%d examples of two templates", n)
	}
}

// Names of operations reach terminals, logs and other people's screens.
func TestNamesOfOperationsAreReadable(t *testing.T) {
	got := tallySpans(gather.Listed{Spans: []gather.ArmSpan{{Arm: analysis.Canary, SpanRow: analysis.SpanRow{
		Edge: analysis.Edge{Service: "shop\x1b[31m", Operation: "GET \u202e/" + strings.Repeat("x", 10_000)}, SpanCount: analysis.SpanCount{Calls: 1},
	}}}})
	if e := got.Edges[0].Edge; strings.ContainsAny(e.Service+e.Operation, "\x1b\u202e") || len(e.Operation) > 2*maxName {
		t.Errorf("%.300q", e)
	}
}
