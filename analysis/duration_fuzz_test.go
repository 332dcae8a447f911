package analysis

import (
	"encoding/json"
	"math"
	"testing"
)

// FuzzDuration: a duration that is understood is written so that it is understood
// again as the same.
func FuzzDuration(f *testing.F) {
	for _, text := range []string{"90s", "15m", "1h30m", "0", "-1ns", "9223372036854775807ns", "1e9h", "1.5µs", "", "7d"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var d, again Duration
		if d.UnmarshalText(text) != nil {
			return
		}
		written, err := d.MarshalText()
		if err != nil || again.UnmarshalText(written) != nil || again != d {
			t.Fatalf("%q is %v, written as %q and read as %v", text, d, written, again)
		}
	})
}

// FuzzFigure: a figure is written with at most six digits, as JSON, and what was
// written is written so again.
func FuzzFigure(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 1.0000005, 123456.5, 5e-324, math.MaxFloat64, math.NaN(), math.Inf(1)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		once, err := json.Marshal(Figure(v))
		var back Figure
		if err != nil || json.Unmarshal(once, &back) != nil {
			t.Fatalf("%v is written %s, %v", v, once, err)
		}
		twice, err := json.Marshal(back)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%v is written %s, then %s", v, once, twice)
		}
		if math.Abs(v) > 1e-290 && !math.IsInf(v, 0) && math.Abs(float64(back)-v) > math.Abs(v)*1e-5 {
			t.Fatalf("%v is written %s", v, once)
		}
	})
}
