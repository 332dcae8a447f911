package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var wholeDays = regexp.MustCompile(`^([0-9]{1,5})([dw])$`)

// longestDays is what a time.Duration can hold.
const longestDays = int(math.MaxInt64 / (24 * time.Hour))

// parseDuration reads a duration as Go writes it (90s, 15m, 1h30m), or whole days
// and weeks (7d, 2w), which retentions are counted in. It is never negative.
func parseDuration(s string) (time.Duration, error) {
	if m := wholeDays.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		if m[2] == "w" {
			n *= 7
		}
		if n > longestDays {
			return 0, fmt.Errorf("%q is longer than %d days", s, longestDays)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration (write 90s, 15m, 1h, 7d)", s)
	}
	return d, nil
}

var openSLODuration = regexp.MustCompile(`^[1-9][0-9]{0,5}[mhdwMQY]$`)

// sloDuration is a duration of OpenSLO: one positive whole number and one of the
// units m (minutes), h, d, w, M (months), Q and Y. It is kept as it was written.
type sloDuration string

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *sloDuration) UnmarshalText(text []byte) error {
	if !openSLODuration.Match(text) {
		return fmt.Errorf("%q is no OpenSLO duration (one whole number and one of m, h, d, w, M, Q, Y, such as 4w)", text)
	}
	*d = sloDuration(text)
	return nil
}

var sloUnits = map[byte]time.Duration{
	'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
	'M': 30 * 24 * time.Hour, 'Q': 90 * 24 * time.Hour, 'Y': 365 * 24 * time.Hour,
}

// longestWindow is far beyond that of any SLO.
const longestWindow = 100 * 365 * 24 * time.Hour

// window is how long d is, a month being 30 days, a quarter 90 and a year 365; false
// where that is longer than any window of an SLO.
func (d sloDuration) window() (time.Duration, bool) {
	if !openSLODuration.MatchString(string(d)) {
		return 0, false
	}
	last := len(d) - 1
	n, _ := strconv.Atoi(string(d[:last]))
	unit := sloUnits[d[last]]
	if time.Duration(n) > longestWindow/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}
