package analysis

import (
	"math"
	"testing"
	"time"
)

// durations is a distribution objective in seconds.
func durations() Objective {
	return Objective{Name: "latency", Role: Critical, Signal: Signal{
		Name: "latency", Source: "prometheus", Unit: "s", Shape: ShapeDistribution, Histogram: &Selector{Metric: "duration_seconds"},
	}}
}

// judging makes durations with the given history the only objective.
func judging(h Histogram) func(*PlanInput) {
	return func(in *PlanInput) {
		in.Policy.Objectives = []Objective{durations()}
		in.Policy.Window.Warmup = 0
		in.Facts[0].Distribution = h
	}
}

// evenly is the exact histogram of the values 1, 2, ... n.
func evenly(n int) Histogram {
	h := Histogram{Exact: true}
	for i := range n {
		h.Bounds, h.Counts = append(h.Bounds, float64(i+1)), append(h.Counts, 1)
	}
	h.Counts = append(h.Counts, 0)
	return h
}

// paretoBuckets are classic buckets of n observations of which 1/v lies above v, for
// v from 1 on: a tail of slope 1.
func paretoBuckets(n float64, bounds ...float64) Histogram {
	h := Histogram{Bounds: bounds}
	last := n
	for _, b := range bounds {
		above := n / max(1, b)
		h.Counts = append(h.Counts, last-above)
		last = above
	}
	h.Counts = append(h.Counts, last)
	return h
}

// pareto is the exact histogram of n values of which 1/v lie above v.
func pareto(n int) Histogram {
	h := Histogram{Exact: true}
	for k := n; k > 0; k-- {
		h.Bounds, h.Counts = append(h.Bounds, float64(n)/(float64(k)-.5)), append(h.Counts, 1)
	}
	h.Counts = append(h.Counts, 0)
	return h
}

// evenBuckets are classic buckets of n observations that lie evenly between 0 and top.
func evenBuckets(n, top float64, bounds ...float64) Histogram {
	h := Histogram{Bounds: bounds}
	last := 0.0
	for _, b := range append(bounds, top) {
		b = min(b, top)
		h.Counts = append(h.Counts, n*(b-last)/top)
		last = b
	}
	return h
}

// slowRow is a row of a pod of which so many of n observations lie above each bound.
func slowRow(arm Arm, pod string, n float64, above ...float64) ArmRow {
	r := row(arm, pod, 0, n)
	r.Above = above
	return r
}

// paretoRow is a row of a pod whose observations take factor times as long as those of
// pareto.
func paretoRow(s *State, arm Arm, n, factor float64) ArmRow {
	r := slowRow(arm, "p", n)
	for _, b := range s.plan.Objectives[0].Latency.Bounds {
		r.Above = append(r.Above, math.Round(n*min(1, factor/b)))
	}
	return r
}

// foldSlow folds rows into the next fold.
func foldSlow(tb testing.TB, s *State, rows ...ArmRow) {
	tb.Helper()
	foldRows(tb, s, 0, rows)
}

// withHistory lets the objective have a dispersion of 1 at every bound.
func withHistory(in *PlanInput) {
	bounds := LatencyBounds(in.Policy.Objectives[0], in.Facts[0].Distribution)
	h := &LatencyHistory{Exposure: 1e6, Above: make([]float64, len(bounds)), Phi0: make([][3]float64, len(bounds))}
	for i := range bounds {
		h.Above[i] = 1e6 * in.Facts[0].Distribution.tail(bounds[i])
		h.Phi0[i] = [3]float64{1, 1, 1}
	}
	in.Facts[0].History.Latency = h
}

// latencyOf is the accumulator of the only objective.
func latencyOf(s *State) *latency { return s.objectives[0].acc.(*latency) }

// lasting has a plan end after d: below 20 minutes there are no restarts.
func lasting(d time.Duration) func(*PlanInput) {
	return func(in *PlanInput) { in.Policy.Window.Deadline = Duration(d) }
}

func closeTo(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance }
