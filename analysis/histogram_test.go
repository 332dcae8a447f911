package analysis

import (
	"math"
	"testing"
)

// exponentialOf is a histogram of the schema with the given counts in the buckets that
// end at powers first, first+1 ...
func exponentialOf(schema, first int, counts ...float64) Histogram {
	h := Histogram{Schema: &schema}
	for i, c := range counts {
		h.Bounds, h.Counts = append(h.Bounds, exponentialBound(schema, first+i)), append(h.Counts, c)
	}
	h.Counts = append(h.Counts, 0)
	return h
}

// The margins that a margin of 10 % becomes at each schema (statistics 4.4).
func TestRoundingOfMargins(t *testing.T) {
	for schema, want := range map[int][2]float64{
		3: {.1892, .0905}, 4: {.1388, .0905}, 5: {.1144, .0905}, 6: {.1024, .0905}, 7: {.1024, .0964}, 8: {.1024, .0994},
	} {
		for _, index := range []int{-700, -37, 0, 1, 64, 900} {
			h := exponentialOf(schema, index, 1)
			b := h.Bounds[0]
			up, ok := h.ceil(1.1 * b)
			down, okDown := h.floor(1.1 * b)
			if !ok || !okDown || math.Abs(up/b-1-want[0]) > 5e-5 || math.Abs(down/b-1-want[1]) > 5e-5 {
				t.Errorf("schema %d, bound %d: +%.4f/+%.4f, want %v", schema, index, up/b-1, down/b-1, want)
			}
			if same, ok := h.ceil(b); !ok || same != b {
				t.Errorf("schema %d, bound %d: the bound at or above itself is %v", schema, index, same)
			}
			if same, ok := h.floor(b * (1 + 1e-11)); !ok || same != b {
				t.Errorf("schema %d, bound %d: the bound at or below what was printed of it is %v", schema, index, same)
			}
		}
	}
}

// Bounds of a lower schema are among those of a higher one, bit for bit: what is
// counted at them stays what it was when a histogram is made coarser.
func TestExponentialBoundsAreNested(t *testing.T) {
	for schema := minSchema + 1; schema <= maxSchema; schema++ {
		for _, i := range []int{-900, -3, -1, 0, 1, 2, 5, 700} {
			if schema < 0 {
				i >>= -schema // else beyond all numbers
			}
			if fine, coarse := exponentialBound(schema, 2*i), exponentialBound(schema-1, i); fine != coarse {
				t.Errorf("schema %d, index %d: %v is not %v", schema, i, fine, coarse)
			}
		}
	}
}

// V19: the quantile that PromQL's histogram_quantile gives, and what is known of it.
func TestDisplayQuantile(t *testing.T) {
	classic := Histogram{Bounds: []float64{0, .5, 1}, Counts: []float64{6, 5, 3, 5}} // 6, 11, 14, 19 at or below
	four := exponentialOf(1, 2, 10, 0, 10)                                           // (sqrt 2, 2] and (2 sqrt 2, 4]
	exact, err := ExactHistogram([]float64{3, 1, 2, 2, math.Inf(1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		h            Histogram
		p            float64
		q, low, high float64
	}{
		{"V19", classic, .5, .35, 0, .5},
		{"in the first bucket", classic, .2, 0, math.Inf(-1), 0},
		{"above all bounds", classic, .9, 1, 1, math.Inf(1)},
		{"half of a geometric bucket", four, .25, math.Pow(2, .75), math.Sqrt2, 2},
		{"beyond a gap", four, .75, math.Pow(2, 1.75), 2 * math.Sqrt2, 4},
		{"single values", exact, .5, 2, 2, 2},
		{"the value that never ended", exact, .99, 3, 3, math.Inf(1)},
	} {
		q, low, high := c.h.Quantile(c.p)
		if !near(q, c.q) || !near(low, c.low) && low != c.low || !near(high, c.high) && high != c.high {
			t.Errorf("%s: %v in %v to %v, want %v in %v to %v", c.name, q, low, high, c.q, c.low, c.high)
		}
	}
	for _, p := range []float64{-1, 2, math.NaN()} {
		if q, _, _ := classic.Quantile(p); !math.IsNaN(q) {
			t.Errorf("the %v-quantile is %v", p, q)
		}
	}
	if q, _, _ := (Histogram{}).Quantile(.5); !math.IsNaN(q) {
		t.Errorf("the median of nothing is %v", q)
	}
}

func TestTailIsExactAtBounds(t *testing.T) {
	h := Histogram{Bounds: []float64{1, 2, 4}, Counts: []float64{50, 30, 15, 5}}
	for v, want := range map[float64]float64{.5: 1, 1: .5, 2: .2, 4: .05, 8: .05, math.Sqrt(2): math.Sqrt(.5 * .2), 3: .2 * math.Pow(.25, math.Log(1.5)/math.Ln2)} {
		if got := h.tail(v); !near(got, want) {
			t.Errorf("above %v: %v, want %v", v, got, want)
		}
	}
	if got := (Histogram{}).tail(1); !math.IsNaN(got) {
		t.Errorf("of nothing %v lies above 1", got)
	}
}

func TestImpossibleHistograms(t *testing.T) {
	eleven, three := 21, 3
	for name, h := range map[string]Histogram{
		"a count is missing":     {Bounds: []float64{1, 2}, Counts: []float64{1, 2}},
		"a negative count":       {Bounds: []float64{1}, Counts: []float64{-1, 2}},
		"a count that is none":   {Bounds: []float64{1}, Counts: []float64{math.NaN(), 2}},
		"bounds that fall":       {Bounds: []float64{2, 1}, Counts: []float64{1, 1, 1}},
		"a bound twice":          {Bounds: []float64{1, 1}, Counts: []float64{1, 1, 1}},
		"an infinite bound":      {Bounds: []float64{1, math.Inf(1)}, Counts: []float64{1, 1, 1}},
		"a schema beyond all":    {Bounds: []float64{1}, Counts: []float64{1, 1}, Schema: &eleven},
		"values of buckets":      {Bounds: []float64{1}, Counts: []float64{1, 1}, Schema: &three, Exact: true},
		"a zero threshold below": {Bounds: []float64{1}, Counts: []float64{1, 1}, Schema: &three, Zero: -1},
	} {
		if h.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (Histogram{}).Validate(); err != nil {
		t.Errorf("nothing observed: %v", err)
	}
	for _, v := range []float64{math.NaN(), math.Inf(-1)} {
		if _, err := ExactHistogram([]float64{1, v}); err == nil {
			t.Errorf("the observation %v is accepted", v)
		}
	}
}
