package validation

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// What was told about a time at which something else was tried is left out: minutes that
// touch it, and no others.
func TestUnquietTimesAreLeftOut(t *testing.T) {
	minute := func(i int) analysis.MinuteSum {
		return analysis.MinuteSum{Minute: start.Add(time.Duration(i) * time.Minute), Pod: "p", Exposure: float64(i)}
	}
	var all []analysis.MinuteSum
	for i := range 10 {
		all = append(all, minute(i))
	}
	told := Recollection{Sums: all, control: all, longService: all, longControl: all}
	left := told.without([]span{{start.Add(2*time.Minute + 30*time.Second), start.Add(4 * time.Minute)}, {start.Add(-time.Hour), start}})
	for _, sums := range [][]analysis.MinuteSum{left.Sums, left.control, left.longService, left.longControl} {
		var got []float64
		for _, s := range sums {
			got = append(got, s.Exposure)
		}
		if len(got) != 8 || got[1] != 1 || got[2] != 4 {
			t.Errorf("left are the minutes %v", got)
		}
	}
	if len(all) != 10 || all[2].Exposure != 2 {
		t.Error("the caller's minutes were changed")
	}
	if same := told.without(nil); len(same.Sums) != 10 {
		t.Error("without such times nothing is left out")
	}
}
