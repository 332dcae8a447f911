package oc

import "testing"

func TestFigures(t *testing.T) {
	all := []outcome{
		{alarm: 120}, {alarm: 600, promote: 300}, {promote: 900}, {}, {alarm: 240, promote: 0},
	}
	for _, c := range []struct {
		what      string
		got, want string
	}{
		{"rolled back, looked at to the end", alarms(all, 0).withMedian(), ".600 @4.0"},
		{"since an onset", alarms(all, 3).withMedian(), ".400 @1.0"},
		{"promoted first", promotes(all).withMedian(), ".400 @5.0"},
		{"rolled back first", ends(all).withMedian(), ".400 @2.0"},
		{"of nothing", alarms(nil, 0).withInterval(), ""},
		{"always", alarms(all[:1], 0).String(), "1.00"},
		{"with its interval", alarms(all, 0).withInterval(), ".600 (.231–.882)"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.what, c.got, c.want)
		}
	}
	f := alarms(all, 0)
	for minute, want := range map[float64]float64{1.9: 0, 2: .2, 4: .4, 60: .6} {
		if got := f.by(minute); got != want {
			t.Errorf("by minute %v: %v, want %v", minute, got, want)
		}
	}
}
