package analysis

// An aboveSum adds up what the histograms of a target observed above each bound, as
// [IncreaseOf] goes through the readings.
type aboveSum struct {
	series []CounterSeries
	last   [][]float64 // of each series; nil: nothing yet, hence zeros
	known  []bool      // whether last is what the series held
	delta  []float64   // of the reading

	reading, lost bool // whether the reading tells less than it should; whether a counted one did
	sum, first    []float64
}

// newAboveSum returns nil, which counts nothing, for a target without histograms.
func newAboveSum(target Target) *aboveSum {
	bounds := -1
	for _, s := range target.Series {
		for _, above := range s.Above {
			bounds = max(bounds, len(above))
		}
	}
	if bounds <= 0 {
		return nil
	}
	a := &aboveSum{series: target.Series, last: make([][]float64, len(target.Series)), known: make([]bool, len(target.Series))}
	a.delta, a.sum, a.first = make([]float64, bounds), make([]float64, bounds), make([]float64, bounds)
	a.reset()
	return a
}

// falls reports whether sample n of series s holds less than the one before it.
func (a *aboveSum) falls(s, n int) bool {
	if a == nil || a.series[s].Above == nil || !a.known[s] {
		return false
	}
	for i, v := range a.series[s].Above[n] {
		if a.last[s] != nil && v < a.last[s][i] {
			return true
		}
	}
	return false
}

// reset takes every series for zero.
func (a *aboveSum) reset() {
	if a == nil {
		return
	}
	clear(a.last)
	for i := range a.known {
		a.known[i] = true
	}
}

// begin begins a reading.
func (a *aboveSum) begin() {
	if a == nil {
		return
	}
	clear(a.delta)
	a.reading = false
}

// read takes in sample n of series s.
func (a *aboveSum) read(s, n int) {
	if a == nil || a.series[s].Above == nil {
		return
	}
	above := a.series[s].Above[n]
	if a.series[s].Total {
		if above == nil || !a.known[s] {
			a.reading = true
		}
		for i, v := range above {
			a.delta[i] += v
			if a.last[s] != nil {
				a.delta[i] -= a.last[s][i]
			}
		}
	}
	a.last[s], a.known[s] = above, above != nil
}

// count counts the reading, as a first one or with the others.
func (a *aboveSum) count(first bool) {
	if a == nil {
		return
	}
	a.lost = a.lost || a.reading
	to := a.sum
	if first {
		to = a.first
	}
	for i, v := range a.delta {
		to[i] += v
	}
}

// sums returns what was counted, nothing if a counted reading did not tell.
func (a *aboveSum) sums(first bool) (sum, firstSum []float64) {
	if a == nil || a.lost {
		return nil, nil
	}
	if !first {
		return a.sum, nil
	}
	return a.sum, a.first
}
