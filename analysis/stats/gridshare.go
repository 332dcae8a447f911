package stats

import (
	"runtime"
	"sync"
	"weak"
)

// Thousands of objectives are tested at the same few margins, and a grid takes ten
// times the memory of a profile on it. Grids are immutable and follow from their
// configuration alone, so it cannot be told, but by the memory, that they are shared.
// They are held weakly: one that nobody uses is collected.
var grids sync.Map // gridKey to weak.Pointer[Grid]

// gridKey is a GridConfig without further ratios.
type gridKey struct{ rhoR, rhoP, harmScale, safetySD, maxLog float64 }

// sharedGrid returns the grid of a valid configuration: the one that is in use, if
// there is one.
func sharedGrid(c GridConfig, exact []float64) *Grid {
	key := gridKey{c.RhoR, c.RhoP, c.HarmScale, c.SafetySD, c.MaxLog}
	if p, ok := grids.Load(key); ok {
		if g := p.(weak.Pointer[Grid]).Value(); g != nil {
			return g
		}
	}
	g := newGrid(c, exact)
	p := weak.Make(g)
	runtime.AddCleanup(g, func(key gridKey) { grids.CompareAndDelete(key, p) }, key)
	grids.Store(key, p)
	return g
}
