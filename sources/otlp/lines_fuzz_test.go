package otlp_test

import (
	"math"
	"sync"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzConsumeLogs: whatever bytes arrive, questions get finite and plausible answers,
// the same when they are asked again, and what is held goes in the end.
func FuzzConsumeLogs(f *testing.F) {
	f.Add(logRequest(f, []loggedLine{says("a", 1, analysis.SeverityError, 1, "failed"), says("a", 2, 0, 0, `{"level":"error","msg":"failed 7"}`), says("b", 3, analysis.SeverityInfo, 0, "\tat x.y(Z.java:3)")}))
	f.Add(logRequest(f, []loggedLine{says("a", 5, 0, 0, "2026-03-02T10:00:01Z ERROR password=x failed"), says("a", 1e9, 0, 1, ""), says("a", -1e9, 0, 1, "\xff")}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, func() {
			source := newSource(t)
			first, err := source.ConsumeLogs(t.Context(), data)
			again, err2 := source.ConsumeLogs(t.Context(), data)
			if (err == nil) != (err2 == nil) || err2 == nil && again.Accepted > 0 {
				t.Fatalf("%+v, %v; again %+v, %v", first, err, again, err2)
			}
			for start := 0.; start < 30; start += 15 {
				for _, signal := range []analysis.Signal{allLines(), logSignal(analysis.SeverityError, ""), logSignal(0, "failed")} {
					q := lineQuery(signal, start, start+15)
					answer := askLines(t, source, q)
					lines := 0.
					for _, row := range answer.Lines {
						lines += row.Lines
						if !(row.Events >= 1) || math.IsInf(row.Events, 0) || row.Example == nil {
							t.Fatalf("%+v", row)
						}
					}
					for _, row := range answer.Rows {
						lines -= float64(row.Received)
						if row.Bad < 0 || row.Bad > float64(row.Received) {
							t.Fatalf("%+v", row)
						}
					}
					if lines > 0 {
						t.Fatalf("more lines by template than lines: %+v", answer)
					}
					if got, want := textOf(t, askLines(t, source, q)), textOf(t, answer); got != want {
						t.Fatalf("asked again: %s\nwant %s", got, want)
					}
				}
			}
			for i := range 3 {
				source.Evict(lineAt(3e9 + 60*float64(i)))
			}
			if stats := source.Stats(); stats.Lines.Bytes != 0 || stats.Resources != 0 {
				t.Fatalf("95 years later: %+v", stats)
			}
		})
	})
}

// Lines come while questions are asked and minutes go.
func TestLinesConcurrently(t *testing.T) {
	source := trackingLines(t, newSource(t))
	requests, _ := logBatches(t, 20)
	var all sync.WaitGroup
	for _, data := range requests {
		all.Go(func() {
			if _, err := source.ConsumeLogs(t.Context(), data); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 8 {
		all.Go(func() {
			askLines(t, source, lineQuery(allLines(), 0, 5))
			pastLines(t, source)
			source.Evict(lineAt(float64(i)))
			source.Stats()
		})
	}
	all.Wait()
	stats := source.Stats()
	if n := stats.Lines.Accepted + stats.Lines.Dropped["late"]; n != 20_000 {
		t.Errorf("%d lines were counted or late, want 20,000", n)
	}
}
