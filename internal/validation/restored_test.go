package validation

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/gather"
)

var restored = flag.Int("restored", 1050, "how many open validations TestRestoredValidationsCatchUp restores")

// After a restart thousands of open validations have missed folds. They are caught
// up within one cadence, with a commit or two a second, and their questions are
// merged into a fiftieth. (The figure that is published is that of -restored=10000.)
func TestRestoredValidationsCatchUp(t *testing.T) {
	f := newFleet(t, *restored)
	dir := t.TempDir()

	began := time.Now()
	first := startProcess(t, dir, f.source(t), gather.Options{})
	f.deployAll(t, first.Store)
	first.advanceFor(t, start)
	t.Logf("planned after %v, %d requests", time.Since(began).Round(time.Millisecond), f.queries.Load())
	now := start.Add(12 * time.Minute) // checkpoints are taken every 10
	first.advanceFor(t, now)
	if n := first.OpenCount(); n != *restored {
		t.Fatalf("%d open validations, want %d", n, *restored)
	}
	first.end()
	t.Logf("set up after %v, %d requests", time.Since(began).Round(time.Millisecond), f.queries.Load())

	// The process comes back three cadences later.
	now = now.Add(3 * fleetCadence)
	asked := f.queries.Load()
	resetPeak(t)
	began, cpu := time.Now(), processorTime(t)
	p := startProcess(t, dir, f.source(t), gather.Options{})
	defer p.end()
	opened := time.Since(began)
	if n := p.behind(now); n != *restored {
		t.Fatalf("%d validations are behind, want all %d", n, *restored)
	}
	advances := p.advanceFor(t, now)
	took := time.Since(began)
	cpu = processorTime(t) - cpu

	s := p.Gatherer.Stats()
	asked = f.queries.Load() - asked
	t.Logf("%d restored: opened in %v, caught up in %v (%v of the processors with the server, %d advances, %d commits), %d of %d questions in %d requests, peak %s",
		*restored, opened.Round(time.Millisecond), took.Round(time.Millisecond), cpu.Round(time.Millisecond), advances, p.commits, s.Issued, s.Unmerged, asked, peak(t))
	if n := p.behind(now); n > 0 || took > fleetCadence {
		t.Errorf("%d validations are behind after %v", n, took)
	}
	if most := 2 * (1 + took.Seconds()); float64(p.commits) > most {
		t.Errorf("%d commits in %v", p.commits, took)
	}
	if s.Unmerged != 3*uint64(*restored) || s.Issued*50 > s.Unmerged {
		t.Errorf("%d questions were asked for %d", s.Issued, s.Unmerged)
	}
	if requests := int64(s.Unmerged) * 2; asked*50 > requests { // the counters and the starts
		t.Errorf("the server counts %d requests, one by one they are %d", asked, requests)
	}
	if f.busiest.Load() > 4 {
		t.Errorf("%d requests at once", f.busiest.Load())
	}
}

// advanceFor calls Advance each second, as the program does, until all are caught
// up with now, and returns how often that was.
func (p *process) advanceFor(t testing.TB, now time.Time) (advances int) {
	t.Helper()
	for tick := time.NewTicker(time.Second); ; <-tick.C {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		err := p.Advance(ctx, now)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		advances++
		if p.behind(now) == 0 {
			tick.Stop()
			return advances
		}
	}
}

// resetPeak lets the kernel measure the peak of memory from here on.
func resetPeak(t testing.TB) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Log(err)
	}
}

// processorTime is what this process has used of the processors.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func peak(t testing.TB) string {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Sprint(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
