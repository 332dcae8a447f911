package validation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// Traces are asked for what has reached its bar, and of the baseline beside them.
func TestWantedExemplars(t *testing.T) {
	asOf := start.Add(10 * time.Minute)
	plan := &analysis.Plan{
		Cohorts: analysis.Cohorts{
			Baseline: analysis.Cohort{analysis.AttrVersion: "1"}, Canary: analysis.Cohort{analysis.AttrVersion: "2"},
		},
		Objectives: []analysis.PlannedObjective{
			{Objective: analysis.Objective{Name: "errors", Signal: analysis.Signal{Shape: analysis.ShapeRatio}}},
			{Objective: analysis.Objective{Name: "latency", Signal: analysis.Signal{Shape: analysis.ShapeDistribution}}},
		},
	}
	finding := func(name string, e analysis.Figure) verdicts.Verdict {
		return verdicts.Verdict{Findings: []analysis.Finding{{Objective: name, ERollback: e, EAdjusted: e}}}
	}
	listed := func(d analysis.Difference) verdicts.Verdict {
		d.Key = "d"
		return verdicts.Verdict{Differences: []analysis.Difference{d}}
	}
	edge := &analysis.Edge{Service: "checkout", Operation: "POST /pay"}
	unweighed := finding("errors", 1e6)
	unweighed.Findings[0].EAdjusted = analysis.Figure(math.NaN())
	for name, c := range map[string]struct {
		v         verdicts.Verdict
		kind      analysis.ExemplarKind // "": nothing is wanted
		id        string
		operation string
	}{
		"errors below the bar":      {v: finding("errors", 9.99)},
		"errors at the bar":         {v: finding("errors", 10), kind: analysis.ExemplarFailed},
		"latency":                   {v: finding("latency", 11), kind: analysis.ExemplarSlow},
		"no share in a rollback":    {v: unweighed},
		"an edge below the bar":     {v: listed(analysis.Difference{Edge: edge, E: 9.99})},
		"an edge at the bar":        {v: listed(analysis.Difference{Edge: edge, E: 10}), kind: analysis.ExemplarFailed, operation: "POST /pay"},
		"an edge that is a finding": {v: listed(analysis.Difference{Edge: edge, Found: true, E: analysis.Figure(math.NaN())}), kind: analysis.ExemplarFailed, operation: "POST /pay"},
		"one without evidence":      {v: listed(analysis.Difference{Edge: edge, E: analysis.Figure(math.NaN())})},
		"a muted one":               {v: listed(analysis.Difference{Edge: edge, Found: true, Muted: true, E: 1e6})},
		"a line with its trace":     {v: listed(analysis.Difference{Template: "x", TraceID: "abc", E: 10}), kind: analysis.ExemplarNamed, id: "abc"},
		"a line without a trace":    {v: listed(analysis.Difference{Template: "x", E: 10})},
	} {
		t.Run(name, func(t *testing.T) {
			c.v.AsOf = &asOf
			got := wants(plan, c.v, asOf.Add(time.Minute))
			if c.kind == "" {
				if len(got) != 0 {
					t.Errorf("wanted %+v", got)
				}
				return
			}
			if len(got) != 2 || got[1].key != baselineKey || got[1].arm != analysis.Baseline || got[1].query.Kind != analysis.ExemplarTypical {
				t.Fatalf("wanted %+v, want one, and one of the baseline", got)
			}
			q := got[0].query
			if got[0].arm != analysis.Canary || q.TraceID != c.id || q.Operation != c.operation || c.id == "" && (q.Kind != c.kind || q.Matches[0].Values[0] != "2") || !q.To.Equal(asOf.Add(time.Minute)) {
				t.Errorf("wanted %+v", got[0])
			}
		})
	}
}

// A trace whose body JSON may be written in another way is kept as it came.
type strange struct{ found []analysis.Exemplar }

func (s *strange) Exemplars(context.Context, analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	return s.found, nil
}

func exemplarOf(id, body string) analysis.Exemplar {
	sum := sha256.Sum256([]byte(body))
	return analysis.Exemplar{TraceID: id, Kind: analysis.ExemplarFailed, Source: "traces", Spans: 1, Digest: "sha256:" + hex.EncodeToString(sum[:]), Body: []byte(body)}
}

func TestStrangeExemplars(t *testing.T) {
	k := talk{map[string]float64{"payment %d failed": .002}, map[string]float64{"payment %d failed": .002, "cart of user %d refused": .03}}
	long := exemplarOf("5", `{"resourceSpans":[]}`)
	for i := range 100_000 {
		long.Services = append(long.Services, fmt.Sprintf("service-%d", i))
	}
	many := make([]analysis.Exemplar, 10_000)
	for i := range many {
		many[i] = exemplarOf(fmt.Sprint(i), `{"resourceSpans":[]}`)
	}
	for name, c := range map[string]struct {
		found []analysis.Exemplar
		kept  bool
	}{
		"markup":   {[]analysis.Exemplar{exemplarOf("1", `{"resourceSpans": [{"name":"GET <id> & more"}]}`)}, true},
		"no JSON":  {[]analysis.Exemplar{exemplarOf("2", `{`)}, false},
		"no body":  {[]analysis.Exemplar{{TraceID: "3", Source: "traces"}}, false},
		"another":  {[]analysis.Exemplar{{TraceID: "4", Source: "traces", Digest: "sha256:00", Body: []byte("{}")}}, false},
		"too much": {[]analysis.Exemplar{exemplarOf("6", `{"x":"`+strings.Repeat("x", 20<<20)+`"}`)}, false},
		"many":     {many, true},
		"long":     {[]analysis.Exemplar{long}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, k.say(chatty.record(1), chatty, 3)), policy: talkative, exemplars: map[string]sources.ExemplarSource{"traces": &strange{c.found}}}
			b.open()
			t.Cleanup(func() { b.close() })
			v := b.judgedTo(25 * time.Minute)
			if v.Verdict != verdicts.Rollback {
				t.Fatalf("%s: %s", v.Verdict, v.Reason)
			}
			b.advance(v.IssuedAt.Add(exemplarGrace + time.Second))
			b.rejudged(v)
			sealed := b.sealed(v)
			defer sealed.Close()
			kept, err := sealed.Exemplars()
			if err != nil || len(kept) == 0 {
				t.Fatal(len(kept), err)
			}
			for _, e := range kept {
				if (e.Missing == "") != c.kept {
					t.Errorf("kept %.200v", e)
				}
			}
			if size := len(encoded(t, v)); size > 256<<10 {
				t.Errorf("the verdict has %d bytes", size)
			}
		})
	}
}

func (b *bench) sealed(v verdicts.Verdict) *bundle.Bundle {
	b.t.Helper()
	sealed, err := bundle.Open(filepath.Join(b.Bundles(), v.Bundle))
	if err != nil {
		b.t.Fatal(err)
	}
	return sealed
}

// What a crash left of a line takes no trace that came after it.
func TestExemplarsBehindATornLine(t *testing.T) {
	s := spools{t.TempDir()}
	for i, id := range []string{"1", "2"} {
		if kept, err := s.keepExemplar("v", exemplarOf(id, `{}`)); err != nil || kept == nil {
			t.Fatal(kept, err)
		}
		if i == 0 {
			f, err := os.OpenFile(s.path("v")+exemplarSuffix, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.WriteString(`{"exemplar":{"tr`)
			if err = errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := s.exemplars("v"); err != nil || len(got) != 2 || got[1].TraceID != "2" {
		t.Errorf("%v, %v", got, err)
	}
}

// wordless is a source of traces that answers nothing before it is let go.
type wordless struct {
	mu    sync.Mutex
	asked int
	let   chan struct{}
}

func (s *wordless) Exemplars(ctx context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	select {
	case <-s.let:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A source of traces that never answers delays neither the verdict nor the bundle beyond
// its grace, nor the end of the process.
func TestExemplarsThatNeverCome(t *testing.T) {
	k := talk{map[string]float64{"payment %d failed": .002}, map[string]float64{"payment %d failed": .002, "cart of user %d refused": .03}}
	source := &wordless{let: make(chan struct{})}
	b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, k.say(chatty.record(1), chatty, 3)), policy: talkative, exemplars: map[string]sources.ExemplarSource{"traces": source}}
	b.open()
	t.Cleanup(func() { b.close() })
	b.deploy(deployment(analysis.Live))
	advance := func(now time.Time) {
		limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if err := b.Advance(limited, now); err != nil {
			t.Fatal(err)
		}
	}
	var v verdicts.Verdict
	for at := time.Duration(0); at <= 25*time.Minute && !v.Final; at += 15 * time.Second {
		advance(start.Add(at))
		v = b.verdict()
	}
	source.mu.Lock()
	asked := source.asked
	source.mu.Unlock()
	if v.Verdict != verdicts.Rollback || asked == 0 {
		t.Fatalf("%s, %d asked", v.Verdict, asked)
	}
	if _, err := os.Stat(filepath.Join(b.Bundles(), v.Bundle)); err == nil {
		t.Error("the seal did not wait")
	}
	advance(v.IssuedAt.Add(exemplarGrace + time.Second))
	b.rejudged(v)
	closed := make(chan struct{})
	go func() { b.close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the process does not end")
	}
}

// Answers to questions of before the verdict are not those that the seal waits for.
func TestTheSealWaitsForItsOwnQuestions(t *testing.T) {
	b := newBench(t, mustReplay(t, chatty.record(1)))
	b.sealing["v"] = &sealing{open: 1}
	b.fetches = 2
	if err := b.takeExemplars(&fetched{id: "v"}, start); err != nil || b.sealing["v"].open != 1 {
		t.Errorf("%v, %+v", err, b.sealing["v"])
	}
	if err := b.takeExemplars(&fetched{id: "v", last: true}, start); err != nil || b.sealing["v"].open != 0 {
		t.Errorf("%v, %+v", err, b.sealing["v"])
	}
}
