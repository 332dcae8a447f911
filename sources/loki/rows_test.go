package loki

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func open(t testing.TB, url string, changes ...func(*Config)) *Source {
	t.Helper()
	c := DefaultConfig()
	c.URL = url
	for _, change := range changes {
		change(&c)
	}
	s, err := Open("logs", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// line is a line of the shop; meta are pairs.
func line(second float64, version, pod, text string, meta ...string) stored {
	s := stored{stream: map[string]string{"service_name": "shop"}, meta: map[string]string{"service_version": version, "k8s_pod_name": pod}, at: at(second).UnixNano(), line: text}
	for i := 0; i < len(meta); i += 2 {
		s.meta[meta[i]] = meta[i+1]
	}
	return s
}

func severity() analysis.Signal {
	return analysis.Signal{Name: "logs_severity", Source: "logs", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: analysis.SeverityError}}
}

func templates() analysis.Signal {
	return analysis.Signal{Name: "logs", Source: "logs", Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}}
}

func shop(versions ...string) []analysis.Match {
	return []analysis.Match{{Name: analysis.AttrService, Values: []string{"shop"}}, {Name: analysis.AttrVersion, Values: versions}}
}

// query asks about the fold from 0 to 15 s.
func query(signal analysis.Signal, share float64) analysis.Query {
	q := analysis.Query{Signal: signal, Matches: shop("1.0", "2.0"), Fold: analysis.Fold{Start: at(0), End: at(15)}}
	if share >= 0 {
		q.Lines = &analysis.LineQuery{Share: share}
	}
	return q
}

func rows(t *testing.T, s *Source, q analysis.Query) analysis.Answer {
	t.Helper()
	a, err := s.Rows(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// of shows rows in short: version/pod bad of received.
func of(a analysis.Answer) (all []string) {
	for _, r := range a.Rows {
		all = append(all, fmt.Sprintf("%s/%s %v of %d", r.Values[1], r.Pod, r.Bad, r.Received))
	}
	return all
}

const trace = "000102030405060708090a0b0c0d0e0f"

func TestSeverityCountsRequests(t *testing.T) {
	lines := []stored{
		line(0, "1.0", "a", "ERROR at the start, which is not the fold's"),
		line(1, "1.0", "a", "level=error msg=boom trace_id="+trace),
		line(2, "1.0", "a", `{"level":"error","msg":"boom again","trace_id":"`+trace+`"}`), // the same request
		line(3, "1.0", "a", "fine", "level", "info"),
		line(3, "1.0", "a", "no ERROR at all, says its level", "level", "info"),
		line(4, "2.0", "b", "it failed", "severity_number", "17", "trace_id", strings.Repeat("ab", 16)),
		line(5, "2.0", "b", "it failed", "severity_text", "Fatal", "trace_id", strings.Repeat("cd", 16)),
		line(15, "2.0", "b", "it failed at the end, which is the fold's", "level", "ERROR", "trace_id", strings.Repeat("ef", 16)),
		line(15.000000001, "2.0", "b", "ERROR after"),
		line(6, "2.0", "c", "all is well"),
		line(6, "3.0", "d", "ERROR of another version"),
		{stream: map[string]string{"service_name": "cart"}, meta: map[string]string{"service_version": "1.0"}, at: at(5).UnixNano(), line: "ERROR of another service"},
	}
	want := []string{"1.0/a 1 of 4", "2.0/b 3 of 3", "2.0/c 0 of 1"}
	for name, change := range map[string]func(*fake){
		"Loki 3": func(*fake) {}, "an older one": func(f *fake) { f.merged = true },
	} {
		f := newFake(t, slices.Clone(lines)...)
		change(f)
		a := rows(t, open(t, f.URL), query(severity(), -1))
		if !reflect.DeepEqual(of(a), want) || a.Partial || a.NoTraces || len(a.Lines) > 0 {
			t.Errorf("%s: got %q, partial %v, no traces %v, %d lines; want %q", name, of(a), a.Partial, a.NoTraces, len(a.Lines), want)
		}
	}
}

func TestWithoutTraceIdsSecondsCount(t *testing.T) {
	f := newFake(t, line(1.1, "1.0", "a", "ERROR one"), line(1.2, "1.0", "a", "ERROR two"), line(7, "1.0", "a", "ERROR three"))
	a := rows(t, open(t, f.URL), query(severity(), -1))
	if want := []string{"1.0/a 2 of 3"}; !reflect.DeepEqual(of(a), want) || !a.NoTraces {
		t.Errorf("got %q, no traces %v; want %q", of(a), a.NoTraces, want)
	}
}

// What nobody wrote takes one query.
func TestSilence(t *testing.T) {
	f := newFake(t, line(20, "1.0", "a", "ERROR later"))
	a := rows(t, open(t, f.URL), query(severity(), -1))
	if asked := f.asked(); len(a.Rows) != 0 || a.Partial || len(asked) != 1 {
		t.Errorf("got %+v after %q", a, asked)
	}
}

func TestMustAppear(t *testing.T) {
	f := newFake(t,
		line(1, "1.0", "a", `{"msg":"Order \"7\" stored","trace_id":"`+trace+`"}`),
		line(2, "1.0", "a", "order lost"),
		line(3, "2.0", "b", `msg="order \"8\" STORED"`))
	signal := severity()
	signal.Logs = &analysis.LogSignal{MustAppear: `" stored`}
	a := rows(t, open(t, f.URL), query(signal, -1))
	if want := []string{"1.0/a 1 of 2", "2.0/b 1 of 1"}; !reflect.DeepEqual(of(a), want) {
		t.Errorf("got %q, want %q", of(a), want)
	}
}

// Errors are all read, of other lines the share of the fold; which part of it does not
// depend on what was written.
func TestShare(t *testing.T) {
	var lines []stored
	for i := range 1500 {
		for _, version := range []string{"1.0", "2.0"} {
			lines = append(lines, line(float64(i)/100+0.005, version, "pod-"+version, "request served", "level", "info"))
		}
	}
	lines = append(lines, line(0.001, "2.0", "pod-2.0", "ERROR first"), line(14.999, "2.0", "pod-2.0", "ERROR last"))
	f := newFake(t, lines...)
	s := open(t, f.URL)
	for _, test := range []struct{ share, lines, within float64 }{{0, 0, 0}, {0.1, 150, 2}, {0.5, 750, 2}, {1, 1500, 0}} {
		a := rows(t, s, query(templates(), test.share))
		served, failed := map[string]float64{}, 0.0
		for _, row := range a.Lines {
			if row.Severity >= analysis.SeverityError {
				failed += row.Lines
			} else {
				served[row.Values[1]] += row.Lines
			}
		}
		if failed != 2 || served["1.0"] != served["2.0"] || served["1.0"] < test.lines-test.within || served["1.0"] > test.lines+test.within {
			t.Errorf("share %v: read %v of 2 errors and %v of others", test.share, failed, served)
		}
		if want := 3002 - failed - 2*served["1.0"]; a.NotRead.Skipped != want || a.Partial {
			t.Errorf("share %v: skipped %v, want %v; partial %v", test.share, a.NotRead.Skipped, want, a.Partial)
		}
	}
	whole := spanOf(analysis.Fold{Start: at(0), End: at(15)})
	places := map[int64]bool{}
	for k := range 40 {
		fold := spanOf(analysis.Fold{Start: at(float64(15 * k)), End: at(float64(15*k + 15))})
		slice := sliceOf(fold, &analysis.LineQuery{Share: 0.1})
		if slice != sliceOf(fold, &analysis.LineQuery{Share: 0.1}) || slice.from < fold.from || slice.to > fold.to || slice.to-slice.from != (fold.to-fold.from)/10 {
			t.Errorf("slice %v of %v", slice, fold)
		}
		places[(slice.from-fold.from)/int64(time.Second)] = true
	}
	if len(places) < 10 {
		t.Errorf("slices lie at %d different seconds of their folds", len(places))
	}
	if got := sliceOf(whole, nil); got.from != got.to {
		t.Error("a slice is read where no lines are asked for")
	}
}

// Where there is more than one question may read, the rest is cut at one instant, of
// both arms, and the answer is partial.
func TestTruncation(t *testing.T) {
	var lines []stored
	for i := range 200 {
		for _, version := range []string{"1.0", "2.0"} {
			lines = append(lines, line(0.05+float64(i)/20, version, "pod-"+version, "ERROR broken", "trace_id", fmt.Sprintf("%032x", 1000*len(lines)+1)))
		}
	}
	f := newFake(t, lines...)
	s := open(t, f.URL, func(c *Config) { c.PageLines, c.MaxLines = 30, 100 })
	a := rows(t, s, query(severity(), -1))
	if len(a.Rows) != 2 || a.Rows[0].Bad != a.Rows[1].Bad || a.Rows[0].Bad < 40 || a.Rows[0].Bad > 60 {
		t.Errorf("got %q", of(a))
	}
	if !a.Partial || a.NotRead.Truncated == 0 || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "of both versions alike") {
		t.Errorf("got partial %v, %+v, %q", a.Partial, a.NotRead, a.Warnings)
	}
}

func TestPages(t *testing.T) {
	t.Run("many lines in one nanosecond", func(t *testing.T) {
		var lines []stored
		for i := range 90 {
			lines = append(lines, line(float64(1+i/30), "1.0", "a", fmt.Sprintf("ERROR number x%d", i), "trace_id", fmt.Sprintf("%032x", i+1)))
		}
		f := newFake(t, lines...)
		for _, page := range []int{20, 31, 45, 90, 91} {
			a := rows(t, open(t, f.URL, func(c *Config) { c.PageLines = page }), query(severity(), -1))
			if page > 30 && (a.Rows[0].Bad != 90 || a.Partial) {
				t.Errorf("pages of %d: got %q, partial %v", page, of(a), a.Partial)
			}
			if page == 20 && (!a.Partial || a.Rows[0].Bad != 0) { // no page has room for an instant
				t.Errorf("pages of %d: got %q, partial %v", page, of(a), a.Partial)
			}
		}
	})
	t.Run("the same line twice in one nanosecond is one of two requests", func(t *testing.T) {
		one, other := line(1, "1.0", "a", "ERROR x", "trace_id", strings.Repeat("ab", 16)), line(1, "1.0", "a", "ERROR x", "trace_id", strings.Repeat("cd", 16))
		a := rows(t, open(t, newFake(t, one, other).URL), query(severity(), -1))
		if a.Rows[0].Bad != 2 {
			t.Errorf("got %q", of(a))
		}
	})
	t.Run("answers that are too large are asked for in smaller pages", func(t *testing.T) {
		var lines []stored
		for i := range 100 {
			lines = append(lines, line(1+float64(i)/10, "1.0", "a", "ERROR "+strings.Repeat("x", 500), "trace_id", fmt.Sprintf("%032x", i+1)))
		}
		a := rows(t, open(t, newFake(t, lines...).URL, func(c *Config) { c.MaxBytes = 20_000 }), query(severity(), -1))
		if a.Rows[0].Bad != 100 || a.Partial {
			t.Errorf("got %q, partial %v", of(a), a.Partial)
		}
	})
}

func TestWarningsArePartial(t *testing.T) {
	f := newFake(t, line(1, "1.0", "a", "ERROR x"))
	f.warnings = []string{"one store did not answer"}
	a := rows(t, open(t, f.URL), query(severity(), -1))
	if !a.Partial || !reflect.DeepEqual(a.Warnings, f.warnings) {
		t.Errorf("partial %v, warnings %q", a.Partial, a.Warnings)
	}
	if _, err := open(t, f.URL).History(t.Context(), analysis.HistoryQuery{Signal: severity(), Matches: shop("1.0"), From: at(-600), To: at(60)}); sources.KindOf(err) != sources.Unavailable || err == nil {
		t.Errorf("history: %v", err)
	}
}

// Whatever an event calls its versions, exactly those are asked for.
func TestValuesAreLiterals(t *testing.T) {
	versions := []string{`1.0`, `1x0`, `a"b`, "a`b", "a\nb", `a\b`, `"} or {x="`, `.*`, `a|b`, `${x}`, `{{.}}`, "ä✓", ` | drop `, `\`, `"`}
	var lines []stored
	for i, v := range versions {
		for range i + 1 {
			lines = append(lines, line(1+float64(len(lines))/1000, v, "pod", "ERROR x", "trace_id", fmt.Sprintf("%032x", len(lines)+1)))
		}
	}
	f := newFake(t, lines...)
	s := open(t, f.URL)
	for i, v := range versions {
		for _, also := range []string{"", "no-such"} {
			q := query(severity(), -1)
			q.Matches[1].Values = []string{v}
			if also != "" {
				q.Matches[1].Values = []string{v, also}
			}
			a := rows(t, s, q)
			if len(a.Rows) != 1 || a.Rows[0].Bad != float64(i+1) || a.Rows[0].Values[1] != v {
				t.Errorf("version %q: got %q", v, of(a))
			}
		}
	}
	for _, v := range []string{"", strings.Repeat("x", maxValue+1), "\xff", "\uFFFD"} {
		q := query(severity(), -1)
		q.Matches[1].Values = []string{v}
		if _, err := s.Rows(t.Context(), q); sources.KindOf(err) != sources.Rejected || err == nil {
			t.Errorf("version %.20q: %v", v, err)
		}
	}
}
