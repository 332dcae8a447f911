package config

import "testing"

// FuzzDuration: a duration is never negative, and one that Go writes is read as the
// same; a percentage is a finite share.
func FuzzDuration(f *testing.F) {
	for _, text := range []string{"90s", "7d", "2w", "99999w", "15250w", "15251w", "1h30m", "-1s", "1e3s", "9223372036s", "25%", "10000%", "NaN%", "-0%", "4M"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil {
			again, err := parseDuration(d.String())
			if d < 0 || err != nil || again != d {
				t.Fatalf("%q is %v, which is read as %v, %v", text, d, again, err)
			}
		}
		if share, err := parsePercent(text); err == nil && !(share >= 0 && share <= 100) {
			t.Fatalf("%q is %v", text, share)
		}
		var slo sloDuration
		if slo.UnmarshalText([]byte(text)) == nil && string(slo) != text {
			t.Fatalf("%q is kept as %q", text, slo)
		}
	})
}
