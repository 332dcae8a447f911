package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// groupLevel is the mean level of the pods of one arm in one fold, and how many pods
// it is the mean of.
type groupLevel struct {
	mean float64
	pods int
}

// groupOf reads the mean over the rows with a sample. Where levels add up, the rows of
// one pod (one for each stratum and version) do so first, as in its history.
func groupOf(rows []ArmRow, adds bool) (g groupLevel) {
	sum, n := 0.0, 0
	last := ""
	for i := range rows {
		if r := &rows[i]; r.Received > 0 {
			sum += r.Level
			n++
			if g.pods == 0 || r.Pod != last {
				g.pods++
			}
			last = r.Pod
		}
	}
	if adds {
		n = g.pods
	}
	g.mean = sum / float64(n)
	return g
}

// bounds are where the questions of harm and of safety stand in one fold.
type bounds struct{ harm, safety float64 }

// batchSpan is the length of the means that are compared where no history tells how
// the noise hangs together; minBatches how many of them tell anything (statistics 5.2).
const (
	batchSpan  = 5 * time.Minute
	minBatches = 10
)

// A levelSeries takes in the rows of one comparison and reads the e-values from them:
// prewhitened by the noise of history, or as means of 5 minutes where there is none.
type levelSeries struct {
	fit    *LevelFit // nil: no history
	before bool      // the rows are compared with the mean of history, not with an arm
	batch  int       // rows of a batch, without history
	seriesState
}

// seriesState is the part of a series that a checkpoint carries.
type seriesState struct {
	Set          bool // there is a row before
	X            float64
	Harm, Safety float64 // its bounds
	Open         openBatch
	// Wider is how much larger the variance of the newest rows is than that of history,
	// where they are means of fewer pods; 0 is 1.
	Wider float64
	// U are the rows less each bound, Level those less none.
	UHarm, USafety, Level stats.Moments
	Starts                []stats.Moments // UHarm at each restart
	Spike                 bool            // the newest row lies spikeSD off what is expected of a canary on its tolerance
}

// openBatch sums rows that are no whole batch yet.
type openBatch struct {
	N                   int
	Harm, Safety, Level float64
}

func newLevelSeries(fit *LevelFit, before bool, cadence time.Duration, slots int) levelSeries {
	return levelSeries{
		fit: fit, before: before, batch: max(1, int(batchSpan/cadence)),
		seriesState: seriesState{Starts: make([]stats.Moments, 0, slots)},
	}
}

// restart begins one more count of harm.
func (s *levelSeries) restart() { s.Starts = append(s.Starts, s.UHarm) }

// gap forgets the row before: the next one has no neighbour.
func (s *levelSeries) gap() { s.Set = false }

// add takes in a row and the bounds that it is held against.
func (s *levelSeries) add(x float64, b bounds) error {
	if s.fit == nil {
		return s.addToBatch(x, b)
	}
	if !s.Set {
		s.Set, s.X, s.Harm, s.Safety = true, x, b.harm, b.safety
		return nil
	}
	phi := s.fit.Phi
	w := x - float64(phi*s.X)
	harm, safety := w-(b.harm-float64(phi*s.Harm)), w-(b.safety-float64(phi*s.Safety))
	s.X, s.Harm, s.Safety = x, b.harm, b.safety
	s.Spike = harm-s.expected() > spikeSD*s.fit.sd()
	return s.take(s.winsorised(harm), s.winsorised(safety), w)
}

func (s *levelSeries) addToBatch(x float64, b bounds) error {
	o := &s.Open
	o.N++
	o.Harm += x - b.harm
	o.Safety += x - b.safety
	o.Level += x
	if o.N < s.batch {
		return nil
	}
	n := float64(o.N)
	harm, safety, level := o.Harm/n, o.Safety/n, o.Level/n
	*o = openBatch{}
	return s.take(harm, safety, level)
}

func (s *levelSeries) take(harm, safety, level float64) error {
	if err := s.UHarm.Add(harm); err != nil {
		return fmt.Errorf("a difference of levels of %v: %w", level, err)
	}
	if err := s.USafety.Add(safety); err != nil {
		return err
	}
	return s.Level.Add(level)
}

// winsorised moves a residual of heavy tails to the quantiles of history.
func (s *levelSeries) winsorised(u float64) float64 {
	if !s.fit.Winsor {
		return u
	}
	return max(s.expected()+s.fit.Low, min(s.expected()+s.fit.High, u))
}

// expected is the mean of the residuals of healthy rows: that of pseudo-canaries is
// their own, and no news of the canary's.
func (s *levelSeries) expected() float64 {
	if s.before {
		return s.fit.Mean
	}
	return 0
}

// enough reports whether m holds the rows that it takes to tell anything.
func (s *levelSeries) enough(m stats.Moments) bool {
	if s.fit == nil {
		return m.N >= minBatches
	}
	return m.N >= minResiduals
}

// spikeSD is how many standard deviations off a row is a spike: at the start of a
// lasting shift, or a glitch.
const spikeSD = 4

// guardRows is from how many rows their own variance counts where it is larger than
// that of history.
const guardRows = 20

// spread returns the standard error of the mean of m, the degrees of freedom nu and
// the residual sum of squares s of the tested column.
func (s *levelSeries) spread(m stats.Moments) (se, nu, column float64) {
	n := m.N
	if s.fit == nil {
		return math.Sqrt(m.SS() / (n - 1) / n), n - 1, n
	}
	f := s.fit
	variance := (float64(f.SS*max(1, s.Wider)) + m.SS()) / (f.N + n - 2)
	if n >= guardRows {
		variance = max(variance, m.SS()/(n-1))
	}
	per, columns := 1/n, 2.0
	if s.before {
		per, columns = 1/n+1/f.N, 3
	}
	return math.Sqrt(f.Kappa * variance * per), f.N + n - columns, 1 / per
}

// logE is the evidence that the mean of m lies above what is expected (sign 1), or
// below (sign -1). Without any spread it is 0: nothing tells how much the mean could
// have differed by chance.
func (s *levelSeries) logE(m stats.Moments, sign float64, of tMean) float64 {
	if !s.enough(m) {
		return 0
	}
	se, nu, column := s.spread(m)
	if !(se > 0) {
		return 0
	}
	return of(sign*(m.Mean()-s.expected())/se, nu, column, &stats.LevelPrior)
}

// tMean is stats.LogTMean, or its bound.
type tMean func(t, nu, s float64, prior *stats.TPrior) float64

// logHarm is ln E_R over all start times, or a bound of it. Logs is scratch space,
// returned for the next call.
func (s *levelSeries) logHarm(of tMean, slots int, logs []float64) (float64, []float64) {
	logs = logs[:0]
	for i := range s.Starts {
		logs = append(logs, s.logE(s.UHarm.Since(s.Starts[i]), 1, of))
	}
	return stats.LogStartMixture(s.logE(s.UHarm, 1, of), logs, slots), logs
}

// logSafety is ln E_P now.
func (s *levelSeries) logSafety() float64 { return s.logE(s.USafety, -1, stats.LogTMean) }

// estimate returns the difference of the levels and half the width of its confidence
// sequence at level alpha; NaN before there is one.
func (s *levelSeries) estimate(alpha float64) (x, half float64) {
	m := s.Level
	if m.N == 0 {
		return math.NaN(), math.NaN()
	}
	scale := 1.0
	if s.fit != nil {
		scale = 1 - s.fit.Phi
	}
	x = (m.Mean() - s.expected()) / scale
	if !s.enough(m) {
		return x, math.Inf(1)
	}
	se, nu, column := s.spread(m)
	if !(se > 0) {
		return x, math.Inf(1)
	}
	return x, se / scale * stats.TBar(math.Log(2/alpha), nu, column, &stats.LevelPrior)
}

// rowsNeeded forecasts how many further rows it takes until the evidence reaches bar,
// if each lies by drift from its bound: at the median, the sum of noise to come is 0.
// +Inf where they would never do, NaN without history.
func (s *levelSeries) rowsNeeded(m stats.Moments, sign, drift, bar float64) float64 {
	if s.fit == nil || !(s.fit.SS > 0) {
		return math.NaN()
	}
	mean, n := 0.0, m.N
	if n > 0 {
		mean = m.Mean() - s.expected()
	}
	drift *= 1 - s.fit.Phi
	reached := func(more float64) bool {
		total := n + more
		if total < minResiduals {
			return false
		}
		later := stats.Moments{N: total, SumSq: m.SS() + more*s.fit.SS*max(1, s.Wider)/(s.fit.N-1)}
		se, nu, column := s.spread(later)
		t := sign * (float64(mean*n) + float64(drift*more)) / total / se
		return stats.LogTMean(t, nu, column, &stats.LevelPrior) >= bar
	}
	const never = 1e7
	hi := 1.0
	for !reached(hi) {
		if hi *= 2; hi > never {
			return math.Inf(1)
		}
	}
	for lo := hi / 2; hi-lo > .5; {
		if mid := (lo + hi) / 2; reached(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return math.Ceil(hi)
}
