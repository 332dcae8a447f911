package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Wilson is the score interval of Wilson 1927 for a share of x in n at level 1-alpha. It
// is for one look at a sample of fixed size: shares of windows, cases and runs, never
// evidence that is looked at repeatedly. Without a sample it is [0, 1].
func Wilson(x, n int, alpha float64) (low, high float64) {
	if n <= 0 || x < 0 || x > n || !(alpha > 0 && alpha < 1) {
		return 0, 1
	}
	z := distuv.UnitNormal.Quantile(1 - alpha/2)
	size, p := float64(n), float64(x)/float64(n)
	middle := p + z*z/(2*size)
	half := z * math.Sqrt(p*(1-p)/size+z*z/(4*size*size))
	scale := 1 + z*z/size
	low, high = (middle-half)/scale, (middle+half)/scale
	if x == 0 {
		low = 0
	}
	if x == n {
		high = 1
	}
	return low, high
}
