package stats

import (
	"math"
	"slices"
)

// PhiEstimate is the overdispersion that history shows at one batch length.
type PhiEstimate struct {
	Minutes   float64 // b
	Phi       float64 // phi^_b, 0 without events
	Effective float64 // K'_b, batches discounted for few events
	Prior     float64 // phi_0,b
}

// HistoryPhi computes the priors phi_0,b from a baseline's A/A history: one-minute
// rows of a pseudo-canary (a subset of the pods) against the rest, in the order
// of time.
//
// Formula: with phi^_b and K'_b of (8), see [Dispersion], for b of 1, 5 and 15
// minutes,
//
//	phi_0,b = max(1, phi^_b (1 + sqrt(2/K'_b))),
//
// an upper estimate by one standard error.
//
// Special cases: K'_b < 3 (too short or too few events) gives NoHistoryPhi; rows
// with exposure in one arm only and impossible rows are ignored.
func HistoryPhi(rows []Row) [3]PhiEstimate { return historyPhi(rows, false) }

// HistoryPhiCommon is HistoryPhi for common outcomes: see DispersionConfig.Common.
func HistoryPhiCommon(rows []Row) [3]PhiEstimate { return historyPhi(rows, true) }

func historyPhi(rows []Row, common bool) [3]PhiEstimate {
	d := historyDispersion()
	d.common = common
	for _, r := range rows {
		_ = d.Add(r.XC, r.XB, r.NC, r.NB) // refused rows are no history
	}
	var out [len(priorMinutes)]PhiEstimate
	for i := range d.sums {
		phi, k := d.sums[i].estimate()
		out[i] = PhiEstimate{Minutes: priorMinutes[i], Phi: phi, Effective: k, Prior: NoHistoryPhi}
		if k >= fewBatches {
			out[i].Prior = max(1, phi*(1+math.Sqrt(2/k)))
		}
	}
	return out
}

// historyDispersion is a Dispersion over rows of one minute with the batch
// lengths of the priors only.
func historyDispersion() *Dispersion {
	d := &Dispersion{ratio: 1, longest: historyCapacity, recent: make([]armRate, 1)}
	for _, m := range priorMinutes {
		d.sums = append(d.sums, batchSums{b: int(m)})
	}
	d.cells.grow(historyCapacity)
	return d
}

// PriorsOf returns the priors of one history.
func PriorsOf(e [3]PhiEstimate) Priors { return Priors{e[0].Prior, e[1].Prior, e[2].Prior} }

// MedianPriors returns the median, batch length by batch length, of the priors of
// several pseudo-canaries. Without any it is NoHistory.
func MedianPriors(all []Priors) Priors {
	if len(all) == 0 {
		return NoHistory()
	}
	var out Priors
	column := make([]float64, len(all))
	for b := range out {
		for i, p := range all {
			column[i] = p[b]
		}
		slices.Sort(column)
		n := len(column)
		out[b] = (column[(n-1)/2] + column[n/2]) / 2
	}
	return out
}
