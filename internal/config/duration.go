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
// units m (minutes), h, d, w, M (months), Q and Y. It is checked, not computed
// with: the time window of an SLO says nothing about how two versions compare.
type sloDuration string

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *sloDuration) UnmarshalText(text []byte) error {
	if !openSLODuration.Match(text) {
		return fmt.Errorf("%q is no OpenSLO duration (one whole number and one of m, h, d, w, M, Q, Y, such as 4w)", text)
	}
	*d = sloDuration(text)
	return nil
}
