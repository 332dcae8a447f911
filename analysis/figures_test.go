package analysis_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A full fold leaves nothing to collect, whatever the shapes.
func TestFullFoldAllocatesNothing(t *testing.T) {
	for _, strata := range []int{0, 3} {
		w := twentyObjectives(5 * time.Second)
		w.strata, w.leaks, w.levels = strata, 0, 6
		const warm, looks = 185, 50 // the longest batch of the dispersion is full, the next restart is due at fold 240
		p := w.plan(t)
		s, drawn := w.run(t, newState(t, p)).looks(0, warm).s, w.draw(t, p, 3)
		if got := testing.AllocsPerRun(looks/len(drawn), func() { foldDrawn(t, s, drawn) }); got != 0 {
			t.Errorf("%d strata: %v allocations in %d full folds, want 0", strata, got, len(drawn))
		}
	}
}

// A state of 20 objectives with three strata, folded every 5 seconds, takes no more than
// a mebibyte, and so does its checkpoint.
func TestStateOfTwentyObjectivesIsSmall(t *testing.T) {
	const states, most = 30, 1 << 20
	w := twentyObjectives(5 * time.Second)
	w.strata = 3
	p := w.plan(t)
	snapshot := checkpoint(t, w.run(t, newState(t, p)).looks(0, 900).s)
	each := heapOf(states, func(int) *analysis.State {
		s, err := analysis.RestoreState(p, snapshot)
		if err != nil {
			t.Fatal(err)
		}
		return w.run(t, s).looks(900, 901).s
	})
	t.Logf("%d KiB in memory, %d KiB as a checkpoint", each>>10, len(snapshot)>>10)
	if each > most || len(snapshot) > most {
		t.Errorf("a state takes %d bytes, its checkpoint %d, want at most %d", each, len(snapshot), most)
	}
}

// fleetMemory is what 5,000 validations may take. Half of a state are the profiles of its
// ratios and thresholds, with a copy for each restart that was taken.
const fleetMemory = 7 << 28

// Validations of 20 objectives that are folded once a minute, of every age up to an
// hour: so much memory that 5,000 of them fit in fleetMemory.
func TestFleetOfValidationsIsSmall(t *testing.T) {
	const validations, states = 5000, 30
	w := twentyObjectives(time.Minute)
	w.deadline = time.Hour
	p := w.plan(t)
	each := heapOf(states, func(i int) *analysis.State { return w.run(t, newState(t, p)).looks(0, 60*i/states).s })
	t.Logf("%d KiB a validation, %.2f GiB for %d", each>>10, float64(each)*validations/(1<<30), validations)
	if each*validations > fleetMemory {
		t.Errorf("%d validations take %d bytes, want at most %d", validations, each*validations, fleetMemory)
	}
}

// heapOf is by how much each of n states makes the heap larger.
func heapOf(n int, state func(i int) *analysis.State) int {
	var before, after runtime.MemStats
	states := make([]*analysis.State, n)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range states {
		states[i] = state(i)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(states)
	return int(after.HeapAlloc-before.HeapAlloc) / n
}
