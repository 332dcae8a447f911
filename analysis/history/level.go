package history

import (
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

const (
	minRows       = 30            // residuals below which noise is not learned
	minPodRows    = 30            // samples of a pod below which its mean tells nothing
	beforeSpan    = 2 * time.Hour // of the service's own level, for a comparison with the time before
	heavyTails    = 10            // kurtosis of residuals from which they are winsorised
	tailQuantile  = .005          // and where
	notPositive   = .001          // share of levels that may be 0 or negative on the logarithmic scale
	floorOfLeast  = 1e-3          // of the least positive level: what lower ones are raised to
	maxLevel      = 1e100         // beyond it no level is believed: squares must be finite
	constantNoise = 1e-3          // resolution of a level that never moved, as a share of it
)

// LearnLevel reduces the history of a level before start: how far pseudo-canaries
// lie from the rest of the baseline row by row, and how that hangs together; by how
// much pods differ for good; and how the service moves by itself, relative to a
// control where one is given. Step is the spacing of the rows that will be judged
// (analysis.LevelCadence); of several values of a pod within it the newest counts, and
// where values come less often their own spacing does. Values at or after start are
// ignored; what history is too short for stays unknown.
func LearnLevel(sums []analysis.MinuteSum, start time.Time, step time.Duration, weight float64, seed string, o analysis.Objective, control ...analysis.MinuteSum) analysis.History {
	h := Learn(nil, start, weight, seed)
	step = analysis.LevelCadence(step, step)
	if o.Leak != nil {
		step = max(step, time.Minute) // what it is folded at
	}
	rows, names := levelRows(sums, start, step)
	if len(rows) == 0 {
		return h
	}
	minutes, hour := map[int64]bool{}, map[int64]bool{}
	pods := map[string]bool{}
	l := &analysis.LevelHistory{}
	newest, n := 0.0, 0.0
	for _, row := range rows {
		minutes[row.at.Unix()/60] = true
		if row.at.Before(start.Add(-time.Hour)) {
			continue
		}
		hour[row.at.Unix()/60] = true
		for _, s := range row.pods {
			pods[s.Pod] = true
			newest += s.Level
			n++
		}
	}
	if n > 0 {
		l.Newest = newest / n
	}
	h.Minutes, h.HourSpan, h.Pods, l.Pods = len(minutes), float64(len(hour)), len(pods), len(pods)
	h.Calibrated = h.Minutes >= minMinutes && h.Pods >= minPods

	s := scaleOf(&o, rows)
	l.Scale, l.Floor, l.Typical = s.scale, s.floor, s.typical
	grid := gridOf(rows, step)
	l.Step = analysis.Duration(grid.step)
	l.Pairs, l.SD = s.pairs(rows, names, grid, weight, seed)
	l.PodSD, l.PodSDPods = s.podSD(rows, len(names))
	l.PodSDKnown = l.PodSDPods >= minPods
	l.Before, l.Control = s.before(rows, grid, start, control)
	h.Level = l
	return h
}

// levelRows sorts the possible levels before start into rows of the grid of step.
func levelRows(sums []analysis.MinuteSum, start time.Time, step time.Duration) ([]oneMinute, []string) {
	type place struct {
		pod string
		row int64
	}
	newest := map[place]int{}
	var kept []analysis.MinuteSum
	var at []time.Time
	for _, s := range sums {
		if !s.Minute.Before(start) || !(math.Abs(s.Level) <= maxLevel) { // nor NaN
			continue
		}
		row := analysis.FoldAt(s.Minute, step).Start
		p := place{s.Pod, row.UnixNano()}
		i, seen := newest[p]
		if !seen {
			i = len(kept)
			newest[p] = i
			kept, at = append(kept, analysis.MinuteSum{}), append(at, s.Minute)
		} else if s.Minute.Before(at[i]) {
			continue
		}
		kept[i], at[i] = analysis.MinuteSum{Minute: row, Pod: s.Pod, Level: s.Level}, s.Minute
	}
	return byMinute(kept, start)
}

// A rowGrid places rows at whole steps.
type rowGrid struct {
	first time.Time
	step  time.Duration
	n     int
}

// gridOf is the grid of the rows: at step, or further apart where the rows are.
func gridOf(rows []oneMinute, step time.Duration) rowGrid {
	gaps := make([]float64, 0, len(rows))
	for i := 1; i < len(rows); i++ {
		gaps = append(gaps, float64(rows[i].at.Sub(rows[i-1].at)/step))
	}
	if len(gaps) > 0 {
		step *= time.Duration(max(1, stats.Quantiles(gaps, .5)[0]))
	}
	first := analysis.FoldAt(rows[0].at, step).Start
	return rowGrid{first: first, step: step, n: int(rows[len(rows)-1].at.Sub(first)/step) + 1}
}

func (g rowGrid) place(at time.Time) int { return int(at.Sub(g.first) / g.step) }

// empty returns a series of gaps.
func (g rowGrid) empty() []float64 {
	out := make([]float64, g.n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// levelScale is where levels are compared.
type levelScale struct {
	o              *analysis.Objective
	scale          analysis.LevelScale
	floor, typical float64
	least          float64 // variance that a row has at least: that of rounding
}

// scaleOf chooses the scale: the logarithm, but of levels that can be 0 the difference.
func scaleOf(o *analysis.Objective, rows []oneMinute) levelScale {
	s := levelScale{o: o, scale: analysis.ScaleLog}
	if o.Target > 0 {
		s.scale = analysis.ScaleShare
	}
	var levels []float64
	low, least, sum := 0.0, math.Inf(1), 0.0
	for _, row := range rows {
		for _, m := range row.pods {
			levels = append(levels, m.Level)
			if m.Level > 0 {
				least = min(least, m.Level)
			} else {
				low++
			}
			if v := s.of(m.Level); s.scale != analysis.ScaleShare {
				sum += math.Abs(m.Level)
			} else if !math.IsNaN(v) {
				sum += v
			}
		}
	}
	s.typical = sum / float64(len(levels))
	if s.scale == analysis.ScaleLog {
		if o.Leak != nil || low > notPositive*float64(len(levels)) {
			s.scale = analysis.ScaleDifference
		} else if !math.IsInf(least, 1) {
			s.floor = floorOfLeast * least
		}
	}
	q := s.quantum(levels)
	s.least = q * q / 12
	return s
}

// quantum is the step by which levels move, on the scale: the least distance between
// two of them.
func (s *levelScale) quantum(levels []float64) float64 {
	slices.Sort(levels)
	step := math.Inf(1)
	for i := 1; i < len(levels); i++ {
		if gap := levels[i] - levels[i-1]; gap > 0 {
			step = min(step, gap)
		}
	}
	switch {
	case math.IsInf(step, 1):
		step = constantNoise
		if s.scale == analysis.ScaleDifference && s.typical > 0 {
			step *= s.typical
		}
	case s.scale == analysis.ScaleLog:
		step /= s.typical
	case s.scale == analysis.ScaleShare && s.o.Signal.Unit == "%":
		step /= 100
	}
	return step
}

func (s *levelScale) of(mean float64) float64 { return s.o.OnScale(s.scale, mean, s.floor) }

// pairs learns from pseudo-canaries: the median over the draws, and the standard
// deviation of the differences themselves.
func (s *levelScale) pairs(rows []oneMinute, names []string, grid rowGrid, weight float64, seed string) (*analysis.LevelFit, float64) {
	if len(names) < minPods {
		return nil, 0
	}
	var alive []int32
	all := make([][]float64, pseudoCanaries)
	var phis, sds []float64
	for draw := range all {
		rank := ranking(names, seed, byte(draw))
		d := grid.empty()
		for i := range rows {
			if len(rows[i].pods) < minPods {
				continue
			}
			var last int32
			last, alive = canaryUpTo(&rows[i], rank, weight, alive)
			d[grid.place(rows[i].at)] = s.difference(&rows[i], rank, last)
		}
		all[draw] = d
		phis = append(phis, stats.FitAR1(d))
		sds = append(sds, math.Sqrt(max(s.least, variance(present(d)))))
	}
	fit := s.fit(all, median(phis))
	if fit == nil {
		return nil, 0
	}
	fit.Mean = 0 // of a pseudo-canary: its own
	return fit, median(sds)
}

// difference is that of the pods up to a rank from the rest.
func (s *levelScale) difference(m *oneMinute, rank []int32, last int32) float64 {
	var canary, rest, nC, nB float64
	for i := range m.pods {
		if rank[m.ids[i]] <= last {
			canary += m.pods[i].Level
			nC++
		} else {
			rest += m.pods[i].Level
			nB++
		}
	}
	return s.of(canary/nC) - s.of(rest/nB)
}

// fit describes the noise of series by a given correlation: medians over the series.
// Nil where they are too short.
func (s *levelScale) fit(all [][]float64, phi float64) *analysis.LevelFit {
	residuals := make([][]float64, len(all))
	var tails []float64
	for i, x := range all {
		residuals[i] = stats.Prewhiten(nil, x, phi)
		tails = append(tails, stats.Kurtosis(residuals[i]))
	}
	f := &analysis.LevelFit{Phi: phi}
	if f.Winsor = median(tails) > heavyTails; f.Winsor {
		f.Low, f.High = winsorise(residuals)
	}
	var n, means, variances, kappas []float64
	for _, h := range residuals {
		n = append(n, float64(len(h)))
		means = append(means, mean(h))
		variances = append(variances, max(s.least, variance(h)))
		kappas = append(kappas, stats.Kappa(h))
	}
	if f.N = median(n); !(f.N >= minRows) {
		return nil
	}
	f.Mean, f.Kappa = median(means), median(kappas)
	f.SS = median(variances) * (f.N - 1)
	return f
}

// winsorise moves the residuals of all series that lie beyond the tail quantiles there,
// and returns how far these are from the mean.
func winsorise(residuals [][]float64) (low, high float64) {
	var pooled []float64
	for _, h := range residuals {
		m := mean(h)
		for _, v := range h {
			pooled = append(pooled, v-m)
		}
	}
	q := stats.Quantiles(pooled, tailQuantile, 1-tailQuantile)
	for _, h := range residuals {
		m := mean(h)
		for i := range h {
			h[i] = max(m+q[0], min(m+q[1], h[i]))
		}
	}
	return q[0], q[1]
}

// podSD is the standard deviation between pods of their mean distance from all pods of
// their row, and of how many pods that have enough rows beside others.
func (s *levelScale) podSD(rows []oneMinute, names int) (sd float64, pods int) {
	sums, n := make([]float64, names), make([]float64, names)
	for i := range rows {
		m := &rows[i]
		if len(m.pods) < minPods {
			continue
		}
		centre := 0.0
		for _, p := range m.pods {
			centre += s.of(p.Level) / float64(len(m.pods))
		}
		if math.IsNaN(centre) {
			continue
		}
		for j, p := range m.pods {
			sums[m.ids[j]] += s.of(p.Level) - centre
			n[m.ids[j]]++
		}
	}
	var means []float64
	for i := range sums {
		if n[i] >= minPodRows {
			means = append(means, sums[i]/n[i])
		}
	}
	return math.Sqrt(variance(means)), len(means)
}

// before learns how the service moves by itself in the last hours, relative to the
// control where there is one.
func (s *levelScale) before(rows []oneMinute, grid rowGrid, start time.Time, control []analysis.MinuteSum) (fit *analysis.LevelFit, controlled bool) {
	x := grid.empty()
	for i := range rows {
		if !rows[i].at.Before(start.Add(-beforeSpan)) {
			x[grid.place(rows[i].at)] = s.of(meanLevel(&rows[i]))
		}
	}
	if len(control) > 0 {
		beside := grid.empty()
		others, _ := levelRows(control, start, grid.step)
		for i := range others {
			if at := grid.place(others[i].at); at >= 0 && at < grid.n {
				beside[at] = s.of(meanLevel(&others[i]))
			}
		}
		for i := range x {
			x[i] -= beside[i]
		}
	}
	return s.fit([][]float64{x}, stats.FitAR1(x)), len(control) > 0
}

func meanLevel(m *oneMinute) float64 {
	sum := 0.0
	for _, p := range m.pods {
		sum += p.Level
	}
	return sum / float64(len(m.pods))
}

// present are the values that are no gaps.
func present(x []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(x), math.IsNaN)
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

func median(x []float64) float64 { return stats.Quantiles(x, .5)[0] }

// variance is 0 below two values.
func variance(x []float64) float64 {
	var m stats.Moments
	for _, v := range x {
		_ = m.Add(v) // what is not finite tells nothing
	}
	if m.N < 2 {
		return 0
	}
	return m.SS() / (m.N - 1)
}
