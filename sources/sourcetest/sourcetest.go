// Package sourcetest is the conformance suite of telemetry sources: what package
// sources promises, as tests. A source passes it in a few lines:
//
//	func TestConformance(t *testing.T) {
//		sourcetest.Run(t, sourcetest.Harness{
//			Open: func(t *testing.T, rec replay.Recording) sources.Source { … },
//		})
//	}
//
// The suite loads one neutral recording that holds the pods of all its cases, each
// case in services of its own, so that a slow backend is filled and started once.
// All of it lies within two hours, at whole seconds, and nothing in it is random
// except by a fixed seed.
//
// Wanted answers are written out by hand where a reader can redo them; only the
// case of random lives is compared with package replay.
//
// The suite does not test how telemetry gets into a source (late or broken
// samples, limits, credentials): that is each source's own business.
package sourcetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
)

// A Harness says how to test a source.
type Harness struct {
	// Open returns a source that holds the recording. It is called once.
	//
	// Metrics are "shop.requests" and "process.cpu.time", cumulative counters that
	// carry the attributes "http.response.status_code" and "http.route";
	// "shop.duration", cumulative histograms with classic or exponential buckets,
	// that carry "http.route"; and "shop.memory", gauges that carry "area". Resource
	// attributes are those of package analysis (service, namespace, version,
	// environment, pod), "rollouts-pod-template-hash" and "k8s.node.name".
	Open func(t *testing.T, rec replay.Recording) sources.Source
	// Signal translates a signal from the words of the recording into those of the
	// product. Its conditions use OpEqual, OpNotEqual and OpIn with status classes.
	// Nil: they are the same words.
	Signal func(analysis.Signal) analysis.Signal
	// Unavailable returns a source whose server cannot be reached. Nil: there is no
	// such state.
	Unavailable func(t *testing.T) sources.Source

	// ReportsFresh: the source can tell that another series of a pod is fresh.
	ReportsFresh bool
	// ReportsStart: the source knows when pods started. Without it the recording is
	// loaded without starts.
	ReportsStart bool
	// ReportsObserved: resource attributes can be observed without being matched.
	ReportsObserved bool
	// Deltas: each value is loaded as an increment that says since when it counts,
	// so that the first reading after a gap is never New.
	Deltas bool
	// Regexps: OpRegexp is understood; otherwise it must be rejected.
	Regexps bool
	// Histograms, Exponential, Levels, Strata: the source answers questions about
	// distributions of classic (explicit) buckets, about those of exponential ones,
	// about levels, and by strata. One that does not rejects them; without
	// Exponential the recording is loaded without such buckets.
	Histograms, Exponential, Levels, Strata bool
	// NoCounters: the source knows lines or spans and nothing else. It rejects questions
	// about metrics, and the recording is loaded without them.
	NoCounters bool
	// Lines, Spans: the source answers questions about log lines (and is a
	// sources.LineSampler), about spans (and is a sources.SpanSource). One that does not
	// rejects them; the recording is then loaded without them.
	//
	// A line is loaded as the pod wrote it: its Text is the whole entry, and the
	// severity and trace id that the line carries beside it go where the product keeps
	// such (severity number and trace id of a record; structured metadata "level" and
	// "trace_id"). A line or span at the very end of a fold is the fold's, one at its
	// start is not.
	Lines, Spans bool
}

// Run tests the source that h describes.
func Run(t *testing.T, h Harness) {
	if h.Signal == nil {
		h.Signal = func(s analysis.Signal) analysis.Signal { return s }
	}
	cases := allCases()
	if h.NoCounters {
		cases = slices.Concat(lineCases(), spanCases(), failureCases())
	}
	var rec replay.Recording
	for _, c := range cases {
		rec.Pods = append(rec.Pods, c.pods...)
	}
	if !h.ReportsStart {
		for i := range rec.Pods {
			rec.Pods[i].Starts = nil
		}
	}
	if !h.Exponential {
		rec = classicOnly(rec)
	}
	if h.NoCounters {
		for i := range rec.Pods {
			rec.Pods[i].Series = nil
		}
	}
	rec = spoken(rec, h.Lines, h.Spans)
	if err := rec.Validate(); err != nil {
		t.Fatalf("the suite's recording: %v", err)
	}
	source := h.Open(t, rec)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.check(t, suite{Harness: h, source: source, rec: rec})
		})
	}
}

// A testCase loads pods and asks about them.
type testCase struct {
	name  string
	pods  []replay.Pod
	check func(t *testing.T, s suite)
}

// suite is what a check gets to work with.
type suite struct {
	Harness
	source sources.Source
	rec    replay.Recording
}

func allCases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{rowCases(), firstReadingCases(), selectionCases(), futureCases(), pastCases(), distributionCases(), exponentialCases(), levelCases(), strataCases(), lineCases(), spanCases(), failureCases()} {
		all = append(all, group...)
	}
	return all
}

// Times of the suite are seconds since this instant, a whole hour.
var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func fold(from, to float64) analysis.Fold { return analysis.Fold{Start: at(from), End: at(to)} }

const (
	environment = "production"
	namespace   = "shop"
	requests    = "shop.requests"
	statusCode  = "http.response.status_code"
	route       = "http.route"
	podHash     = "rollouts-pod-template-hash"
)

// errorRatio is the signal of most cases: responses of class 5xx among requests.
func errorRatio() analysis.Signal {
	return analysis.Signal{
		Name: "error-ratio", Source: "test", Unit: "1", Shape: analysis.ShapeRatio,
		Bad: &analysis.Selector{Metric: requests, Field: analysis.FieldValue, Conditions: []analysis.Condition{
			{Name: statusCode, Op: analysis.OpIn, Values: []string{"5xx"}},
		}},
		Total: &analysis.Selector{Metric: requests, Field: analysis.FieldValue},
	}
}

// matches asks for versions of a service in production.
func matches(service string, versions ...string) []analysis.Match {
	m := []analysis.Match{
		{Name: analysis.AttrEnvironment, Values: []string{environment}},
		{Name: analysis.AttrService, Values: []string{service}},
	}
	if len(versions) > 0 {
		m = append(m, analysis.Match{Name: analysis.AttrVersion, Values: versions})
	}
	return m
}

// query asks what was counted in a fold, remembering an hour.
func (s suite) query(service string, f analysis.Fold, versions ...string) analysis.Query {
	return analysis.Query{
		Signal: s.Signal(errorRatio()), Matches: matches(service, versions...),
		Fold: f, Since: f.Start.Add(-time.Hour),
	}
}

// row is a wanted row of a query with versions.
func row(service, version, pod string, received int, bad, exposure float64) analysis.Row {
	return analysis.Row{
		Values: []string{environment, service, version}, Pod: pod, Received: received,
		Increase: analysis.Increase{Bad: bad, Exposure: exposure},
	}
}

func (s suite) rows(t *testing.T, q analysis.Query) []analysis.Row {
	t.Helper()
	answer, err := s.source.Rows(t.Context(), q)
	if err != nil {
		t.Fatalf("rows: %v", err)
	}
	if answer.Partial || len(answer.Warnings) > 0 {
		t.Errorf("answer is partial (%v) or warns: %q", answer.Partial, answer.Warnings)
	}
	return answer.Rows
}

// want asks q and compares the rows as far as the source can know them.
func (s suite) want(t *testing.T, q analysis.Query, want ...analysis.Row) {
	t.Helper()
	s.same(t, s.rows(t, q), want)
}

func (s suite) same(t *testing.T, got, want []analysis.Row) {
	t.Helper()
	got, want = s.comparable(got), s.comparable(want)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("rows differ\n got: %s\nwant: %s", show(got), show(want))
	}
}

// comparable returns rows without what the source need not tell.
func (s suite) comparable(rows []analysis.Row) []analysis.Row {
	var out []analysis.Row
	for _, r := range rows {
		if !s.ReportsFresh {
			if r.Received == 0 {
				continue
			}
		}
		if !s.ReportsFresh || r.Received > 0 {
			r.Fresh = false // it matters for silent pods only, and may be costly
		}
		if !s.ReportsStart || r.Received == 0 {
			r.PodStart = time.Time{} // who is silent need not say when it started
		}
		r.PodStart = r.PodStart.UTC()
		if len(r.Observed) == 0 {
			r.Observed = nil
		}
		out = append(out, r)
	}
	return out
}

func show(rows []analysis.Row) string {
	text := ""
	for _, r := range rows {
		text += fmt.Sprintf("\n\t%q %q %q %s: %v of %v, above %v, level %v", r.Values, r.Observed, r.Stratum, r.Pod, r.Bad, r.Exposure, r.Above, r.Level)
		if r.New {
			text += fmt.Sprintf(", first %v of %v, above %v", r.FirstBad, r.FirstExposure, r.FirstAbove)
		}
		text += fmt.Sprintf(", received %d, fresh %v", r.Received, r.Fresh)
		if !r.PodStart.IsZero() {
			text += ", started " + r.PodStart.Format("15:04:05.000")
		}
	}
	return text
}

// ask puts all questions and returns their errors by operation. Only what has buckets
// has a distribution.
func ask(ctx context.Context, source sources.Source, signal analysis.Signal) map[string]error {
	_, rows := source.Rows(ctx, analysis.Query{Signal: signal, Matches: matches("any"), Fold: fold(0, 15), Since: at(-60)})
	_, spacing := source.Spacing(ctx, analysis.SpacingQuery{Signal: signal, Matches: matches("any"), From: at(0), To: at(60)})
	_, history := source.History(ctx, analysis.HistoryQuery{Signal: signal, Matches: matches("any"), From: at(0), To: at(60)})
	_, seen := source.Seen(ctx, analysis.SeenQuery{Signal: signal, Service: "any", From: at(0), To: at(60)})
	errs := map[string]error{"rows": rows, "spacing": spacing, "history": history, "seen": seen}
	if signal.Shape == analysis.ShapeDistribution {
		_, errs["distribution"] = source.Distribution(ctx, analysis.DistributionQuery{Signal: signal, Matches: matches("any"), From: at(0), To: at(60)})
	}
	return errs
}
