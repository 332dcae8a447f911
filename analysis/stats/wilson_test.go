package stats

import (
	"math"
	"testing"
)

// Values of prop.test(x, n, correct = FALSE) in R 4.
func TestWilsonReference(t *testing.T) {
	for _, test := range []struct {
		x, n      int
		low, high float64
	}{
		{0, 50, 0, .0713476},
		{5, 50, .0434765, .2136025},
		{50, 50, .9286524, 1},
		{1, 10, .0178762, .4041500},
	} {
		low, high := Wilson(test.x, test.n, .05)
		if math.Abs(low-test.low) > 1e-6 || math.Abs(high-test.high) > 1e-6 {
			t.Errorf("%d of %d: [%.7f, %.7f], want [%v, %v]", test.x, test.n, low, high, test.low, test.high)
		}
	}
	if low, high := Wilson(0, 0, .05); low != 0 || high != 1 {
		t.Errorf("nothing: [%v, %v]", low, high)
	}
}
