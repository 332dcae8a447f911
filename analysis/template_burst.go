package analysis

import "math"

// burstLength is how many folds make a long batch.
const burstLength = 4

// The estimate of a burst is that of stats.Dispersion, formula (8) of statistics 3.5, for
// batches of one and four folds, with a prior of 1 and its weight of 20 batches. It has
// no history, and is kept for hundreds of templates: it therefore remembers next to
// nothing, and says nothing below three effective batches.
const (
	burstPrior   = 20
	burstBatches = 3
	burstShrink  = 2 // events that pull the ratio to 1
)

// A burst estimates by how much the events of one template come in clusters. Phi uses
// the folds before only, hence it may temper the next one.
type burst struct {
	XC, XE   float64 // events of the canary, and those expected of it
	One      burstSums
	Four     burstSums
	Open     [burstLength]burstFold // of the newest long batch, those with events
	N, Batch int                    // folds in Open, number of the batch
}

type burstSums struct{ S, V float64 }

type burstFold struct{ D, W, XC float64 }

// add takes in fold k (from 0) of those with exposure in both arms.
func (b *burst) add(k int, c foldCounts) {
	b.reach(k)
	f := burstFold{D: c.xC + c.xB, W: c.nC / (c.nC + c.nB), XC: c.xC}
	if f.D == 0 {
		return
	}
	b.XC += c.xC
	b.XE += float64(c.xB / c.nB * c.nC)
	rho := b.ratio()
	excess, v := f.against(rho)
	b.One.S += float64(excess * excess)
	b.One.V += v
	b.Open[b.N] = f
	b.N++
}

// reach ends the open long batch where fold k belongs to a later one.
func (b *burst) reach(k int) {
	batch := k / burstLength
	if batch == b.Batch && b.N < burstLength {
		return
	}
	b.Batch = batch
	rho, excess, v := b.ratio(), 0.0, 0.0
	for _, f := range b.Open[:b.N] {
		e, w := f.against(rho)
		excess += e
		v += w
	}
	b.Four.S += float64(excess * excess)
	b.Four.V += v
	b.N = 0
}

func (b *burst) ratio() float64 { return (b.XC + burstShrink) / (b.XE + burstShrink) }

// against returns what the fold has beyond its share of the events, and the variance of
// that.
func (f burstFold) against(rho float64) (excess, variance float64) {
	q := rho * f.W / (1 + float64((rho-1)*f.W))
	return f.XC - float64(f.D*q), float64(f.D * q * (1 - q))
}

// phi is the overdispersion for fold k (from 0), at least 1.
func (b *burst) phi(k int) float64 {
	b.reach(k)
	phi := math.Max(b.One.posterior(k), b.Four.posterior(k/burstLength))
	return min(max(1, phi), maxPhi)
}

func (s burstSums) posterior(batches int) float64 {
	if batches == 0 || !(s.V > 0) {
		return 1
	}
	k := 1 / (1/float64(batches) + 1/(2*s.V))
	if k < burstBatches {
		return 1
	}
	return (burstPrior + float64(k*s.S/s.V)) / (burstPrior + k)
}
