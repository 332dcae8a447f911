package otlp_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/replay"
)

// shop is a service with pods that serve, err, restart and pause, for some hours.
func shop(hours float64) replay.Recording {
	rng := rand.New(rand.NewPCG(7, 7))
	var rec replay.Recording
	for n := range 3 {
		p := replay.Pod{Attributes: map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: fmt.Sprintf("pod-%d", n)}}
		p.Starts = []time.Time{at(-100)}
		series := []replay.Series{{Metric: "requests", Attributes: map[string]string{"status": "200"}}, {Metric: "requests", Attributes: map[string]string{"status": "500"}}}
		var ok, failed float64
		for s := float64(n); s < hours*3600; s += 15 {
			switch rng.IntN(300) {
			case 0: // restart
				ok, failed = 0, 0
				p.Starts = append(p.Starts, at(s-3))
			case 1: // pause
				s += 15 * float64(rng.IntN(20))
			}
			ok += float64(rng.IntN(60))
			series[0].Samples = append(series[0].Samples, analysis.Sample{T: at(s), V: ok})
			if failed += float64(rng.IntN(8) / 7); failed > 0 {
				series[1].Samples = append(series[1].Samples, analysis.Sample{T: at(s), V: failed})
			}
		}
		p.Series = series
		rec.Pods = append(rec.Pods, p)
	}
	return rec
}

func historyOf(from, to float64) analysis.HistoryQuery {
	q := checkout(fold(0, 15))
	return analysis.HistoryQuery{Signal: q.Signal, Matches: q.Matches, From: at(from), To: at(to)}
}

// Minutes that were summed long ago, minutes of raw samples and the seam between
// them say the same as the plain rule.
func TestHistoryOutlivesRawSamples(t *testing.T) {
	for _, starts := range []bool{true, false} {
		t.Run(fmt.Sprintf("starts known %v", starts), func(t *testing.T) { testHistory(t, starts) })
	}
}

func testHistory(t *testing.T, starts bool) {
	const hours = 5
	rec := shop(hours)
	if !starts {
		for i := range rec.Pods {
			rec.Pods[i].Starts = nil
		}
	}
	plain, err := replay.New(rec)
	if err != nil {
		t.Fatal(err)
	}
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	inProcess(t, source, requestsOf(rec, cumulativeSum))
	for _, q := range []analysis.HistoryQuery{historyOf(0, hours*3600), historyOf(3600, 7200), historyOf(30, 3*3600+59), historyOf(hours*3600-900, hours*3600-1)} {
		got, want := minutesOf(t, source, q), minutesOf(t, plain, q)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v to %v: %d minutes, want %d, first difference %s", q.From, q.To, len(got), len(want), firstDifference(got, want))
		}
	}

	// A day after, only sums are left; two days after, nothing.
	source.Evict(at(hours*3600 + 20*3600 - 3600*4 - 60))
	source.Evict(at(hours*3600 + 20*3600 - 3600*4))
	if stats := source.Stats(); stats.Series != 0 || stats.Resources != 3 {
		t.Errorf("got %+v, want sums only", stats)
	}
	if got := minutesOf(t, source, historyOf(2*3600, 3*3600)); len(got) == 0 {
		t.Error("the history is gone")
	}
	source.Evict(at(hours*3600 + 49*3600))
	if stats := source.Stats(); stats.Resources != 0 || stats.Services != 0 {
		t.Errorf("got %+v, want nothing kept", stats)
	}
}

// A backlog, as a topic holds one after Assay was down, is no silence: its minutes are
// summed however long ago they were, though old telemetry is evicted all the while.
func TestABacklogIsNotEvictedOnItsWay(t *testing.T) {
	const hours = 5
	rec := shop(hours)
	plain, err := replay.New(rec)
	if err != nil {
		t.Fatal(err)
	}
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	for requests := range slices.Chunk(requestsOf(rec, cumulativeSum), 5) { // in which each pod sends
		inProcess(t, source, requests)
		source.Evict(at(hours*3600 + 60))
	}
	q := historyOf(0, hours*3600)
	got, want := minutesOf(t, source, q), minutesOf(t, plain, q)
	if len(want) < 3*hours*50 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d minutes, want %d, first difference %s", len(got), len(want), firstDifference(got, want))
	}
}

func minutesOf(t *testing.T, source sources.Source, q analysis.HistoryQuery) []analysis.MinuteSum {
	t.Helper()
	sums, err := source.History(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func firstDifference(got, want []analysis.MinuteSum) string {
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Sprintf("%+v, want %+v", got[i], want[i])
		}
	}
	return "at the end"
}

func TestSignalsThatAreNotTracked(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	rec := shop(2)
	inProcess(t, source, requestsOf(rec, cumulativeSum))
	plain, err := replay.New(rec)
	if err != nil {
		t.Fatal(err)
	}
	got := minutesOf(t, source, historyOf(0, 7200))
	if len(got) == 0 || got[0].Minute.Before(at(3600)) || got[0].Minute.After(at(5400)) {
		t.Fatalf("got %d minutes, want those of the last half hour or a little more", len(got))
	}
	// No minute is told by half of its samples. Pods are trimmed at different times.
	all := map[string]analysis.MinuteSum{}
	for _, sum := range minutesOf(t, plain, historyOf(0, 7200)) {
		all[sum.Pod+sum.Minute.String()] = sum
	}
	for _, sum := range got {
		if want := all[sum.Pod+sum.Minute.String()]; !reflect.DeepEqual(sum, want) {
			t.Errorf("got %+v, want %+v", sum, want)
		}
	}
	// Tracked from now on, then not any more.
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	if err := source.Track(nil); err != nil {
		t.Fatal(err)
	}
	signal := errorsOfRequests()
	signal.Bad.Conditions[0].Op = analysis.OpRegexp
	if err := source.Track([]analysis.Signal{signal}); err == nil {
		t.Error("a pattern can be tracked")
	}
}

// Folds of which raw samples are gone are not answered by what is left of them.
func TestFoldsThatAreNoLongerKept(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	inProcess(t, source, requestsOf(shop(2), cumulativeSum))
	answer := answerTo(t, source, checkout(fold(600, 660)))
	if len(answer.Rows) != 0 || !answer.Partial || len(answer.Warnings) != 3 || !strings.Contains(answer.Warnings[0], "no longer kept") {
		t.Errorf("got %+v, want a partial answer without rows that says why", answer)
	}
	recent := answerTo(t, source, checkout(fold(6600, 6660)))
	if len(recent.Rows) != 3 || recent.Partial || recent.Rows[0].New {
		t.Errorf("got %+v, want three rows", recent)
	}
	// What comes for forgotten times is late.
	late := exportOf("pod-0", cumulativeSum, point{at: 600.5, status: "200", v: 1})
	if got := push(t, source, late); got.Dropped(otlp.DropLate) != 1 {
		t.Errorf("got %+v, want one late point", got)
	}
}

// A minute that was summed stays as it is: what comes for it is late, even while
// raw samples around it are still kept.
func TestSummedMinutesStay(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 30 * time.Minute })
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		push(t, source, exportOf("a", cumulativeSum, point{at: float64(15 * i), status: "200", v: float64(10 * i)}))
	}
	// The one trim, at 2400 s, summed up to 600 s and kept the raw samples of then.
	late := 0
	for i := range 200 {
		outcome := push(t, source, exportOf("a", cumulativeSum, point{at: float64(15*i) + 7, status: "500", v: float64(i)}))
		late += outcome.Dropped(otlp.DropLate)
	}
	sums := minutesOf(t, source, historyOf(0, 3000))
	withErrors := 0
	for _, sum := range sums {
		if sum.Bad > 0 {
			withErrors++
		}
	}
	// 4 late samples a minute before the seam, none after it.
	if len(sums) != 50 || late == 0 || withErrors != 50-late/4 {
		t.Errorf("%d minutes, %d with errors, %d late samples", len(sums), withErrors, late)
	}
}

// Evict is told the time; a pod with a broken clock must not stay for ever.
func TestEvictForgetsTheFuture(t *testing.T) {
	source := newSource(t)
	push(t, source, exportOf("sane", cumulativeSum, point{at: 10, status: "200", v: 1}))
	push(t, source, exportOf("broken", cumulativeSum, point{at: 1e9, status: "200", v: 1}))
	push(t, source, exportOf("ancient", cumulativeSum, point{at: -1.7e9, status: "200", v: 1}))
	source.Evict(at(20))
	if stats := source.Stats(); stats.Resources != 1 || stats.Series != 1 {
		t.Errorf("got %+v, want one resource", stats)
	}
}

// A pod that jumps from 1970 to today costs no loop over the minutes between.
func TestJumpOfTheClock(t *testing.T) {
	source := newSource(t)
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for i := range 100 {
		pod := fmt.Sprint(i)
		push(t, source, exportOf(pod, cumulativeSum, point{at: 1 - float64(epoch.Unix()), status: "200", v: 1}))
		push(t, source, exportOf(pod, cumulativeSum, point{at: 0, status: "200", v: 2}))
		push(t, source, exportOf(pod, cumulativeSum, point{at: 7e9, status: "200", v: 3}))
	}
	if took := time.Since(begun); took > 20*time.Second { // without the bound it is hours
		t.Errorf("took %v", took)
	}
}
