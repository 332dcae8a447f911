package stats

import "errors"

var (
	// ErrCounts refuses a fold that cannot be: a number that is negative, not
	// finite or above 1e15, more events than exposures in an arm, or events
	// without exposure.
	ErrCounts = errors.New("stats: impossible counts")
	// ErrPhi refuses an overdispersion that is not a finite number.
	ErrPhi = errors.New("stats: overdispersion is not finite")
	// ErrRate refuses a rate outside (0, 1].
	ErrRate = errors.New("stats: rate outside (0, 1]")
	// ErrShape refuses vectors whose lengths do not belong together.
	ErrShape = errors.New("stats: lengths do not match")
	// ErrParameter refuses a margin, weight, level or duration outside its range.
	ErrParameter = errors.New("stats: parameter out of range")
)

// maxCount is the largest count of one fold. Whole numbers up to it are exact in
// a float64 and so are sums over a handful of cells; no service reaches it.
const maxCount = 1e15

// Row is one slice of time in both arms, as history and the dispersion see it.
type Row struct {
	XC, XB float64 // bad events in the canary and in the baseline
	NC, NB float64 // exposures in the canary and in the baseline
}

// checkFold tells whether a fold carries information: with exposure in one arm
// only it changes nothing, whatever is asked. Impossible counts give ErrCounts.
func checkFold(xC, xB, nC, nB float64) (informative bool, err error) {
	// Written so that a NaN fails every comparison.
	if !(xC >= 0 && xC <= nC && nC <= maxCount && xB >= 0 && xB <= nB && nB <= maxCount) {
		return false, ErrCounts
	}
	return nC > 0 && nB > 0, nil
}

// clampPhi returns phi, at least 1. NaN and infinity give ErrPhi: a fold that
// counts for nothing at all would hide a fault upstream.
func clampPhi(phi float64) (float64, error) {
	switch {
	case !(phi <= maxCount) || phi < -maxCount:
		return 0, ErrPhi
	case phi < 1:
		return 1, nil
	}
	return phi, nil
}

// positive reports whether v is a positive finite number of ordinary size.
func positive(v float64) bool { return v > 1e-300 && v < 1e300 }
