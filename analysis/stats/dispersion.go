package stats

import (
	"fmt"
	"math"
	"time"
)

const (
	// NoHistoryPhi is the prior overdispersion without history.
	NoHistoryPhi = 3.0

	priorWeight     = 20 // of phi_0, in batches
	fewBatches      = 3  // below this K' history says nothing
	rateEvents      = 20 // events that make a recent baseline rate
	rateMinutes     = 5  // of the recent baseline rate
	shrinkage       = 2  // events that pull rho^ to 1
	historyCapacity = 15 // minutes of the longest batch of history
)

// priorMinutes are the batch lengths, in minutes, for which history gives a
// prior.
var priorMinutes = [...]float64{1, 5, 15}

// Priors are phi_0,b for b of 1, 5 and 15 minutes.
type Priors [len(priorMinutes)]float64

// NoHistory are the priors of a service without history.
func NoHistory() Priors { return Priors{NoHistoryPhi, NoHistoryPhi, NoHistoryPhi} }

// Max is the largest prior, the one that a forecast uses.
func (p Priors) Max() float64 { return max(p[0], p[1], p[2]) }

// Dispersion estimates online by how much the counts vary more than binomially:
// phi, by which the evidence of [Profile] and [Affine] is divided. Anytime
// validity protects against peeking, not against a wrong variance.
//
// What is estimated: the ratio of the variance of the canary's count, given the
// events of both arms, to its binomial variance, for batches of b consecutive
// folds. Positive serial correlation makes it grow with b, hence several b.
//
// Formula, over the closed batches K of length b:
//
//	phi^_b  = sum_K (x_C,K - sum_k d_k q_k(rho^))^2 / V_b
//	V_b     = sum_K sum_k d_k q_k(rho^) (1 - q_k(rho^))
//	1/K'_b  = 1/K_b + 1/(2 V_b)                                               (8)
//	phi_k   = max(1, max_b (20 phi_0,b + K'_b phi^_b)/(20 + K'_b))
//
// q_k is (1) of Profile and rho^ = (sum x_C + 2)/(sum x_B w/(1-w) + 2) over all
// folds up to and including batch K, so that a real effect is not taken for
// noise. phi_0,b is a prior of weight 20, not a floor. Phi uses closed batches
// only and is therefore predictable: it may be used for the next fold.
//
// Where the baseline's rate over the last five minutes (at least 20 events) is
// r > 1 times the history's, phi becomes 1 + (phi-1) r: noise of pods is
// multiplicative, so phi - 1 grows with the rate.
//
// A fold may have several cells (strata): d, q and x_C are then summed over the
// folds and cells of a batch before squaring, since it is the sum over cells
// whose variance must be right.
//
// Special cases: folds with exposure in one arm only are ignored; batches
// without events count in K_b and add nothing to the sums, which K'_b discounts;
// without closed batches phi is the largest prior.
//
// Validity: dividing by phi is exact for clusters of constant size phi and of
// second order for random cluster sizes S, phi = E S^2/E S.
//
// Cost: one evaluation of q per fold and batch length, amortised; no allocation
// unless a fold has more cells than any before it.
type Dispersion struct {
	pHist float64
	sums  []batchSums

	folds  int     // folds with information so far
	xC, xE float64 // sum x_C and sum x_B w/(1-w)

	cells ring // cells of the folds of the open batches, oldest first
	dirty bool // the fold that is being built has a cell

	recent   []armRate // ring of the last folds of the baseline
	building armRate   // baseline of the fold that is being built
	ratio    float64   // r, 1 unless the rate is above history's
	longest  int       // the largest batch length
	common   bool      // the outcomes are common: see DispersionConfig
}

// batchSums are the accumulators of one batch length.
type batchSums struct {
	b     int     // folds a batch
	prior float64 // phi_0,b
	k     int     // closed batches
	s, v  float64 // sums of squares and of variances
}

type armRate struct{ x, n float64 }

// DispersionConfig says where a Dispersion starts from.
type DispersionConfig struct {
	Cadence time.Duration // time between two folds
	Priors  Priors        // from HistoryPhi; 0 is NoHistoryPhi, else below 1 counts as 1
	PHist   float64       // baseline rate of history, 0 if unknown
	// Common outcomes are those that [Bernoulli] tests: v_K of a batch is multiplied
	// by 1 - p^, p^ the pooled rate of the batch, since the binomial variance of (1)
	// overstates that of Bernoulli outcomes.
	Common bool
}

// NewDispersion returns an estimator without data, or ErrParameter.
func NewDispersion(c DispersionConfig) (*Dispersion, error) {
	if c.Cadence <= 0 || c.Cadence > 24*time.Hour {
		return nil, fmt.Errorf("%w: cadence %v", ErrParameter, c.Cadence)
	}
	if !(c.PHist >= 0 && c.PHist <= 1) {
		return nil, fmt.Errorf("%w: rate of history %v", ErrParameter, c.PHist)
	}
	for i, p := range c.Priors {
		phi, err := clampPhi(p)
		if err != nil {
			return nil, err
		}
		if p == 0 {
			phi = NoHistoryPhi
		}
		c.Priors[i] = phi
	}
	d := &Dispersion{pHist: c.PHist, ratio: 1, common: c.Common}
	for _, l := range BatchLengths(c.Cadence) {
		d.sums = append(d.sums, batchSums{b: l.Folds, prior: c.Priors[l.Prior]})
		d.longest = max(d.longest, l.Folds)
	}
	d.cells.grow(d.longest)
	d.recent = make([]armRate, foldsNear(rateMinutes, c.Cadence))
	return d, nil
}

// BatchLength is a batch length in folds and the index of its prior in Priors.
type BatchLength struct{ Folds, Prior int }

// BatchLengths returns the batch lengths of a cadence, ascending: 1 and 4 folds
// and the numbers of folds nearest to 1, 5 and 15 minutes, each once. A length
// takes the prior of 1, 5 or 15 minutes that is nearest to its duration, the
// longer one in a tie; below one minute that is the 1-minute prior.
func BatchLengths(cadence time.Duration) []BatchLength {
	if cadence <= 0 {
		return nil
	}
	folds := []int{1, 4}
	for _, m := range priorMinutes {
		folds = append(folds, foldsNear(m, cadence))
	}
	var out []BatchLength
	for len(folds) > 0 {
		least := 0
		for i, f := range folds {
			if f < folds[least] {
				least = i
			}
		}
		if f := folds[least]; len(out) == 0 || out[len(out)-1].Folds != f {
			out = append(out, BatchLength{f, nearestPrior(float64(f) * cadence.Minutes())})
		}
		folds = append(folds[:least], folds[least+1:]...)
	}
	return out
}

// foldsNear is the number of folds nearest to a duration, at least 1.
func foldsNear(minutes float64, cadence time.Duration) int {
	return max(1, int(math.Round(minutes/cadence.Minutes())))
}

// nearestPrior is the index of the prior nearest to a duration in minutes.
func nearestPrior(minutes float64) int {
	best := 0
	for i, m := range priorMinutes {
		if math.Abs(m-minutes) <= math.Abs(priorMinutes[best]-minutes) {
			best = i
		}
	}
	return best
}

// Phi is the overdispersion to use for the next fold, at least 1.
func (d *Dispersion) Phi() float64 {
	phi := 1.0
	for i := range d.sums {
		phi = max(phi, d.sums[i].posterior())
	}
	return 1 + float64((phi-1)*d.ratio)
}

// RateRatio is r, the baseline's rate of the last five minutes over that of
// history; 1 where it is lower, where there are fewer than 20 events, and
// without history.
func (d *Dispersion) RateRatio() float64 { return d.ratio }

// posterior is (20 phi_0 + K' phi^)/(20 + K').
func (s *batchSums) posterior() float64 {
	phi, k := s.estimate()
	return (priorWeight*s.prior + float64(k*phi)) / (priorWeight + k)
}

// estimate is phi^ and K', both 0 without variance.
func (s *batchSums) estimate() (phi, k float64) {
	if s.k == 0 || !(s.v > 0) {
		return 0, 0
	}
	return s.s / s.v, 1 / (1/float64(s.k) + 1/(2*s.v))
}

// Add takes a fold of one cell in. Error: ErrCounts; the state is then unchanged.
func (d *Dispersion) Add(xC, xB, nC, nB float64) error {
	if err := d.AddCell(xC, xB, nC, nB); err != nil {
		return err
	}
	d.CloseFold()
	return nil
}

// AddCell adds one cell to the fold that CloseFold will close. Error: ErrCounts;
// the state is then unchanged.
func (d *Dispersion) AddCell(xC, xB, nC, nB float64) error {
	informative, err := checkFold(xC, xB, nC, nB)
	if err != nil || !informative {
		return err
	}
	d.dirty = true
	d.cells.push(cell{d.folds, xC, xB, nC, nB}, d.folds-d.longest+1)
	d.xC += xC
	d.xE += xB / nB * nC // xB <= nB: cannot overflow
	d.building.x += xB
	d.building.n += nB
	return nil
}

// CloseFold ends the fold. A fold without a cell that has exposure in both arms
// is ignored.
func (d *Dispersion) CloseFold() {
	if !d.dirty {
		return
	}
	d.recent[d.folds%len(d.recent)] = d.building
	d.dirty, d.building = false, armRate{}
	d.folds++
	d.ratio = d.rateRatio()
	rho := d.Ratio()
	for i := range d.sums {
		if d.folds%d.sums[i].b == 0 {
			d.closeBatch(&d.sums[i], rho)
		}
	}
}

// Ratio is rho^ = (sum x_C + 2)/(sum x_B w/(1-w) + 2) over all folds and cells so
// far: the ratio of the rates of both arms, shrunk to 1.
func (d *Dispersion) Ratio() float64 { return (d.xC + shrinkage) / (d.xE + shrinkage) }

// closeBatch adds the batch of the last b folds to its sums.
func (d *Dispersion) closeBatch(s *batchSums, rho float64) {
	from := d.folds - s.b
	excess, v, events, exposures := 0.0, 0.0, 0.0, 0.0
	for i := d.cells.n - 1; i >= 0; i-- {
		c := d.cells.at(i)
		if c.fold < from {
			break
		}
		n, k := c.nC+c.nB, c.xC+c.xB
		q := shareOf(rho, c.nC/n)
		excess += c.xC - float64(k*q)
		v += float64(k * q * (1 - q))
		events += k
		exposures += n
	}
	if d.common && exposures > 0 {
		v *= 1 - events/exposures
	}
	s.k++
	s.s += float64(excess * excess)
	s.v += v
}

// rateRatio computes r from the recent folds.
func (d *Dispersion) rateRatio() float64 {
	if d.pHist == 0 {
		return 1
	}
	x, n := 0.0, 0.0
	for _, r := range d.recent {
		x += r.x
		n += r.n
	}
	if x < rateEvents || !(n > 0) {
		return 1
	}
	return max(1, x/n/d.pHist)
}
