package analysis

import (
	"testing"
	"time"
)

func TestCadenceOf(t *testing.T) {
	for _, c := range []struct {
		spacing float64 // seconds
		want    time.Duration
	}{
		{0, 60 * time.Second}, // unknown
		{-1, 60 * time.Second},
		{60.003, 60 * time.Second},
		{17, 20 * time.Second}, // 15 is 12% off: up
		{16, 15 * time.Second}, // 15 is 6% off
		{16.6, 15 * time.Second},
		{16.7, 20 * time.Second}, // 1.7 is more than a tenth
		{14, 15 * time.Second},
		{5, 5 * time.Second},
		{4.6, 5 * time.Second},
		{5.2, 5 * time.Second},
		{1, 5 * time.Second}, // no cadence is below the base tick
		{.001, 5 * time.Second},
		{7, 10 * time.Second},
		{29.9, 30 * time.Second},
		{57, 55 * time.Second}, // the nearest, within a tenth
		{301, 300 * time.Second},
		{3600, time.Hour},
	} {
		if got := CadenceOf(time.Duration(c.spacing * float64(time.Second))); got != c.want {
			t.Errorf("spacing of %v s: cadence %v, want %v", c.spacing, got, c.want)
		}
	}
}

func TestCadenceIsAWholeNumberOfTicksNearTheSpacing(t *testing.T) {
	for spacing := 100 * time.Millisecond; spacing < 10*time.Minute; spacing += 137 * time.Millisecond {
		c := CadenceOf(spacing)
		if c%BaseTick != 0 || c < BaseTick {
			t.Fatalf("spacing %v: cadence %v is no whole number of ticks", spacing, c)
		}
		if c < spacing-spacing/10 || c > spacing+BaseTick {
			t.Fatalf("spacing %v: cadence %v", spacing, c)
		}
	}
}

func TestLatenessOf(t *testing.T) {
	if got := LatenessOf(15*time.Second, 0); got != 40*time.Second {
		t.Errorf("lateness %v, want twice the cadence and 10 s", got)
	}
}

func TestFoldsLieOnTheGridOfTheEpoch(t *testing.T) {
	utc := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		at         string
		cadence    time.Duration
		start, end string
	}{
		{"2026-03-04T10:00:00Z", 15 * time.Second, "2026-03-04T10:00:00Z", "2026-03-04T10:00:15Z"}, // the start belongs to the fold
		{"2026-03-04T09:59:59.999999999Z", 15 * time.Second, "2026-03-04T09:59:45Z", "2026-03-04T10:00:00Z"},
		{"2026-03-04T10:00:07Z", 15 * time.Second, "2026-03-04T10:00:00Z", "2026-03-04T10:00:15Z"},
		// 35 s divide no minute: 1772618400 s after the epoch are 50646240 folds.
		{"2026-03-04T10:00:00Z", 35 * time.Second, "2026-03-04T10:00:00Z", "2026-03-04T10:00:35Z"},
		{"2026-03-04T10:00:36Z", 35 * time.Second, "2026-03-04T10:00:35Z", "2026-03-04T10:01:10Z"},
		{"2026-03-04T11:00:07+01:00", 15 * time.Second, "2026-03-04T10:00:00Z", "2026-03-04T10:00:15Z"},
		{"1969-12-31T23:59:59Z", 15 * time.Second, "1969-12-31T23:59:45Z", "1970-01-01T00:00:00Z"},
	} {
		got := FoldAt(utc(c.at), c.cadence)
		if want := (Fold{utc(c.start), utc(c.end)}); got != want {
			t.Errorf("%s in folds of %v: %v, want %v", c.at, c.cadence, got, want)
		}
		if next := got.Next(); !next.Start.Equal(got.End) || next.End.Sub(next.Start) != c.cadence {
			t.Errorf("after %v comes %v", got, next)
		}
		if got.Start.UnixNano()%int64(c.cadence) != 0 {
			t.Errorf("%v does not begin on the grid", got)
		}
	}
}
