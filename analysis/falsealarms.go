package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// FalseAlarms is what the plan's own test says of times when nothing was deployed: a
// window as long as the validation, in which some healthy pods of the baseline play the
// canary (statistics 2.5). It is learned before the first fold, from the history of this
// deployment and of earlier ones of the service.
type FalseAlarms struct {
	Windows []AAWindow `json:"windows"` // newest last, none overlap
}

// An AAWindow is one such time.
type AAWindow struct {
	Start   time.Time `json:"start"`
	MaxLogE Figure    `json:"maxLogE"` // largest ln of the harm evidence over the window
	Alarm   bool      `json:"alarm,omitempty"`
}

const (
	// AAKept is how long a window counts.
	AAKept = 30 * 24 * time.Hour
	// aaShown is from how many windows on their share of alarms is shown.
	aaShown = 30
	// aaBar is how many windows, times alpha, it takes to raise the bar by them.
	aaBar = 3
)

// Merge adds the windows of earlier plans: those that began within AAKept before the
// deployment and overlap none that is there. Length is that of a window.
func (f *FalseAlarms) Merge(earlier []AAWindow, startedAt time.Time, length time.Duration) {
	for _, w := range earlier {
		if w.Start.Before(startedAt.Add(-AAKept)) || w.Start.Add(length).After(startedAt) || math.IsNaN(float64(w.MaxLogE)) {
			continue
		}
		overlaps := func(o AAWindow) bool { return o.Start.Sub(w.Start).Abs() < length }
		if !slices.ContainsFunc(f.Windows, overlaps) {
			f.Windows = append(f.Windows, w)
		}
	}
	slices.SortFunc(f.Windows, func(a, b AAWindow) int { return a.Start.Compare(b.Start) })
}

// Rate returns how many of the windows alarmed, with the ends of a 95 % Wilson interval
// for the share; shown is false below 30 windows: not yet calibrated.
func (f *FalseAlarms) Rate() (alarms, windows int, low, high float64, shown bool) {
	if f == nil {
		return 0, 0, 0, 1, false
	}
	for _, w := range f.Windows {
		if w.Alarm {
			alarms++
		}
	}
	windows = len(f.Windows)
	low, high = stats.Wilson(alarms, windows, 0.05)
	return alarms, windows, low, high, windows >= aaShown
}

// LogBar is ln of the harm evidence that a rollback needs: 1/alpha, or more where the
// evidence reached more than that in the service's own quiet windows: their (1-alpha)
// quantile, from 3/alpha windows on.
func (f *FalseAlarms) LogBar(alpha float64) float64 {
	bar := math.Log(1 / alpha)
	if f == nil || float64(len(f.Windows)) < aaBar/alpha {
		return bar
	}
	sorted := make([]float64, 0, len(f.Windows))
	for _, w := range f.Windows {
		sorted = append(sorted, Round6(float64(w.MaxLogE))) // as the plan is written down: it is judged by again
	}
	slices.Sort(sorted)
	at := int(math.Ceil((1-alpha)*float64(len(sorted)+1))) - 1 // conservative: the next one up
	return max(bar, sorted[min(at, len(sorted)-1)])
}

// SameTest reports whether the windows of p tell of the other plan: the same objectives
// by the same methods, with the same share in a rollback, over the same time.
func (p *Plan) SameTest(other *Plan) bool {
	return p.AlphaRollback == other.AlphaRollback && p.Window.Deadline == other.Window.Deadline && p.Comparison == other.Comparison &&
		slices.EqualFunc(p.Objectives, other.Objectives, func(x, y PlannedObjective) bool {
			return x.Name == y.Name && x.Method == y.Method && x.Weight == y.Weight && x.Null == y.Null
		})
}
