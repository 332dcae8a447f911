package sourcetest

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
)

// futureCases: an answer as of a fold's end knows nothing after it, whenever asked.
func futureCases() []testCase {
	return []testCase{
		{
			// The later samples hold a restart, a new series and a new pod: each would
			// show if it were used.
			name: "no future",
			pods: []replay.Pod{
				startedAt(pod("nofuture", "2.0", "a", counts("200", 52, 10, 67, 30, 82, 5, 97, 6), counts("500", 82, 4, 97, 4)), -500, 70),
				pod("nofuture", "2.0", "b", counts("200", 82, 5, 97, 6)),
			},
			check: func(t *testing.T, s suite) {
				a := row("nofuture", "2.0", "a", 1, 0, 20)
				a.PodStart = at(-500)
				q := s.query("nofuture", fold(60, 75), "2.0")
				s.want(t, q, a)
				s.rows(t, s.query("nofuture", fold(75, 90), "2.0"))
				s.want(t, q, a) // asked again, later: the same
			},
		},
		{
			name: "random lives: every fold as the plain rule says, and as if later samples did not exist",
			pods: append(randomPods("random", 1), randomPods("random-too", 2)...),
			check: func(t *testing.T, s suite) {
				for _, service := range []string{"random", "random-too"} {
					for _, width := range []float64{15, 60} {
						for start := 0.0; start < 600; start += width {
							q := s.query(service, fold(start, start+width), "v1", "v2")
							s.same(t, s.rows(t, q), s.plain(t, q))
							if t.Failed() {
								t.Fatalf("%s, fold from %v to %v s", service, start, start+width)
							}
						}
					}
				}
			},
		},
		{
			name: "several may ask at once",
			pods: randomPods("busy", 3),
			check: func(t *testing.T, s suite) {
				var all sync.WaitGroup
				for i := range 8 {
					all.Go(func() {
						q := s.query("busy", fold(float64(60*i), float64(60*i+60)), "v1", "v2")
						answer, err := s.source.Rows(t.Context(), q)
						if err != nil {
							t.Errorf("rows: %v", err)
						}
						s.same(t, answer.Rows, s.plain(t, q))
					})
				}
				all.Wait()
			},
		},
	}
}

// plain answers q from the recording cut at the end of the fold.
func (s suite) plain(t *testing.T, q analysis.Query) []analysis.Row {
	source, err := replay.New(s.rec.Until(q.AsOf()))
	if err != nil {
		t.Errorf("replay: %v", err)
		return nil
	}
	q.Signal = s.neutral(q.Signal)
	answer, err := source.Rows(t.Context(), q)
	if err != nil {
		t.Errorf("replay: %v", err)
	}
	return answer.Rows
}

// pastCases: spacing, history and what was seen at all.
func pastCases() []testCase {
	return []testCase{
		{
			name: "spacing is the median between samples",
			pods: []replay.Pod{
				pod("spaced-15", "1.0", "a", counts("200", steady(7, 600, 15, 0, 10)...)),
				pod("spaced-15", "1.0", "b", counts("200", append(steady(3, 300, 15, 0, 10), steady(400, 600, 15, 900, 10)...)...)), // with a gap
				pod("spaced-60", "1.0", "a", counts("200", steady(7, 1200, 60, 0, 10)...)),
			},
			check: func(t *testing.T, s suite) {
				for service, want := range map[string]time.Duration{"spaced-15": 15 * time.Second, "spaced-60": time.Minute, "nobody": 0} {
					got, err := s.source.Spacing(t.Context(), analysis.SpacingQuery{
						Signal: s.Signal(errorRatio()), Matches: matches(service, "1.0"), From: at(0), To: at(1200),
					})
					if err != nil || got != want {
						t.Errorf("%s: got %v, %v, want %v", service, got, err, want)
					}
				}
			},
		},
		{
			name: "history is one-minute sums that end before To",
			pods: []replay.Pod{
				// 40 requests a minute; from minute 5 on one error every 30 s.
				pod("history", "1.0", "a", counts("200", steady(-53, 900, 15, 1000, 10)...), counts("500", steady(307, 900, 30, 1, 1)...)),
				// Restarts in minute 3; its samples lie on the minute and belong to the one before.
				pod("history", "1.0", "b", counts("200", -60, 500, 0, 510, 60, 520, 120, 530, 180, 540, 240, 7, 300, 20, 360, 40, 420, 60, 480, 80, 540, 100, 600, 900)),
				pod("history", "2.0", "c", counts("200", steady(-53, 900, 15, 1000, 10)...)),
			},
			check: checkHistory,
		},
		{
			name: "what was seen: versions and environments with their exposure",
			pods: []replay.Pod{
				pod("seen", "1.0", "a", counts("200", steady(-10, 700, 20, 0, 10)...), counts("500", steady(-10, 700, 20, 0, 1)...)),
				pod("seen", "1.0", "b", counts("200", steady(-10, 700, 20, 0, 10)...)),
				pod("seen", "1.1", "c", counts("200", steady(-10, 700, 20, 0, 10)...)),
				in(pod("seen", "1.1", "d", counts("200", steady(-10, 700, 20, 0, 20)...)), "staging"),
				pod("seen", "0.9", "gone", counts("200", steady(-900, -800, 20, 0, 20)...)),
				pod("seen", "1.2", "future", counts("200", steady(610, 700, 20, 0, 20)...)),
			},
			check: func(t *testing.T, s suite) {
				q := analysis.SeenQuery{Signal: s.Signal(errorRatio()), Service: "seen", From: at(0), To: at(600)}
				got, err := s.source.Seen(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				want := []analysis.Seen{
					{Service: "seen", Namespace: namespace, Environment: environment, Version: "1.0", Pods: 2, Exposure: 330 + 300},
					{Service: "seen", Namespace: namespace, Environment: environment, Version: "1.1", Pods: 1, Exposure: 300},
					{Service: "seen", Namespace: namespace, Environment: "staging", Version: "1.1", Pods: 1, Exposure: 600},
				}
				s.sameSeen(t, got, want)
				// Without a service: all of them, these included.
				q.Service = ""
				all, err := s.source.Seen(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				var own []analysis.Seen
				services := map[string]bool{}
				for _, one := range all {
					services[one.Service] = true
					if one.Service == "seen" {
						own = append(own, one)
					}
				}
				s.sameSeen(t, own, want)
				if !services["history"] {
					t.Errorf("service history was not seen: %v", services)
				}
				q.Service = "nobody"
				if none, err := s.source.Seen(t.Context(), q); err != nil || len(none) != 0 {
					t.Errorf("nobody: got %v, %v", none, err)
				}
			},
		},
	}
}

func checkHistory(t *testing.T, s suite) {
	q := analysis.HistoryQuery{Signal: s.Signal(errorRatio()), Matches: matches("history", "1.0"), From: at(0), To: at(570)}
	got, err := s.source.History(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	type key struct {
		minute int
		pod    string
	}
	want := map[key][2]float64{}
	for m := range 9 { // the minute from 540 to 600 is not over at To
		want[key{m, "a"}] = [2]float64{0, 40}
		if m >= 5 {
			want[key{m, "a"}] = [2]float64{2, 42}
		}
		want[key{m, "b"}] = [2]float64{0, 20}
	}
	for m, exposure := range []float64{10, 10, 10, 7, 13} { // the sample at 60 s is that of minute 0
		want[key{m, "b"}] = [2]float64{0, exposure}
	}
	found := map[key][2]float64{}
	for i, sum := range got {
		if i > 0 && !before(got[i-1], sum) {
			t.Errorf("not sorted: %v, then %v", got[i-1], sum)
		}
		if sum.Minute.Before(q.From) || sum.Minute.Add(time.Minute).After(q.To) {
			t.Errorf("minute %v lies outside [%v, %v)", sum.Minute, q.From, q.To)
		}
		if sum.Bad != 0 || sum.Exposure != 0 { // a minute without traffic may be told or left out
			found[key{int(sum.Minute.Sub(epoch) / time.Minute), sum.Pod}] = [2]float64{sum.Bad, sum.Exposure}
		}
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("minutes differ\n got: %v\nwant: %v", found, want)
	}
	q.Matches = matches("nobody", "1.0")
	if none, err := s.source.History(t.Context(), q); err != nil || len(none) != 0 {
		t.Errorf("nobody: got %v, %v", none, err)
	}
}

func before(a, b analysis.MinuteSum) bool {
	return a.Minute.Before(b.Minute) || a.Minute.Equal(b.Minute) && a.Pod < b.Pod
}

// sameSeen allows exposures to be off by 5 %: they only rank releases, and a
// product may have to estimate them.
func (s suite) sameSeen(t *testing.T, got, want []analysis.Seen) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("got %+v, want %+v", got, want)
		return
	}
	for i := range want {
		exposure := got[i].Exposure
		if exposure < want[i].Exposure*0.95 || exposure > want[i].Exposure*1.05 {
			t.Errorf("%+v: exposure %v, want %v", want[i], exposure, want[i].Exposure)
		}
		got[i].Exposure = want[i].Exposure
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}
