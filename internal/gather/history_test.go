package gather

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// minutes is a source of history that has a sum for every minute.
func minutes(f *fake) (asked func() int) {
	var mu sync.Mutex
	n := 0
	f.history = func(_ context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, err error) {
		mu.Lock()
		defer mu.Unlock()
		n++
		for at := q.From.Add(time.Minute - 1).Truncate(time.Minute); !at.Add(time.Minute).After(q.To); at = at.Add(time.Minute) {
			sums = append(sums, analysis.MinuteSum{Minute: at, Pod: "a", Exposure: 1})
		}
		return sums, nil
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func historyOf(from, to time.Time) analysis.HistoryQuery {
	return analysis.HistoryQuery{Signal: signal("prom"), Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}}, From: from, To: to}
}

func checkMinutes(t *testing.T, sums []analysis.MinuteSum, from, to time.Time) {
	t.Helper()
	if want := int(to.Sub(from) / time.Minute); len(sums) != want {
		t.Fatalf("%d minutes, want %d", len(sums), want)
	}
	for i, s := range sums {
		if !s.Minute.Equal(from.Add(time.Duration(i) * time.Minute)) {
			t.Fatalf("minute %d is %v", i, s.Minute)
		}
	}
}

func TestHistoryIsKeptByTheWindow(t *testing.T) {
	f := new(fake)
	asked := minutes(f)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	from, to := noon.Add(-24*time.Hour+20*time.Minute), noon.Add(20*time.Minute)
	for _, test := range []struct {
		name     string
		from, to time.Time
		want     int // questions
	}{
		{"first", from, to, 5},
		{"again: what is at both ends is asked again", from, to, 2},
		{"a minute later", from.Add(time.Minute), to.Add(time.Minute), 2},
		{"the last window is not settled", noon.Add(-12 * time.Hour), noon.Add(span), 1},
		{"nor is it now", noon, noon.Add(span), 1},
		{"now it is, and is asked once more", noon, noon.Add(span + settled), 2},
		{"kept", noon, noon.Add(span + settled), 1},
		{"nothing", noon, noon, 0},
	} {
		before := asked()
		g.Advance(test.to)
		sums, err := g.History(context.Background(), historyOf(test.from, test.to))
		if err != nil || asked()-before != test.want {
			t.Fatalf("%s: %d questions, want %d (%v)", test.name, asked()-before, test.want, err)
		}
		checkMinutes(t, sums, test.from, test.to)
	}
	other := historyOf(from, to)
	other.Signal.Name = "the same by another name"
	before := asked()
	if _, err := g.History(context.Background(), other); err != nil || asked()-before != 2 {
		t.Errorf("another name: %d questions, %v", asked()-before, err)
	}
	other.Matches[0].Values = []string{"cart"}
	if _, err := g.History(context.Background(), other); err != nil || asked()-before != 7 {
		t.Errorf("another service: %d questions, %v", asked()-before, err)
	}
}

func TestHistoryKeepsItsBudget(t *testing.T) {
	f := new(fake)
	minutes(f)
	g := New(table(map[string]*fake{"prom": f}), Options{HistorySums: 1200})
	sums, err := g.History(context.Background(), historyOf(noon.Add(-24*time.Hour), noon))
	if err != nil {
		t.Fatal(err)
	}
	checkMinutes(t, sums, noon.Add(-3*span), noon)
}

func TestTheCacheIsLimited(t *testing.T) {
	f := new(fake)
	asked := minutes(f)
	g := New(table(map[string]*fake{"prom": f}), Options{CachedSums: 4*361 + 1})
	to := noon.Add(settled)
	g.Advance(to)
	for range 3 {
		if _, err := g.History(context.Background(), historyOf(noon.Add(-48*time.Hour), to)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.history.windows); n != 4 || g.history.used.Len() != 4 || g.history.sums != 4*361 {
		t.Errorf("%d windows with %d sums are kept", n, g.history.sums)
	}
	before := asked()
	if _, err := g.History(context.Background(), historyOf(noon.Add(-24*time.Hour), noon.Add(-20*time.Hour).Add(settled))); err != nil || asked()-before != 1 {
		t.Errorf("the windows used last were asked again: %d, %v", asked()-before, err)
	}
}

func TestHistoryIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		asked := minutes(f)
		answer := f.history
		release := make(chan struct{})
		f.history = func(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
			<-release
			return answer(ctx, q)
		}
		g := New(table(map[string]*fake{"prom": f}), Options{})
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if sums, err := g.History(context.Background(), historyOf(noon.Add(-time.Hour), noon)); err != nil || len(sums) != 60 {
					t.Errorf("%d minutes, %v", len(sums), err)
				}
			})
		}
		synctest.Wait()
		close(release)
		wait.Wait()
		if asked() != 1 {
			t.Errorf("%d questions", asked())
		}
	})
}

// One who gives up does not take the others with him.
func TestHistoryOutlivesItsAsker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fake)
		minutes(f)
		answer := f.history
		asked := 0
		f.history = func(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
			if asked++; asked > 1 {
				return answer(ctx, q)
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		g := New(table(map[string]*fake{"prom": f}), Options{})
		q := historyOf(noon.Add(-time.Hour), noon)
		hasty, give := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := g.History(hasty, q); err == nil || sources.KindOf(err) != sources.Unavailable {
				t.Errorf("the hasty one got %v", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if sums, err := g.History(context.Background(), q); err != nil || len(sums) != 60 {
				t.Errorf("the patient one got %d minutes, %v", len(sums), err)
			}
		})
		synctest.Wait() // it waits for the hasty one's answer
		if asked != 1 {
			t.Errorf("%d questions while one is open", asked)
		}
		give()
		wait.Wait()
	})
}

// A source that fails is not asked again by everybody who waited.
func TestHistoryFailsForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, release := 0, make(chan struct{})
		f := &fake{history: func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
			asked++
			<-release
			return nil, errors.New("no")
		}}
		g := New(table(map[string]*fake{"prom": f}), Options{})
		var wait sync.WaitGroup
		for range 20 {
			wait.Go(func() {
				if _, err := g.History(context.Background(), historyOf(noon.Add(-time.Hour), noon)); err == nil {
					t.Error("no error")
				}
			})
		}
		synctest.Wait()
		close(release)
		wait.Wait()
		if asked != 1 {
			t.Errorf("%d questions", asked)
		}
	})
}

func TestHistoryFails(t *testing.T) {
	n := 0
	f := &fake{history: func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
		n++
		return nil, errors.New("no")
	}}
	g := New(table(map[string]*fake{"prom": f}), Options{})
	for range 2 {
		if _, err := g.History(context.Background(), historyOf(noon.Add(-3*time.Hour), noon)); err == nil || sources.KindOf(err) != sources.Unavailable {
			t.Error(err)
		}
	}
	if n != 2 { // the newest window, each time
		t.Errorf("%d questions", n)
	}
}

// What is counted above many bounds takes the room of as many sums.
func TestDistributionsTakeMoreRoom(t *testing.T) {
	sums := func(bounds int) []analysis.MinuteSum {
		return []analysis.MinuteSum{{Above: make([]float64, bounds)}, {Above: make([]float64, bounds)}}
	}
	for bounds, want := range map[int]int{0: 2, 1: 4, 12: 4, 13: 6, 120: 22} {
		if got := weight(sums(bounds)); got != want {
			t.Errorf("two sums with %d bounds weigh %d, want %d", bounds, got, want)
		}
	}
	f := new(fake)
	asked := 0
	f.history = func(_ context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
		asked++
		return []analysis.MinuteSum{{Minute: q.From, Above: make([]float64, len(q.Bounds))}}, nil
	}
	g := New(table(map[string]*fake{"prom": f}), Options{CachedSums: 4}) // a sum with 12 bounds and its window: 3
	g.Advance(noon.Add(time.Hour))
	for _, first := range []float64{.1, .2, .1} {
		q := historyOf(noon.Add(-span), noon)
		for i := range 12 {
			q.Bounds = append(q.Bounds, first+float64(i))
		}
		if _, err := g.History(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("%d questions: other bounds are another answer, and two of them are too many to keep", asked)
	}
}
