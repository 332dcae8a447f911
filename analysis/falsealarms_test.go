package analysis

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

func windowsOf(start time.Time, length time.Duration, logE ...float64) (out []AAWindow) {
	for i, v := range logE {
		out = append(out, AAWindow{Start: start.Add(time.Duration(i) * length), MaxLogE: Figure(v), Alarm: v > math.Log(100)})
	}
	return out
}

func TestFalseAlarmsMerge(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := FalseAlarms{Windows: windowsOf(start.Add(-2*time.Hour), time.Hour, 1, 2)}
	f.Merge(windowsOf(start.Add(-31*24*time.Hour), time.Hour, 9), start, time.Hour)             // too old
	f.Merge(windowsOf(start.Add(-90*time.Minute), time.Hour, 9), start, time.Hour)              // overlaps
	f.Merge(windowsOf(start.Add(-30*time.Minute), time.Hour, 9), start, time.Hour)              // reaches into the deployment
	f.Merge(windowsOf(start.Add(-48*time.Hour), time.Hour, 5, math.NaN(), 6), start, time.Hour) // and one that says nothing
	var got []float64
	for _, w := range f.Windows {
		got = append(got, float64(w.MaxLogE))
	}
	if len(got) != 4 || got[0] != 5 || got[1] != 6 || got[2] != 1 || got[3] != 2 {
		t.Errorf("windows %v", got)
	}
}

func TestFalseAlarmsRateAndBar(t *testing.T) {
	var none *FalseAlarms
	if _, _, low, high, shown := none.Rate(); shown || low != 0 || high != 1 {
		t.Errorf("nothing known: [%v, %v], shown %v", low, high, shown)
	}
	if got := none.LogBar(.01); got != math.Log(100) {
		t.Errorf("nothing known: bar %v", got)
	}
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	quiet := make([]float64, 299)
	f := &FalseAlarms{Windows: windowsOf(start, time.Hour, quiet...)}
	f.Windows[7].MaxLogE, f.Windows[8].MaxLogE, f.Windows[9].MaxLogE = 9, 9, 9
	if got := f.LogBar(.01); got != math.Log(100) {
		t.Errorf("299 windows raise the bar to %v", got)
	}
	f.Windows = append(f.Windows, AAWindow{Start: start.Add(400 * time.Hour), MaxLogE: 9})
	if got := f.LogBar(.01); got != 9 {
		t.Errorf("four of 300 windows at 9: bar %v", got)
	}
	for i := range f.Windows {
		f.Windows[i].MaxLogE = 0
	}
	if got := f.LogBar(.01); got != math.Log(100) {
		t.Errorf("a quiet service lowers the bar to %v", got)
	}
}

// A verdict is judged again by the plan as it was written down: the bar is the same.
func TestFalseAlarmsBarSurvivesEncoding(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	f := &FalseAlarms{}
	for i := range 300 {
		f.Windows = append(f.Windows, AAWindow{Start: start.Add(time.Duration(i) * time.Hour), MaxLogE: Figure(6 + math.Sqrt(float64(i)))})
	}
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var again FalseAlarms
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if a, b := f.LogBar(.01), again.LogBar(.01); a != b {
		t.Errorf("bar %v before, %v after it was written down", a, b)
	}
}
