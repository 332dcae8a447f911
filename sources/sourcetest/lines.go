package sourcetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// logs is the signal of requests that wrote a line of a severity.
func logs(severity analysis.Severity) analysis.Signal {
	return analysis.Signal{Name: "logs", Source: "test", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: severity}}
}

// mustAppear is the signal of requests that wrote a text.
func mustAppear(text string) analysis.Signal {
	return analysis.Signal{Name: "logs-appear", Source: "test", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{MustAppear: text}}
}

// templates is the signal of all lines.
func templates() analysis.Signal {
	return analysis.Signal{Name: "log-templates", Source: "test", Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}}
}

// logged returns the pod with lines.
func logged(p replay.Pod, lines ...analysis.Line) replay.Pod {
	slices.SortStableFunc(lines, func(a, b analysis.Line) int { return a.Time.Compare(b.Time) })
	p.Lines = lines
	return p
}

// line is one that a request wrote, none if request is 0.
func line(second float64, severity analysis.Severity, request int, text string) analysis.Line {
	l := analysis.Line{Time: at(second), Severity: severity, Text: text}
	if request > 0 {
		l.TraceID = traceID(request)
	}
	return l
}

// traceID is the id of a request, with no look of order to it.
func traceID(request int) string {
	return fmt.Sprintf("%016x%016x", uint64(request)*0x9e3779b97f4a7c15, uint64(request)*0xbf58476d1ce4e5b9)
}

func (s suite) lines(service string, f analysis.Fold, signal analysis.Signal, versions ...string) analysis.Query {
	return analysis.Query{Signal: signal, Matches: matches(service, versions...), Fold: f, Since: f.Start.Add(-time.Hour)}
}

// ask asks a question about lines or spans and checks what holds for all answers.
func (s suite) ask(t *testing.T, q analysis.Query) analysis.Answer {
	t.Helper()
	answer, err := s.source.Rows(t.Context(), q)
	if err != nil {
		t.Fatalf("rows of %s: %v", q.Signal.Name, err)
	}
	if answer.Partial || len(answer.Warnings) > 0 {
		t.Errorf("answer is partial (%v) or warns: %q", answer.Partial, answer.Warnings)
	}
	if !slices.IsSortedFunc(answer.Rows, func(a, b analysis.Row) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), slices.Compare(a.Observed, b.Observed), slices.Compare(a.Stratum, b.Stratum))
	}) {
		t.Errorf("rows are not sorted: %s", show(answer.Rows))
	}
	if !slices.IsSortedFunc(answer.Lines, func(a, b analysis.LineRow) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Template, b.Template), cmp.Compare(a.Text, b.Text))
	}) {
		t.Errorf("lines are not sorted: %+v", answer.Lines)
	}
	return answer
}

// events wants rows of a signal of lines: who was heard, and how many requests wrote
// such a line. How many lines there were in all need not be told, nor when pods began.
func (s suite) events(t *testing.T, q analysis.Query, want ...analysis.Row) {
	t.Helper()
	got := s.ask(t, q).Rows
	for i := range got {
		got[i].Received, got[i].PodStart, got[i].Above = min(got[i].Received, 1), time.Time{}, nil
	}
	s.same(t, got, want)
}

// wrote is a wanted row of a pod that logged.
func wrote(service, version, pod string, events float64) analysis.Row {
	return row(service, version, pod, 1, events, 0)
}

// A count is what is wanted of the lines of a template or text.
type count struct {
	pod, what     string
	severity      analysis.Severity
	lines, events float64
}

func countsOf(rows []analysis.LineRow) (out []count) {
	for _, r := range rows {
		out = append(out, count{r.Pod, cmp.Or(r.Template, r.Text), r.Severity, r.Lines, r.Events})
	}
	return out
}

const (
	info    = analysis.SeverityInfo
	warn    = analysis.SeverityWarn
	failure = analysis.SeverityError
	fatal   = analysis.SeverityFatal
	unsaid  = analysis.SeverityUnknown
)

// lineCases: requests that wrote lines, and lines by template.
func lineCases() []testCase {
	return withLines([]testCase{
		{
			name: "requests with a line of a severity, once each, and seconds where there are no trace ids",
			pods: []replay.Pod{
				logged(pod("logs", "1.0", "a"),
					line(59.5, failure, 1, "cannot store"), line(60, failure, 2, "cannot store"), line(61.2, failure, 3, "cannot store"),
					line(61.4, failure, 3, "cannot reply"), line(63.2, failure, 4, "cannot store"), line(64, info, 5, "stored"),
					line(75, failure, 6, "cannot store"), line(76.5, failure, 7, "cannot store")),
				logged(pod("logs", "2.0", "b"), line(62, info, 8, "stored"), line(74.9, warn, 9, "slow")),
				logged(pod("logs", "2.0", "silent"), line(22, failure, 10, "cannot store")),
				logged(pod("logs-untraced", "2.0", "c"), line(62.2, failure, 0, "cannot store"), line(62.7, failure, 0, "cannot store"), line(64.1, failure, 0, "cannot reply"), line(64.5, info, 0, "stored")),
			},
			check: func(t *testing.T, s suite) {
				q := s.lines("logs", fold(60, 75), logs(failure), "1.0", "2.0")
				s.events(t, q, wrote("logs", "1.0", "a", 3), wrote("logs", "2.0", "b", 0))
				if s.ask(t, q).NoTraces {
					t.Error("there are trace ids")
				}
				s.events(t, s.lines("logs", fold(75, 90), logs(failure), "1.0", "2.0"), wrote("logs", "1.0", "a", 1))
				s.events(t, s.lines("logs", fold(45, 60), logs(failure), "1.0"), wrote("logs", "1.0", "a", 2))
				q = s.lines("logs-untraced", fold(60, 75), logs(failure), "2.0")
				s.events(t, q, wrote("logs-untraced", "2.0", "c", 2))
				if !s.ask(t, q).NoTraces {
					t.Error("there are no trace ids, and the answer does not say so")
				}
				if answer := s.ask(t, s.lines("nobody", fold(60, 75), logs(failure), "1.0")); len(answer.Rows)+len(answer.Lines) > 0 || answer.NoTraces {
					t.Errorf("nobody: %+v", answer)
				}
			},
		},
		{
			name: "a line at each severity",
			pods: []replay.Pod{logged(pod("severities", "1.0", "a"),
				line(61, analysis.SeverityTrace, 1, "in"), line(62, analysis.SeverityDebug, 2, "cache hit"), line(63, info, 3, "stored"),
				line(64, warn, 4, "slow"), line(65, failure, 5, "failed"), line(66, fatal, 6, "out of memory"))},
			check: func(t *testing.T, s suite) {
				for severity, want := range map[analysis.Severity]float64{info: 4, warn: 3, failure: 2, fatal: 1} {
					s.events(t, s.lines("severities", fold(60, 75), logs(severity), "1.0"), wrote("severities", "1.0", "a", want))
				}
			},
		},
		{
			name: "a text that must appear, in any case of letters",
			pods: []replay.Pod{
				logged(pod("appear", "1.0", "a"), line(61, info, 1, "Order stored in 3 ms"), line(62, info, 1, "order stored"), line(63, info, 2, "ORDER STORED"), line(64, info, 3, "order refused")),
				logged(pod("appear", "2.0", "b"), line(61, info, 4, "order refused")),
			},
			check: func(t *testing.T, s suite) {
				s.events(t, s.lines("appear", fold(60, 75), mustAppear("order stored"), "1.0", "2.0"), wrote("appear", "1.0", "a", 2), wrote("appear", "2.0", "b", 0))
			},
		},
		{
			name: "lines by template, and by their masked text where there is none",
			pods: []replay.Pod{
				logged(pod("templates", "1.0", "a"), line(61, info, 1, "order 17 stored for customer"), line(62, info, 2, "order 18 stored for customer"), line(62.5, info, 2, "order 19 stored for customer")),
				logged(pod("templates", "2.0", "b"), line(61, info, 3, "order 20 stored for customer"), line(63, failure, 4, "payment 12 refused by bank"), line(64, failure, 5, "payment 13 refused by bank"),
					line(76, failure, 6, "payment 14 refused by bank")),
			},
			check: checkTemplates,
		},
		{
			name: "JSON, logfmt and plain words are read alike",
			pods: []replay.Pod{
				logged(pod("wrapped", "1.0", "json"), line(61, unsaid, 0, `{"level":"error","msg":"cannot reach the database","trace_id":"`+traceID(1)+`"}`)),
				logged(pod("wrapped", "1.0", "logfmt"), line(61, unsaid, 0, `level=error msg="cannot reach the database" trace_id=`+traceID(2))),
				logged(pod("wrapped", "1.0", "plain"), line(61, unsaid, 0, `2026-03-02T10:01:01Z ERROR cannot reach the database`)),
			},
			check: func(t *testing.T, s suite) {
				q := s.lines("wrapped", fold(60, 75), logs(failure), "1.0")
				s.events(t, q, wrote("wrapped", "1.0", "json", 1), wrote("wrapped", "1.0", "logfmt", 1), wrote("wrapped", "1.0", "plain", 1))
				q.Signal, q.Lines = templates(), &analysis.LineQuery{Share: 1}
				answer := s.ask(t, q)
				var want []count
				for _, pod := range []string{"json", "logfmt", "plain"} {
					want = append(want, count{pod, "cannot reach the database", failure, 1, 1})
				}
				if got := countsOf(answer.Lines); !reflect.DeepEqual(got, want) {
					t.Errorf("lines\n got %+v\nwant %+v", got, want)
				}
				for i, want := range []string{traceID(1), traceID(2), ""} {
					if i < len(answer.Lines) && (answer.Lines[i].Example == nil || answer.Lines[i].Example.TraceID != want) {
						t.Errorf("the example of %s has not the trace id %q: %+v", answer.Lines[i].Pod, want, answer.Lines[i].Example)
					}
				}
			},
		},
		{
			name: "a stack trace in several entries is one line",
			pods: []replay.Pod{logged(pod("stacks", "1.0", "a"),
				line(61, failure, 1, "cannot add: cart is closed"), line(61.001, unsaid, 0, "\tat com.shop.Cart.add(Cart.java:17)"),
				line(61.002, unsaid, 0, "\tat com.shop.Shop.buy(Shop.java:4)"), line(61.003, unsaid, 0, "\t... 12 more"), line(62, info, 2, "stored"))},
			check: func(t *testing.T, s suite) {
				q := s.lines("stacks", fold(60, 75), templates(), "1.0")
				q.Lines = &analysis.LineQuery{Share: 1}
				want := []count{{"a", "cannot add: cart is closed", failure, 1, 1}, {"a", "stored", info, 1, 1}}
				if got := countsOf(s.ask(t, q).Lines); !reflect.DeepEqual(got, want) {
					t.Errorf("lines\n got %+v\nwant %+v", got, want)
				}
				s.events(t, s.lines("stacks", fold(60, 75), logs(failure), "1.0"), wrote("stacks", "1.0", "a", 1))
			},
		},
		{
			name: "lines: no future, whenever asked",
			pods: []replay.Pod{
				logged(pod("logs-later", "1.0", "a"), line(61, failure, 1, "failed once"), line(76, failure, 1, "failed again"), line(77, failure, 2, "failed once")),
				logged(pod("logs-later", "1.0", "b"), line(80, failure, 3, "failed once")),
			},
			check: func(t *testing.T, s suite) {
				q := s.lines("logs-later", fold(60, 75), templates(), "1.0")
				q.Lines = &analysis.LineQuery{Share: 1}
				first := s.ask(t, q)
				if want := []count{{"a", "failed once", failure, 1, 1}}; !reflect.DeepEqual(countsOf(first.Lines), want) {
					t.Errorf("lines\n got %+v\nwant %+v", countsOf(first.Lines), want)
				}
				later := q
				later.Fold = fold(75, 90)
				s.ask(t, later)
				first.Rendered = nil
				again := s.ask(t, q)
				again.Rendered = nil
				if !sameJSON(first, again) {
					t.Errorf("the answer changed:\n%+v\n%+v", first, again)
				}
			},
		},
		{
			name: "lines of several services in one question",
			pods: []replay.Pod{
				logged(pod("merged-one", "1.0", "a"), line(61, failure, 1, "failed")),
				logged(pod("merged-two", "1.0", "a"), line(61, failure, 1, "failed"), line(62, failure, 2, "failed")),
				logged(pod("merged-three", "1.0", "a"), line(61, failure, 1, "failed")),
				logged(in(pod("merged-one", "1.0", "s", line61()), "staging"), line(61, failure, 1, "failed")),
			},
			check: func(t *testing.T, s suite) {
				q := s.lines("merged-one", fold(60, 75), logs(failure), "1.0", "2.0")
				q.Matches[1].Values = []string{"merged-one", "merged-two"}
				s.events(t, q, wrote("merged-one", "1.0", "a", 1), wrote("merged-two", "1.0", "a", 2))
				if s.ReportsObserved {
					q.Observe = []string{podHash}
					one, two := wrote("merged-one", "1.0", "a", 1), wrote("merged-two", "1.0", "a", 2)
					one.Observed, two.Observed = []string{"hash-of-1.0"}, []string{"hash-of-1.0"}
					s.events(t, q, one, two)
				}
			},
		},
		{
			name: "a pod that says nothing but sends metrics is alive",
			pods: []replay.Pod{
				logged(pod("quiet", "1.0", "a", counts("200", 52, 10, 67, 12)), line(62, failure, 1, "failed")),
				pod("quiet", "1.0", "b", counts("200", 52, 10, 67, 12)),
				pod("quiet", "1.0", "gone", counts("200", 22, 10)),
			},
			check: func(t *testing.T, s suite) {
				b := row("quiet", "1.0", "b", 0, 0, 0)
				b.Fresh = true
				s.events(t, s.lines("quiet", fold(60, 75), logs(failure), "1.0"), wrote("quiet", "1.0", "a", 1), b)
			},
		},
		{
			name: "no secret is told",
			pods: []replay.Pod{logged(pod("secrets", "1.0", "a"),
				line(61, failure, 1, "login of bob.miller@example.com failed"), line(62, failure, 2, "connect with password=hunter2secret refused"),
				line(63, info, 3, "paid with card 4111111111111111"), line(64, failure, 4, `{"level":"error","msg":"bad header","authorization":"Bearer abcdefGHIJKL0123456789"}`),
				line(65, failure, 5, "denied: Authorization: Bearer zyxwvuTSRQPO9876543210"))},
			check: func(t *testing.T, s suite) {
				q := s.lines("secrets", fold(60, 75), templates(), "1.0")
				q.Lines = &analysis.LineQuery{Share: 1}
				answer := s.ask(t, q)
				if len(answer.Lines) < 5 {
					t.Errorf("%d texts, want 5: %+v", len(answer.Lines), answer.Lines)
				}
				sampled := s.sample(t, "secrets", 0, 120)
				told, err := json.Marshal([]any{answer, sampled})
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range []string{"bob.miller", "hunter2secret", "4111111111111111", "abcdefGHIJKL0123456789", "zyxwvuTSRQPO9876543210"} {
					if strings.Contains(string(told), secret) {
						t.Errorf("the answer tells %q: %s", secret, told)
					}
				}
			},
		},
		{
			name: "the history, the spacing and the releases of lines",
			pods: []replay.Pod{
				logged(pod("logs-past", "1.0", "a"), past(0, 1)...),
				logged(pod("logs-past", "1.0", "b"), past(500, 0)...),
				logged(pod("logs-past", "2.0", "c"), line(1300, failure, 999, "failed")),
			},
			check: checkPastOfLines,
		},
	})
}
