package stats

import (
	"errors"
	"math"
	"slices"
)

// The numbers of a comparison with placebo starts (statistics 7).
const (
	preMinutes     = 30 // before a start, whose mean residual is taken off
	firstLook      = 5  // minutes after a start
	originEvery    = 90 // minutes between placebo starts
	recentOrigins  = 50 // newest placebo starts, whose own false alarms are counted
	controlMinutes = 7 * 24 * 60
	// MinCorrelation is what a control must have to be one: with the service, over the
	// last week before the start, season taken off.
	MinCorrelation = 0.5
)

// ErrHistory says that there is too little history for placebo starts.
var ErrHistory = errors.New("stats: too little history for placebo starts")

// Placebos compares the minutes after a start with those after starts at which nothing
// was started: the in-time placebo test of Abadie, Diamond, Hainmueller 2010, on
// residuals r_t = f(y_t) - f(y_{t-S}) - (f(c_t) - f(c_{t-S})) of a service y, its
// control c and a season S: difference in differences. A fitted slope of the control is
// drawn towards 0 by the control's own noise and lets a part of every shared incident
// through (simulated: .047 false alarms at alpha .01 instead of .010). The statistic of a start is the largest of
// s_k = k^(-1/2) sum_{i<=k} (r_i - mean of the 30 minutes before) over the looks k from 5
// to K. A placebo's statistic is that of its whole horizon, while the observed one only
// grows, so that the p-value holds at every look. What it rests on: the times of
// placebo starts are exchangeable with the time of the start.
type Placebos struct {
	Looks       int       // K, minutes
	Control     bool      // there is a control
	Correlation float64   // of service and control, season taken off; 0 without one
	PreMean     float64   // residual before the start
	Season      []float64 // f(y) - f(c) a season before each of the K minutes; NaN where missing
	Up, Down    []float64 // of s and of -s, one for each placebo start, oldest first
	PreTrend    float64   // p-value of the last hour before the start, as if it had begun there
	FalseAlarms float64   // share of the newest placebo starts that the others call an alarm at Alpha
	Alpha       float64
}

// NewPlacebos learns from the minutes before the start, oldest first: y of the service
// and c of its control on the scale of f (logs, mostly), NaN where there is no value. c
// is nil without a control. skip says which minutes are not to be touched by a placebo
// window: other deployments, declared incidents; nil for none.
//
// Errors: ErrShape for different lengths, ErrParameter for a season, number of looks or
// alpha out of range, ErrHistory where fewer than 2/alpha placebo starts are left.
func NewPlacebos(y, c []float64, skip []bool, season, looks int, alpha float64) (*Placebos, error) {
	if c != nil && len(c) != len(y) || skip != nil && len(skip) != len(y) {
		return nil, ErrShape
	}
	if season < looks || looks < firstLook || !(alpha > 0 && alpha < 1) {
		return nil, ErrParameter
	}
	if len(y) < season+controlMinutes {
		return nil, ErrHistory
	}
	p := &Placebos{Looks: looks, Alpha: alpha, Control: c != nil}
	dy, dc := seasonal(y, season), []float64(nil)
	if c != nil {
		dc = seasonal(c, season)
		p.Correlation = correlation(dy[len(dy)-controlMinutes:], dc[len(dc)-controlMinutes:])
	}
	r := make([]float64, len(dy))
	for t := range r {
		r[t] = dy[t]
		if dc != nil {
			r[t] -= dc[t]
		}
	}
	p.PreMean = meanOf(r[len(r)-preMinutes:])
	for t := len(y) - season; t < len(y)-season+looks; t++ {
		v := y[t]
		if c != nil {
			v -= c[t]
		}
		p.Season = append(p.Season, v)
	}
	for origin := len(r) - looks; origin >= season+preMinutes; origin -= originEvery {
		if skip != nil && slices.Contains(skip[origin-preMinutes:origin+looks], true) {
			continue
		}
		if up, down, ok := maxima(r, origin, looks); ok {
			p.Up, p.Down = append(p.Up, up), append(p.Down, down)
		}
	}
	slices.Reverse(p.Up)
	slices.Reverse(p.Down)
	if float64(len(p.Up)) < 2/alpha || math.IsNaN(p.PreMean) {
		return nil, ErrHistory
	}
	p.PreTrend = 1
	if up, _, ok := maxima(r, len(r)-60, min(60, looks)); ok {
		p.PreTrend = p.PUp(up)
	}
	p.FalseAlarms = p.falseAlarms()
	return p, nil
}

// seasonal is v less what it was a season before; NaN in the first season.
func seasonal(v []float64, season int) []float64 {
	out := make([]float64, len(v))
	for t := range out {
		out[t] = math.NaN()
		if t >= season {
			out[t] = v[t] - v[t-season]
		}
	}
	return out
}

// maxima are the largest s_k and -s_k after an origin. Missing minutes are passed over;
// with fewer than the first look, or no minute before, there are none.
func maxima(r []float64, origin, looks int) (up, down float64, ok bool) {
	pre := meanOf(r[origin-preMinutes : origin])
	if math.IsNaN(pre) {
		return 0, 0, false
	}
	var s PlaceboSum
	for _, v := range r[origin:min(len(r), origin+looks)] {
		s.Add(v - pre)
	}
	return s.Up, s.Down, s.N >= firstLook
}

// falseAlarms is how often the newest placebo starts would have alarmed, each held
// against all others.
func (p *Placebos) falseAlarms() float64 {
	n := min(recentOrigins, len(p.Up))
	alarms := 0
	for i := len(p.Up) - n; i < len(p.Up); i++ {
		asLarge := 0 // itself stands for the 1 in (1 + others)
		for _, m := range p.Up {
			if m >= p.Up[i] {
				asLarge++
			}
		}
		if float64(asLarge)/float64(len(p.Up)) <= p.Alpha {
			alarms++
		}
	}
	return float64(alarms) / float64(n)
}

// Residual is r less its mean before the start, of the minute i (from 0) after it: y and
// c on the scale of f. NaN where something is missing.
func (p *Placebos) Residual(i int, y, c float64) float64 {
	if i < 0 || i >= len(p.Season) {
		return math.NaN()
	}
	v := y - p.Season[i] - p.PreMean
	if p.Control {
		v -= c
	}
	return v
}

// PUp is the p-value of an observed largest s: (1 + placebos at least as large)/(N+1).
func (p *Placebos) PUp(m float64) float64 { return rankP(p.Up, m) }

// PDown is the same for -s.
func (p *Placebos) PDown(m float64) float64 { return rankP(p.Down, m) }

func rankP(placebos []float64, m float64) float64 {
	n := 1
	for _, v := range placebos {
		if !(v < m) {
			n++
		}
	}
	return float64(n) / float64(len(placebos)+1)
}

// LogE is the log of the e-value (N+1) M / (M + sum of the placebos'), with positive
// parts, which may be averaged with others. It is far weaker than the p-value.
func (p *Placebos) LogE(m float64) float64 {
	m = max(m, 0)
	sum := m
	for _, v := range p.Up {
		sum += max(v, 0)
	}
	if m == 0 {
		if sum == 0 {
			return 0 // all alike: nothing is known
		}
		return math.Inf(-1)
	}
	return math.Log(float64(len(p.Up)+1)) + math.Log(m/sum)
}

// Quantile of the placebos' largest s, by linear interpolation.
func (p *Placebos) Quantile(q float64) float64 {
	sorted := slices.Clone(p.Up)
	slices.Sort(sorted)
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + float64((at-float64(low))*(sorted[low+1]-sorted[low]))
}

// A PlaceboSum is the running statistic after a start. The zero value has seen nothing.
type PlaceboSum struct {
	N        int     // minutes
	Sum      float64 // of the residuals
	Up, Down float64 // largest s_k and -s_k from the first look on
}

// Add takes in the residual of a further minute, less its mean before the start; a NaN
// (missing) is passed over.
func (s *PlaceboSum) Add(r float64) {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return
	}
	s.N++
	s.Sum += r
	v := s.Now()
	switch {
	case s.N == firstLook:
		s.Up, s.Down = v, -v
	case s.N > firstLook:
		s.Up, s.Down = max(s.Up, v), max(s.Down, -v)
	}
}

// Now is s_k at the newest minute, 0 before there is one.
func (s *PlaceboSum) Now() float64 {
	if s.N == 0 {
		return 0
	}
	return s.Sum / math.Sqrt(float64(s.N))
}

// Looked reports whether there were enough minutes for a look.
func (s *PlaceboSum) Looked() bool { return s.N >= firstLook }

// meanOf is the mean of the values that are there, NaN where fewer than half are.
func meanOf(v []float64) float64 {
	sum, n := 0.0, 0
	for _, x := range v {
		if !math.IsNaN(x) {
			sum += x
			n++
		}
	}
	if 2*n < len(v) || n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// correlation of the pairs without NaN; 0 where one does not vary.
func correlation(y, x []float64) float64 {
	var n, sy, sx float64
	for i := range y {
		if v := y[i] + x[i]; !math.IsNaN(v) {
			n++
			sy += y[i]
			sx += x[i]
		}
	}
	if n == 0 {
		return 0
	}
	var syy, sxx, sxy float64
	for i := range y {
		if v := y[i] + x[i]; !math.IsNaN(v) {
			dy, dx := y[i]-sy/n, x[i]-sx/n
			syy += float64(dy * dy)
			sxx += float64(dx * dx)
			sxy += float64(dx * dy)
		}
	}
	if !positive(syy) || !positive(sxx) {
		return 0
	}
	return sxy / math.Sqrt(float64(syy*sxx))
}
