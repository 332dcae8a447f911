package sourcetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
)

// line61 is a series that lives, for a pod that is told apart by more than lines.
func line61() replay.Series { return cpu(52, 1, 67, 2) }

// withLines leaves out the checks of sources that know no lines.
func withLines(cases []testCase) []testCase {
	for i, c := range cases {
		cases[i].check = func(t *testing.T, s suite) {
			if s.Lines {
				c.check(t, s)
			} // else see "what the source does not answer it rejects"
		}
	}
	return cases
}

func sameJSON(a, b any) bool {
	one, err := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err == nil && err2 == nil && string(one) == string(two)
}

func checkTemplates(t *testing.T, s suite) {
	const known = "t-orders"
	set := &analysis.TemplateSet{Templates: []analysis.Template{{ID: "t-carts", Text: "cart emptied", Severity: info}, {ID: known, Text: "order <*> stored for customer", Severity: info}}}
	q := s.lines("templates", fold(60, 75), templates(), "1.0", "2.0")
	q.Lines = &analysis.LineQuery{Templates: set, Share: 1}
	want := []count{{"a", known, info, 3, 2}, {"b", "payment <*> refused by bank", failure, 2, 2}, {"b", known, info, 1, 1}}
	answer := s.ask(t, q)
	if got := countsOf(answer.Lines); !reflect.DeepEqual(got, want) {
		t.Errorf("lines\n got %+v\nwant %+v", got, want)
	}
	for _, row := range answer.Lines {
		if want := []string{environment, "templates", map[string]string{"a": "1.0", "b": "2.0"}[row.Pod]}; !slices.Equal(row.Values, want) {
			t.Errorf("values %q, want %q", row.Values, want)
		}
		e := row.Example
		if e == nil {
			t.Fatalf("no example: %+v", row)
		}
		if row.Text != "" && (e.Text != "payment 12 refused by bank" || !e.Time.Equal(at(63)) || e.TraceID != traceID(4) || e.Severity != failure) {
			t.Errorf("the example is not the first line: %+v", e)
		}
	}
	q.Lines = &analysis.LineQuery{Share: 1}
	want = []count{{"a", "order <*> stored for customer", info, 3, 2}, {"b", "order <*> stored for customer", info, 1, 1}, {"b", "payment <*> refused by bank", failure, 2, 2}}
	if got := countsOf(s.ask(t, q).Lines); !reflect.DeepEqual(got, want) {
		t.Errorf("without templates\n got %+v\nwant %+v", got, want)
	}
}

// past is ten minutes of one line each 20 s; failures of every third of them fail.
func past(request, failures int) (lines []analysis.Line) {
	for i := range 60 {
		severity, text := info, "stored"
		if failures > 0 && i%3 == 0 {
			severity, text = failure, "cannot store"
		}
		lines = append(lines, line(5+20*float64(i), severity, request+i+1, text))
	}
	return lines
}

func (s suite) sample(t *testing.T, service string, from, to float64) []analysis.Line {
	t.Helper()
	sampler, ok := s.source.(sources.LineSampler)
	if !ok {
		t.Fatalf("%T answers questions about lines and is no sources.LineSampler", s.source)
	}
	lines, err := sampler.SampleLines(t.Context(), analysis.LineSampleQuery{Signal: templates(), Matches: matches(service, "1.0"), From: at(from), To: at(to), Slices: 4, Lines: 50})
	if err != nil {
		t.Fatalf("sample: %v", err)
	}
	if len(lines) > 200 || !slices.IsSortedFunc(lines, func(a, b analysis.Line) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Text, b.Text))
	}) {
		t.Errorf("too many lines, or out of order: %+v", lines)
	}
	for _, l := range lines {
		if l.Time.Before(at(from)) || !l.Time.Before(at(to)) {
			t.Errorf("a line of %v lies outside of what was asked for", l.Time)
		}
	}
	return lines
}

func checkPastOfLines(t *testing.T, s suite) {
	q := analysis.HistoryQuery{Signal: logs(failure), Matches: matches("logs-past", "1.0"), From: at(60), To: at(330)}
	got, err := s.source.History(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]float64{}
	for i, sum := range got {
		if i > 0 && !before(got[i-1], sum) {
			t.Errorf("not sorted: %v, then %v", got[i-1], sum)
		}
		if sum.Minute.Before(q.From) || sum.Minute.Add(time.Minute).After(q.To) || sum.Exposure != 0 {
			t.Errorf("minute %+v", sum)
		}
		events[sum.Minute.UTC().Format("04 ")+sum.Pod] += sum.Bad
	}
	for minute := 1; minute <= 4; minute++ { // one line in three fails, three are written in a minute
		key := fmt.Sprintf("%02d ", minute)
		if events[key+"a"] != 1 || events[key+"b"] != 0 {
			t.Errorf("minute %d: got %v and %v failed requests, want 1 and 0", minute, events[key+"a"], events[key+"b"])
		}
	}
	spacing, err := s.source.Spacing(t.Context(), analysis.SpacingQuery{Signal: logs(failure), Matches: matches("logs-past", "1.0"), From: at(0), To: at(600)})
	if err != nil || spacing != 15*time.Second {
		t.Errorf("spacing: got %v, %v, want 15 s: lines have no clock", spacing, err)
	}
	spacing, err = s.source.Spacing(t.Context(), analysis.SpacingQuery{Signal: logs(failure), Matches: matches("nobody", "1.0"), From: at(0), To: at(600)})
	if err != nil || spacing != 0 {
		t.Errorf("spacing of nobody: got %v, %v", spacing, err)
	}
	seen, err := s.source.Seen(t.Context(), analysis.SeenQuery{Signal: logs(failure), Service: "logs-past", From: at(0), To: at(600)})
	if err != nil || len(seen) != 1 || seen[0].Version != "1.0" || seen[0].Pods != 2 || seen[0].Service != "logs-past" || seen[0].Environment != environment || seen[0].Exposure <= 0 {
		t.Errorf("seen: got %+v, %v, want version 1.0 with two pods", seen, err)
	}
	words := map[string]bool{}
	for _, l := range s.sample(t, "logs-past", 0, 600) {
		words[l.Text] = true
	}
	if !words["stored"] || !words["cannot store"] || words["failed"] {
		t.Errorf("sampled %v, want what was stored and what was not, and nothing of later", words)
	}
}
