package report

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// figure writes a number with three significant digits, as people do.
func figure(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "unknown"
	case math.Abs(v) >= 1000:
		return count(v)
	case v > 0 && v < 1e-6:
		return "under 0.000001"
	case v < 0 && v > -1e-6:
		return "over -0.000001"
	}
	return strconv.FormatFloat(signif(v, 3), 'f', -1, 64)
}

// count writes a number of events with its thousands apart.
func count(v float64) string {
	switch {
	case math.IsNaN(v):
		return "unknown"
	case v < 0:
		return "-" + count(-v)
	case v >= 1e12:
		return "over a trillion"
	}
	if v < 100 && v != math.Trunc(v) {
		return figure(v)
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func signif(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// percent writes a share in percent.
func percent(v float64) string {
	return figure(100*v) + " %"
}

// evidence writes an e-value.
func evidence(e analysis.Figure) string {
	v := float64(e)
	switch {
	case math.IsNaN(v):
		return "unknown"
	case v >= 1e6:
		return "over a million"
	case v > 0 && v < 0.01:
		return "under 0.01"
	}
	return figure(v)
}

// minutesText writes how long something takes from now on.
func minutesText(m analysis.Figure) string {
	v := float64(m)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "unknown"
	case v <= 0:
		return "none"
	case v < 1:
		return "under a minute"
	case v < 120:
		return "about " + count(math.Ceil(v)) + " min"
	case v < 48*60:
		return "about " + figure(signif(v/60, 2)) + " h"
	}
	return "about " + figure(signif(v/60/24, 2)) + " days"
}

// span writes a stretch of time.
func span(d time.Duration) string {
	d = d.Round(time.Second)
	minutes, seconds := int(d/time.Minute), int(d%time.Minute/time.Second)
	switch {
	case d < time.Minute:
		return strconv.Itoa(seconds) + " s"
	case d >= 2*time.Hour:
		return strconv.Itoa(minutes/60) + " h " + strconv.Itoa(minutes%60) + " min"
	case seconds == 0:
		return strconv.Itoa(minutes) + " min"
	}
	return strconv.Itoa(minutes) + " min " + strconv.Itoa(seconds) + " s"
}

// instant writes a time, with its date only where day is another.
func instant(t time.Time, day time.Time) string {
	t, day = t.UTC(), day.UTC()
	if !day.IsZero() && t.Format(time.DateOnly) == day.Format(time.DateOnly) {
		return t.Format(time.TimeOnly)
	}
	return t.Format("2006-01-02 15:04:05") + " UTC"
}
