package analysis

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// A Duration is a time.Duration that is written as people write it ("20m0s"),
// in plans, bundles and configuration.
type Duration time.Duration

// D returns d as a time.Duration.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration (write 90s, 15m, 1h)", text)
	}
	*d = Duration(v)
	return nil
}

// A Figure is a number meant for people and for comparison between machines: it
// is written with 6 significant digits, because the last bits of exp and of
// fused operations differ between processors. NaN and infinities are written
// null, which reads back as NaN.
type Figure float64

// MarshalJSON implements json.Marshaler.
func (f Figure) MarshalJSON() ([]byte, error) {
	v := float64(f)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return []byte(strconv.FormatFloat(Round6(v), 'g', -1, 64)), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Figure) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*f = Figure(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(data), 64)
	if err != nil {
		return fmt.Errorf("%q is no number", data)
	}
	*f = Figure(v)
	return nil
}

// Round6 rounds v to 6 significant decimal digits.
func Round6(v float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', 5, 64), 64)
	if err != nil {
		return v
	}
	return r
}
