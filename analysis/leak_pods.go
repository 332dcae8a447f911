package analysis

import (
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis/stats"
)

// A podTrack is the level of one canary pod over time, thinned evenly, and how many of
// its pairs of samples rise: more than half of them is a positive median of slopes.
type podTrack struct {
	Pod     string
	X, Y    []float64
	Stride  int // every how many samples one is kept
	Skipped int // since the last one that was kept
	Rising  int // pairs
}

const (
	maxTracks = 16  // pods that are tracked, the first that are seen
	maxPoints = 120 // samples of each
)

// add takes in a sample.
func (t *podTrack) add(x, y float64) {
	if t.Skipped++; t.Skipped < t.Stride {
		return
	}
	t.Skipped = 0
	if len(t.X) == maxPoints {
		t.thin()
	}
	for _, before := range t.Y {
		if y > before {
			t.Rising++
		}
	}
	t.X, t.Y = append(t.X, x), append(t.Y, y)
}

// thin keeps every other sample.
func (t *podTrack) thin() {
	n := 0
	for i := 0; i < len(t.X); i += 2 {
		t.X[n], t.Y[n] = t.X[i], t.Y[i]
		n++
	}
	t.X, t.Y, t.Stride, t.Rising = t.X[:n], t.Y[:n], 2*t.Stride, 0
	for i, y := range t.Y {
		for _, before := range t.Y[:i] {
			if y > before {
				t.Rising++
			}
		}
	}
}

func (t *podTrack) rises() bool {
	n := len(t.X)
	return n >= minLevelRows && 4*t.Rising > n*(n-1)
}

// podTracks are those of all canary pods, sorted by pod.
type podTracks []podTrack

// add takes in the samples of those of one fold's rows that count; sign is -1 where
// less is worse.
func (p *podTracks) add(x float64, rows []ArmRow, sign float64, counts func(*ArmRow) bool) {
	for i := range rows {
		r := &rows[i]
		if !counts(r) {
			continue
		}
		at, known := slices.BinarySearchFunc(*p, r.Pod, func(t podTrack, pod string) int { return strings.Compare(t.Pod, pod) })
		if !known {
			if len(*p) == maxTracks {
				continue
			}
			*p = slices.Insert(*p, at, podTrack{Pod: r.Pod, Stride: 1, X: make([]float64, 0, maxPoints), Y: make([]float64, 0, maxPoints)})
		}
		(*p)[at].add(x, sign*r.Level)
	}
}

// rise reports whether enough of the pods grow by themselves.
func (p podTracks) rise() bool {
	rising := 0
	for i := range p {
		if p[i].rises() {
			rising++
		}
	}
	return len(p) > 0 && float64(rising) >= risingNeeded*float64(len(p))
}

// maxSlopes bounds the points of a pod that its median slope is taken from.
const maxSlopes = 40

// median is the median over the pods of their own median slopes (Theil, Sen).
func (p podTracks) median() float64 {
	slopes := make([]float64, 0, len(p))
	for i := range p {
		t := &p[i]
		stride := 1 + len(t.X)/maxSlopes
		var x, y []float64
		for j := 0; j < len(t.X); j += stride {
			x, y = append(x, t.X[j]), append(y, t.Y[j])
		}
		if s := stats.TheilSen(x, y); !math.IsNaN(s) {
			slopes = append(slopes, s)
		}
	}
	return stats.Quantiles(slopes, .5)[0]
}
