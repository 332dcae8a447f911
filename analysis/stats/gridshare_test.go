package stats

import (
	"runtime"
	"testing"
	"time"
)

// Equal configurations share a grid, others do not, and what nobody uses is forgotten.
func TestGridsAreShared(t *testing.T) {
	grid := func(c GridConfig) *Grid {
		g, err := NewGridConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	const rho = 1.0713 // of no other test
	a := grid(GridConfig{RhoR: rho})
	if a != grid(GridConfig{RhoR: rho, MaxLog: defaultMaxLog}) {
		t.Error("the default, written out, is another grid")
	}
	for _, c := range []GridConfig{{RhoP: rho}, {RhoR: rho, MaxLog: 3}, {RhoR: rho, SafetySD: .2}, {RhoR: rho, HarmScale: .2}, {RhoR: rho, Extra: []float64{1.5}}} {
		if a == grid(c) {
			t.Errorf("%+v shares the grid of another configuration", c)
		}
	}
	key := gridKey{rhoR: rho, harmScale: defaultHarm, safetySD: defaultSafetySD, maxLog: defaultMaxLog}
	if _, ok := grids.Load(key); !ok {
		t.Fatal("a grid in use is not known")
	}
	runtime.KeepAlive(a)
	for range 1000 {
		runtime.GC()
		if _, ok := grids.Load(key); !ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("a grid that nobody uses is still known")
}
