package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Onset is the posterior of the tick at which the canary's share of the events
// changed, given the share q that it had before: element k is the probability that
// ticks 0..k-1 follow q and the rest some other share, the last that none does. Prior:
// uniform over the ticks and "none"; the share after the change is Beta(1,1) (the
// change point of Adams, MacKay 2007, for one change).
//
// xC and xB are the events of both arms in each tick; the share q lies in (0,1).
// Errors: ErrShape for different lengths, ErrParameter for q, ErrCounts for impossible
// counts. No ticks give the single element 1.
func Onset(xC, xB []float64, q float64) ([]float64, error) {
	if len(xC) != len(xB) {
		return nil, ErrShape
	}
	if !(q > 0 && q < 1) {
		return nil, ErrParameter
	}
	for i := range xC {
		if !(xC[i] >= 0 && xC[i] <= maxCount && xB[i] >= 0 && xB[i] <= maxCount) {
			return nil, ErrCounts
		}
	}
	n := len(xC)
	logs := make([]float64, n+1)
	before := 0.0 // log-likelihood of the ticks before k, without binomial coefficients
	for k := range logs {
		logs[k] = before
		if k < n {
			before += float64(xC[k]*math.Log(q)) + float64(xB[k]*math.Log1p(-q))
		}
	}
	c, b := 0.0, 0.0 // events from tick k on
	for k := n - 1; k >= 0; k-- {
		c += xC[k]
		b += xB[k]
		logs[k] += mathext.Lbeta(1+c, 1+b)
	}
	total := logSumExp(logs)
	for k := range logs {
		logs[k] = math.Exp(logs[k] - total)
	}
	return logs, nil
}
