package gather

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// unavailable makes a source that cannot answer, and asks to be left alone for a
// while where that is not 0.
func unavailable(after time.Duration) func(context.Context, analysis.Query) error {
	return func(context.Context, analysis.Query) error {
		return &sources.Error{Kind: sources.Unavailable, Source: "prom", Op: "rows", RetryAfter: after, Err: errors.New("HTTP status 503")}
	}
}

// unmerged makes n requests that no query unites.
func unmerged(n int) (*fake, []Request) {
	f, requests := shop("prom", n)
	for i := range requests {
		requests[i].Query.Observe = []string{fmt.Sprint("attribute", i)}
	}
	return f, requests
}

func TestTheLimitFollowsTheSource(t *testing.T) {
	f, requests := unmerged(1)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	limit := func() int { return g.Stats().Sources["prom"].Limit }
	for i, step := range []struct {
		down bool
		want int
	}{
		{false, 4}, {true, 2}, {true, 1}, {true, 1}, // halved, and never none
		{false, 2}, {false, 2}, {false, 2}, {false, 3}, {false, 3}, {false, 3}, // one more for as many answers as there are places
		{true, 1}, {false, 2}, {false, 2}, {false, 3}, {false, 3}, {false, 3}, {false, 4}, {false, 4},
	} {
		f.before = nil
		if step.down {
			f.before = unavailable(0)
		}
		g.Rows(context.Background(), requests)
		if limit() != step.want {
			t.Fatalf("step %d: %d places, want %d", i, limit(), step.want)
		}
	}
	f.before = asksFor(sources.Rejected, "service-0") // an answer too: the source is there
	if g.Rows(context.Background(), requests); limit() != 4 {
		t.Errorf("%d places after a refusal", limit())
	}
}

// A source names its own ceiling.
type modest struct{ *fake }

func (modest) Concurrency() int { return 2 }

func TestASourceNamesItsCeiling(t *testing.T) {
	f, requests := unmerged(40)
	f.before = func(context.Context, analysis.Query) error { time.Sleep(time.Millisecond); return nil }
	g := New(map[string]sources.Source{"prom": modest{f}}, Options{})
	checkShop(t, g.Rows(context.Background(), requests), 0, 40)
	if s := g.Stats().Sources["prom"]; f.busiest != 2 || s.Busiest != 2 || s.Limit != 2 || s.UnderWay != 0 {
		t.Errorf("%d at once, %+v", f.busiest, s)
	}
}

func TestTheBreaker(t *testing.T) {
	f, requests := unmerged(20)
	f.before = unavailable(0)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	g.Advance(noon)
	for _, r := range g.Rows(context.Background(), requests[:4]) {
		if r.Err == nil || sources.RetryAfter(r.Err) != 0 {
			t.Fatalf("got %v", r.Err)
		}
	}
	if g.Stats().Sources["prom"].Open {
		t.Error("open after 4 failures")
	}
	g.Rows(context.Background(), requests[:1])
	if s := g.Stats().Sources["prom"]; !s.Open || s.Opened != 1 || f.asked() != 5 {
		t.Fatalf("after 5 failures: %+v, %d questions", s, f.asked())
	}

	// Everybody is told at once, and why.
	var pause time.Duration
	for _, r := range g.Rows(context.Background(), requests) {
		pause = sources.RetryAfter(r.Err)
		if sources.KindOf(r.Err) != sources.Unavailable || pause < probeEvery/2 || pause >= probeEvery*3/2 {
			t.Fatalf("after %v: %v", pause, r.Err)
		}
	}
	if _, err := g.Seen(context.Background(), analysis.SeenQuery{Signal: signal("prom")}); err == nil {
		t.Error("another operation was asked")
	}
	g.Advance(noon.Add(pause - 1))
	g.Rows(context.Background(), requests)
	if f.asked() != 5 {
		t.Fatalf("%d questions while the breaker is open", f.asked())
	}

	// One goes ahead; it fails, and the others with it.
	g.Advance(noon.Add(pause))
	for _, r := range g.Rows(context.Background(), requests) {
		if r.Err == nil {
			t.Fatal("answered")
		}
	}
	if s := g.Stats().Sources["prom"]; f.asked() != 6 || s.Opened != 2 {
		t.Fatalf("the probe: %d questions, %+v", f.asked(), s)
	}

	// It is answered, and the others follow, not all at once.
	f.before, f.busiest = nil, 0
	g.Advance(noon.Add(pause + probeEvery*3/2))
	checkShop(t, g.Rows(context.Background(), requests), 0, 20)
	if s := g.Stats().Sources["prom"]; s.Open || s.Limit != 4 || f.asked() != 26 {
		t.Errorf("afterwards: %+v, %d questions", s, f.asked())
	}
}

// A source that failed when it was asked last, long ago, is not known to be down.
func TestNobodyAsks(t *testing.T) {
	f, requests := unmerged(1)
	f.before = unavailable(0)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	g.Advance(noon)
	for range failuresToOpen {
		g.Rows(context.Background(), requests)
	}
	for _, c := range []struct {
		after time.Duration
		open  bool
	}{{0, true}, {probeEvery / 2, true}, {unasked, true}, {unasked + 2*probeEvery, false}} {
		g.Advance(noon.Add(c.after))
		if open := g.Stats().Sources["prom"].Open; open != c.open {
			t.Errorf("after %v: open %v", c.after, open)
		}
	}
	g.Rows(context.Background(), requests) // the probe, which fails
	if s := g.Stats().Sources["prom"]; !s.Open || s.Refused > 0 {
		t.Errorf("asked again: %+v", s)
	}
}

// The pauses differ each time, are the same in each run, and lie within bounds.
func TestPausesAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	least, most := time.Hour, time.Duration(0)
	for _, source := range []string{"a", "b", "c", "d"} {
		for n := range 50 {
			f := newFlow(source, 4)
			f.opened = uint64(n)
			pause := f.untilProbe()
			if pause != f.untilProbe() {
				t.Fatal("not the same twice")
			}
			seen[pause] = true
			least, most = min(least, pause), max(most, pause)
		}
	}
	if len(seen) != 200 || least < probeEvery/2 || least > probeEvery*2/3 || most >= probeEvery*3/2 || most < probeEvery*4/3 {
		t.Errorf("%d pauses from %v to %v", len(seen), least, most)
	}
}

func TestRetryAfterHoldsForTheWholeSource(t *testing.T) {
	f, requests := unmerged(3)
	minutes(f)
	f.before = unavailable(40 * time.Second)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	g.Advance(noon)
	g.Rows(context.Background(), requests[:1])
	f.before = nil
	g.Advance(noon.Add(40*time.Second - 1))
	g.Rows(context.Background(), requests)
	if _, err := g.History(context.Background(), historyOf(noon.Add(-time.Hour), noon)); sources.RetryAfter(err) != 1 {
		t.Errorf("history: %v", err)
	}
	if s := g.Stats().Sources["prom"]; f.asked() != 1 || s.Refused != 4 {
		t.Fatalf("%d questions, %+v", f.asked(), s)
	}
	g.Advance(noon.Add(40 * time.Second))
	checkShop(t, g.Rows(context.Background(), requests), 0, 3)
}

func TestNoPauseIsForEver(t *testing.T) {
	f, requests := unmerged(1)
	f.before = unavailable(24 * time.Hour)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	g.Advance(noon)
	g.Rows(context.Background(), requests)
	f.before = nil
	for name, now := range map[string]time.Time{"it lasts too long": noon.Add(maxPause), "the clock was set back": noon.Add(-time.Hour)} {
		g.Advance(now)
		if got := g.Rows(context.Background(), requests); got[0].Err != nil {
			t.Errorf("%s: %v", name, got[0].Err)
		}
	}
}

// A thousand plans that wait do not delay a fold by more than one of their questions.
func TestFoldsGoBeforePlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, requests := unmerged(1)
		var mu sync.Mutex
		var order []string
		note := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
		f.before = func(context.Context, analysis.Query) error { note("fold"); return nil }
		busy, busiest := 0, 0
		f.history = func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
			mu.Lock()
			busy++
			busiest = max(busiest, busy)
			mu.Unlock()
			time.Sleep(time.Second)
			note("history")
			mu.Lock()
			busy--
			mu.Unlock()
			return nil, nil
		}
		g := New(table(map[string]*fake{"prom": f}), Options{})
		var wait sync.WaitGroup
		for i := range 30 {
			wait.Go(func() {
				_, _ = g.History(context.Background(), historyOf(noon.Add(-time.Duration(i+1)*time.Minute), noon.Add(-time.Duration(i)*time.Minute)))
			})
		}
		synctest.Wait()
		checkShop(t, g.Rows(context.Background(), requests), 0, 1)
		wait.Wait()
		if busiest != 3 || len(order) != 31 || order[0] != "fold" {
			t.Errorf("%d plans at once; %v", busiest, order)
		}
	})
}

// A source that is too slow for all folds, so that some always wait, still answers a
// plan: its validation could not end at its deadline otherwise.
func TestFoldsDoNotStarvePlans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, requests := unmerged(4)
		f.before = func(context.Context, analysis.Query) error { time.Sleep(time.Second); return nil }
		f.history = func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) { return nil, nil }
		g := New(table(map[string]*fake{"prom": f}), Options{Concurrency: 1})
		ctx, stop := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		for _, r := range requests {
			wait.Go(func() {
				for ctx.Err() == nil {
					g.Rows(ctx, []Request{r})
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		limited, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := g.History(limited, historyOf(noon.Add(-time.Minute), noon)); err != nil || time.Since(began) > plansEvery*time.Second {
			t.Errorf("the plan has waited %v: %v", time.Since(began), err)
		}
		stop()
		wait.Wait()
	})
}

// Where there is one place only, a fold that waits takes it before the plans do,
// and the plans have it when no fold waits.
func TestOnePlaceIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, requests := unmerged(1)
		var order []string
		f.before = func(context.Context, analysis.Query) error { order = append(order, "fold"); return nil }
		f.history = func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
			time.Sleep(time.Second)
			order = append(order, "history")
			return nil, nil
		}
		g := New(table(map[string]*fake{"prom": f}), Options{Concurrency: 1})
		var wait sync.WaitGroup
		for i := range 3 {
			wait.Go(func() {
				_, _ = g.History(context.Background(), historyOf(noon.Add(-time.Duration(i+1)*time.Minute), noon.Add(-time.Duration(i)*time.Minute)))
			})
		}
		synctest.Wait()
		g.Rows(context.Background(), requests)
		wait.Wait()
		if !slices.Equal(order, []string{"history", "fold", "history", "history"}) {
			t.Error(order)
		}
	})
}

// Who gives up says nothing about the source, and leaves no place taken.
func TestGivingUpIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, requests := unmerged(20)
		f.before = func(ctx context.Context, _ analysis.Query) error { <-ctx.Done(); return ctx.Err() }
		g := New(table(map[string]*fake{"prom": f}), Options{})
		ctx, cancel := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		for i := range requests {
			wait.Go(func() { g.Rows(ctx, requests[i:i+1]) })
		}
		synctest.Wait()
		if s := g.Stats().Sources["prom"]; s.UnderWay != 4 || s.Waiting != 16 {
			t.Errorf("%+v", s)
		}
		cancel()
		wait.Wait()
		if s := g.Stats().Sources["prom"]; s.UnderWay != 0 || s.Waiting != 0 || s.Open || s.Limit != 4 || f.asked() != 4 {
			t.Errorf("%+v after %d questions", s, f.asked())
		}
		f.before = nil
		checkShop(t, g.Rows(context.Background(), requests), 0, 20)
	})
}

// One slow query keeps nobody but those who are in it.
func TestAnswersAreHandedOverAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, requests := unmerged(3)
		requests[2].Validation = requests[0].Validation // two objectives
		release := make(chan struct{})
		f.before = func(_ context.Context, q analysis.Query) error {
			if q.Observe[0] == "attribute2" {
				<-release
			}
			return nil
		}
		var handed [][]int
		all := make([]Result, 3)
		g := New(table(map[string]*fake{"prom": f}), Options{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			g.Each(context.Background(), append(requests, Request{Validation: "nobody"}), func(answered []int, results []Result) {
				handed = append(handed, answered)
				for k, i := range answered {
					if i < 3 {
						all[i] = results[k]
					} else if sources.KindOf(results[k].Err) != sources.Rejected {
						t.Error(results[k])
					}
				}
			})
		}()
		synctest.Wait()
		if want := [][]int{{3}, {1}}; !equal(handed, want) {
			t.Errorf("handed over %v, want %v", handed, want)
		}
		close(release)
		<-done
		if want := [][]int{{3}, {1}, {0, 2}}; !equal(handed, want) {
			t.Errorf("handed over %v, want %v: a validation gets its answers together", handed, want)
		}
		checkShop(t, all, 0, 3)
	})
}

func equal(a, b [][]int) bool { return slices.EqualFunc(a, b, slices.Equal[[]int]) }

func TestEqualQuestionsAreAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		slow := &slowly{fake: new(fake), asked: &asked}
		g := New(map[string]sources.Source{"prom": slow}, Options{})
		q := analysis.SeenQuery{Signal: signal("prom"), From: noon.Add(-time.Hour), To: noon}
		ask := func(ctx context.Context, n int, wantErr bool) {
			var wait sync.WaitGroup
			for i := range n {
				mine := q
				mine.Signal.Name = fmt.Sprint("by another name ", i)
				wait.Go(func() {
					seen, err := g.Seen(ctx, mine)
					if (err != nil) != wantErr || !wantErr && (len(seen) != 1 || seen[0].Service != "checkout") {
						t.Errorf("%v, %v", seen, err)
					}
					if len(seen) > 0 {
						seen[0].Service = "whose answer is this"
					}
				})
			}
			wait.Wait()
		}
		if ask(context.Background(), 50, false); asked != 1 || g.Stats().Shared != 49 {
			t.Errorf("%d questions, %+v", asked, g.Stats())
		}
		if ask(context.Background(), 1, false); asked != 2 {
			t.Error("an answer was kept")
		}
		// One who gives up does not take the others with him.
		hasty, cancel := context.WithCancel(context.Background())
		var wait sync.WaitGroup
		wait.Go(func() { ask(hasty, 1, true) })
		synctest.Wait()
		wait.Go(func() { ask(context.Background(), 3, false) })
		synctest.Wait()
		cancel()
		wait.Wait()
		if asked != 4 {
			t.Errorf("%d questions", asked)
		}
		if d, err := g.Spacing(context.Background(), analysis.SpacingQuery{Signal: signal("prom")}); d != 15*time.Second || err != nil {
			t.Error(d, err)
		}
	})
}

// slowly is a source that takes a second.
type slowly struct {
	*fake
	asked *int
}

func (s *slowly) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	*s.asked++
	select {
	case <-time.After(time.Second):
		return s.fake.Seen(ctx, q)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// printer is a source that can say how it would ask.
type printer struct{ *fake }

func (printer) Render(q analysis.Query) []string { return []string{fmt.Sprint(q.Matches)} }

func (p printer) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	a, err := p.fake.Rows(ctx, q)
	a.Rendered = p.Render(q)
	return a, err
}

// What a validation shows of its queries names no other service.
func TestRenderedForOneselfAlone(t *testing.T) {
	f, requests := shop("prom", 3)
	for i := range requests {
		requests[i].DeployedAt = noon
	}
	requests[1].DeployedAt = noon.Add(-time.Minute) // not its first fold
	g := New(map[string]sources.Source{"prom": printer{f}}, Options{})
	got := g.Rows(context.Background(), requests)
	if want := []string{"[{service.name [service-0]} {service.version [1.0.0 1.0.1]}]"}; f.asked() != 1 || !slices.Equal(got[0].Evidence.Rendered, want) {
		t.Errorf("%d queries, %q", f.asked(), got[0].Evidence.Rendered)
	}
	if got[1].Evidence.Rendered != nil {
		t.Errorf("not the first fold: %q", got[1].Evidence.Rendered)
	}
	alone := g.Rows(context.Background(), requests[:1])
	if !slices.Equal(alone[0].Evidence.Rendered, got[0].Evidence.Rendered) {
		t.Errorf("alone %q, together %q", alone[0].Evidence.Rendered, got[0].Evidence.Rendered)
	}
	g = New(table(map[string]*fake{"prom": f}), Options{})
	if got := g.Rows(context.Background(), requests); got[0].Evidence.Rendered != nil {
		t.Errorf("of a source that cannot tell: %q", got[0].Evidence.Rendered)
	}
}

// A window that is not over may yet grow, whatever is asked for: a deployment that is
// announced for later has such windows in its history.
func TestAnUnfinishedWindowIsNotKept(t *testing.T) {
	f := new(fake)
	asked := minutes(f)
	g := New(table(map[string]*fake{"prom": f}), Options{})
	g.Advance(noon.Add(-2 * time.Minute))
	for range 2 {
		if _, err := g.History(context.Background(), historyOf(noon.Add(-span), noon.Add(10*time.Minute))); err != nil {
			t.Fatal(err)
		}
	}
	if asked() != 4 {
		t.Errorf("%d questions, want both windows twice", asked())
	}
}

func TestAskedIsTold(t *testing.T) {
	f, requests := shop("prom", 3)
	f.before = asksFor(sources.Malformed, "service-1")
	var mu sync.Mutex
	told := map[string]int{}
	g := New(table(map[string]*fake{"prom": f}), Options{Asked: func(source, op string) func(error) {
		return func(err error) {
			mu.Lock()
			defer mu.Unlock()
			told[fmt.Sprint(source, " ", op, " ", err == nil)]++
		}
	}})
	g.Rows(context.Background(), requests)
	if told["prom rows false"] != 3 || told["prom rows true"] != 2 || len(told) != 2 {
		t.Error(told)
	}
}
