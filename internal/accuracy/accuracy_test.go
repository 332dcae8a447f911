package accuracy

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

var recordings = filepath.Join("..", "..", "testdata", "recordings")

func sampleScenario(t *testing.T) Scenario {
	t.Helper()
	all, err := ReadDelag(filepath.Join(recordings, "delag-trainticket"))
	if err != nil || len(all) != 1 {
		t.Fatalf("%d scenarios, %v", len(all), err)
	}
	return all[0]
}

func TestReadDelag(t *testing.T) {
	s := sampleScenario(t)
	if s.Name != "207" || len(s.Calls) != 15 || s.Calls[0] != wholeRequest {
		t.Errorf("scenario %s with the calls %v", s.Name, s.Calls)
	}
	clean, first, second := len(s.Clean), len(s.Delayed[0]), len(s.Delayed[1])
	if clean < 2000 || first < 200 || second < 200 || first+second > clean/3 {
		t.Errorf("%d clean requests, %d and %d delayed ones", clean, first, second)
	}
	for _, r := range slices.Concat(s.Clean, s.Delayed[0], s.Delayed[1]) {
		if len(r) != len(s.Calls) || slices.Max(r) != r[0] {
			t.Fatalf("a request took %v: no call takes longer than the whole", r)
		}
	}
}

// TestDraw: no request is drawn twice, as many are slow as asked for, and the seed
// decides all of it.
func TestDraw(t *testing.T) {
	s := sampleScenario(t)
	slow := map[*float64]bool{}
	for _, r := range s.Delayed[1] {
		slow[&r[0]] = true
	}
	d := s.Draw(.1, 1, 3)
	seen := map[*float64]bool{}
	delayed := 0
	for i, r := range slices.Concat(d.New, d.Old, d.History) {
		if seen[&r[0]] {
			t.Fatal("a request was drawn twice")
		}
		seen[&r[0]] = true
		if slow[&r[0]] {
			delayed++
			if i >= newRequests {
				t.Fatal("the old version has a delayed request")
			}
		}
	}
	if delayed != 20 || len(d.New) != 200 || len(d.Old) != 500 || len(seen) != 20+len(s.Clean) {
		t.Errorf("%d of %d new and %d old requests are delayed, of all %d", delayed, len(d.New), len(d.Old), len(seen))
	}
	if again := s.Draw(.1, 1, 3); !reflect.DeepEqual(d, again) {
		t.Error("the same seed draws something else")
	}
	if other := s.Draw(.1, 1, 4); reflect.DeepEqual(d.New, other.New) {
		t.Error("another seed draws the same")
	}
	if d.Truth != Bad || s.Draw(0, 0, 1).Truth != Harmless {
		t.Error("only a release without delays is harmless")
	}
}

func TestDelagIsJudged(t *testing.T) {
	s := sampleScenario(t)
	for _, c := range []struct {
		share float64
		want  verdicts.Word
	}{{0, verdicts.Hold}, {.2, verdicts.Rollback}, {1, verdicts.Rollback}} {
		d := s.Draw(c.share, 0, 1)
		a, err := d.Judge()
		if err != nil {
			t.Fatal(err)
		}
		if a.Word != c.want {
			t.Errorf("f = %v: %s (%s: %s), want %s", c.share, a.Word, a.Code, a.Why, c.want)
		}
		if again, err := d.Judge(); err != nil || again != a {
			t.Errorf("judged twice: %+v and %+v, %v", a, again, err)
		}
		if naive := RankTest(d); c.share != .2 && (naive.Word == verdicts.Rollback) != (c.share == 1) {
			t.Errorf("f = %v: the rank test answers %s", c.share, naive.Word)
		}
	}
}

func sampleDay(t *testing.T) Day {
	t.Helper()
	d, err := ReadDay("2022-08-22", filepath.Join(recordings, "nezha-onlineboutique"), "frontend.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadDay(t *testing.T) {
	d := sampleDay(t)
	if len(d.At) != 1209 || len(d.Faults) == 0 {
		t.Fatalf("%d minutes, %d faults", len(d.At), len(d.Faults))
	}
	i := slices.IndexFunc(d.At, func(at time.Time) bool { return at.Equal(time.Date(2022, 8, 22, 4, 4, 19, 0, time.UTC)) })
	if i < 0 || d.Requests[i] != 628 || d.Failed[i] != 280 {
		t.Errorf("in the third minute of the fault %v of %v requests failed, want 280 of 628", d.Failed[max(i, 0)], d.Requests[max(i, 0)])
	}
	want := Fault{time.Date(2022, 8, 22, 4, 2, 7, 0, time.UTC), "frontend-579b9bff58-t2dbm", "return"}
	if d.Faults[1] != want {
		t.Errorf("the second fault is %+v, want %+v", d.Faults[1], want)
	}
}

// TestBoutiqueCases: placebos keep their distance, history knows no fault, and nothing
// is heard of a case once the next fault has begun.
func TestBoutiqueCases(t *testing.T) {
	d := sampleDay(t)
	cases := d.Recorded()
	truths := map[Truth]int{}
	services := map[string]bool{}
	for _, c := range cases {
		truths[c.Truth]++
		if services[c.Service] {
			t.Errorf("%s: two cases of one service", c.Service)
		}
		services[c.Service] = true
		for _, at := range c.before.at {
			if at.After(c.StartedAt) || at.Before(c.StartedAt.Add(-Past)) || d.duringFault(at) {
				t.Fatalf("%s has %s in its history", c.Name, at)
			}
		}
		for _, f := range d.Faults {
			if c.Truth == Harmless && f.At.Sub(c.StartedAt).Abs() < quiet-time.Second {
				t.Fatalf("%s is a placebo next to %s", c.Name, f.At)
			}
			if n := c.after.len(); n > 0 && f.At.After(c.StartedAt) && c.after.at[n-1].After(f.At) {
				t.Fatalf("%s goes on until %s, beyond the fault at %s", c.Name, c.after.at[n-1], f.At)
			}
		}
		if c.after.len() > Deadline+1 {
			t.Fatalf("%s has %d points", c.Name, c.after.len())
		}
	}
	if truths[Bad] != 6 || truths[Bad]+truths[Elsewhere] != len(d.Faults) || truths[Harmless] < 200 {
		t.Errorf("cases by truth: %v of %d faults", truths, len(d.Faults))
	}
}

func sampleIssue(t *testing.T) Issue {
	t.Helper()
	i, err := ReadIssue(filepath.Join(recordings, "petshop"))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestReadIssue(t *testing.T) {
	i := sampleIssue(t)
	r := i.Recorded("petshop-issue-0000")
	if i.entry.len() != 5 || r.before.len() != 2 || r.after.len() != 3 {
		t.Fatalf("%d points, %d before and %d after", i.entry.len(), r.before.len(), r.after.len())
	}
	if i.Metric != "availability" && i.Metric != "latency" || i.Kind == "" || i.Cause == "" {
		t.Errorf("the issue is %+v", i)
	}
	for command, want := range map[string]string{
		"sed -i s/a/b/ x && cdk deploy Services": "code", "aws ssm put-parameter --name /petstore/errormode1": "configuration", "ddb flood": "flood",
	} {
		if got := kindOf(command); got != want {
			t.Errorf("%q is %s, want %s", command, got, want)
		}
	}
}

func TestSeriesAreCumulative(t *testing.T) {
	at := []time.Time{time.Unix(60, 0), time.Unix(120, 0), time.Unix(180, 0)}
	counts := cumulative(at, []float64{5, math.NaN(), 7})
	if want := []Sample{{at[0], 5}, {at[2], 12}}; !slices.Equal(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	if levels := gauge(at, []float64{5, math.NaN(), 7}); len(levels) != 2 || levels[1].Value != 7 {
		t.Errorf("levels %v", levels)
	}
	name := filepath.Join(t.TempDir(), "metrics.txt")
	err := WriteOpenMetrics(name, []Series{
		{"b_total", map[string]string{"pod": "x", "job": "y"}, counts}, {"a", nil, gauge(at[:1], []float64{.5})}, {"b_total", map[string]string{"pod": "z"}, counts[:1]},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	want := "# TYPE a unknown\na{} 0.5 60.000\n# TYPE b_total unknown\nb_total{job=\"y\",pod=\"x\"} 5 60.000\nb_total{job=\"y\",pod=\"x\"} 12 180.000\nb_total{pod=\"z\"} 5 60.000\n# EOF\n"
	if err != nil || string(text) != want {
		t.Errorf("written %q, %v, want %q", text, err, want)
	}
}

func TestNaiveRules(t *testing.T) {
	steady := func(n int, failed, latency float64) (p points) {
		for i := range n {
			p.add(time.Unix(int64(60*i), 0), 100, failed, latency)
		}
		return p
	}
	calm := Quiet{entry: steady(100, 1, .1)}
	for _, c := range []struct {
		name          string
		after         points
		shift, beyond verdicts.Word
	}{
		{"the same", steady(3, 1, .1), verdicts.Promote, verdicts.Promote},
		{"a little worse", steady(3, 1.4, .14), verdicts.Promote, verdicts.Rollback},
		{"failing", steady(3, 2, .1), verdicts.Rollback, verdicts.Rollback},
		{"slow", steady(3, 1, .2), verdicts.Rollback, verdicts.Rollback},
		{"late", points{}, verdicts.Promote, verdicts.Promote},
	} {
		r := Recorded{before: steady(5, 1, .1), after: c.after}
		if got := MeanShift(r).Word; got != c.shift {
			t.Errorf("%s: mean shift answers %s, want %s", c.name, got, c.shift)
		}
		if got := BeyondUsual(r, calm).Word; got != c.beyond {
			t.Errorf("%s: beyond usual answers %s, want %s", c.name, got, c.beyond)
		}
	}
}

func TestReport(t *testing.T) {
	s := Section{Title: "A", Text: "Cases.", Rule: "none.", Notes: []string{"A note."}}
	start := time.Unix(0, 0)
	add := func(group string, truth Truth, word verdicts.Word, code analysis.Code, n int) {
		for range n {
			s.Table.Add(Answer{Case: Case{Name: "case", Group: group, Truth: truth, StartedAt: start}, Word: word, Code: code, At: start.Add(3 * time.Minute), Why: "why"})
		}
	}
	add("placebo", Harmless, verdicts.Hold, analysis.Collecting, 98)
	add("placebo", Harmless, verdicts.Rollback, analysis.HarmShown, 2)
	add("fault", Bad, verdicts.Rollback, analysis.HarmShown, 6)
	add("fault", Bad, verdicts.Hold, analysis.Underpowered, 4)
	add("network", Elsewhere, verdicts.Hold, analysis.Collecting, 1)
	s.Naive.Add(naively(Case{Group: "fault", Truth: Bad}, true))
	text := Report([]Section{s})
	for _, line := range []string{
		"| harmless | 0 | 2 | 98 |", "| bad | 0 | 6 | 4 |", "| disturbed by others | 0 | 0 | 1 |",
		"- precision: 6 of 8 (40.9 to 92.9 %)", "- recall: 6 of 10 (31.3 to 83.2 %)", "- false rollbacks: 2 of 100 (0.6 to 7.0 %)",
		"| fault | 10 | 0 | 6 | 4 | 3m0s | 1 of 1 | harm_shown 6, underpowered 4 |", "| network | 1 | 0 | 0 | 1 | – | – | collecting 1 |",
		"- case: rollback: why", "A note.",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the report lacks %q:\n%s", line, text)
		}
	}
	missed := Missed(s.Table, s.Table, s.Table)
	if len(missed) == 0 || !strings.Contains(strings.Join(missed, "\n"), "delag, harmless: 2 of 100 rolled back, at most 0.01 expected") {
		t.Errorf("missed: %q", missed)
	}
}

// TestBrokenRecordings: what cannot be is said with its place, not judged.
func TestBrokenRecordings(t *testing.T) {
	head := "Latency,call,anomaly\n"
	for name, c := range map[string]struct{ text, want string }{
		"negative": {head + "-1,1,0\n", "row 2: Latency took -1 ms"},
		"anomaly":  {head + "3,1,7\n", "anomaly 7"},
		"number":   {head + "x,1,0\n", "row 2, Latency"},
		"column":   {"Latency,call\n3,1\n", `no column "anomaly"`},
		"few":      {head + "3,1,0\n", "1 clean requests are too few"},
		"empty":    {head, "no rows"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseScenario("x.csv", strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	for _, read := range []func(string) error{
		func(dir string) error { _, err := ReadDelag(dir); return err },
		func(dir string) error { _, err := ReadBoutique(dir); return err },
		func(dir string) error { _, _, err := ReadPetshop(dir); return err },
	} {
		if err := read(t.TempDir()); err == nil {
			t.Error("an empty folder is no recording")
		}
	}
}
