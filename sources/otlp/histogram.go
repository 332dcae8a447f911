package otlp

import (
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// fellAt reports whether buckets of sample i hold less than those of the one before.
func (c portion) fellAt(i int) bool { return c.buckets != nil && fell(c.buckets[i-1], c.buckets[i]) }

// falls returns the readings at which buckets of any series hold less than before,
// although its count may not have fallen.
func falls(cuts []portion) []time.Time {
	var out []time.Time
	for _, c := range cuts {
		for i := 1; c.kind != delta && i < len(c.buckets); i++ {
			if c.fellAt(i) {
				out = append(out, instant(c.samples[i].t))
			}
		}
	}
	return out
}

// above is, for each sample that counter makes of the portion, what it held above each
// bound of g. Where only differences matter, as counter makes them, what lies before
// the fold need not be known: it counts as nothing.
func (c portion) above(g *grid, exact bool, foldStart int64, withReference bool) [][]float64 {
	if c.field != analysis.FieldCount {
		return nil
	}
	out := make([][]float64, 0, len(c.samples)+1)
	if withReference {
		out = append(out, make([]float64, g.len()))
	}
	sum := make([]float64, g.len())
	var before []float64
	for i, s := range c.samples {
		var now []float64
		if c.buckets != nil {
			now = g.above(c.buckets[i])
		}
		if c.kind != delta && !exact {
			out = append(out, now)
			continue
		}
		grown := now
		if c.kind != delta && i > 0 && !restarted(c.samples[i-1], s) {
			grown = minus(now, before)
		}
		switch {
		case grown != nil:
			sum = plus(sum, grown)
			out = append(out, sum)
		case s.t <= foldStart:
			out = append(out, sum)
		default:
			out = append(out, nil)
		}
		before = now
	}
	return out
}

func plus(a, b []float64) []float64 {
	out := slices.Clone(a)
	for i, v := range b {
		out[i] += v
	}
	return out
}

// minus returns nil for what is not known, or less than nothing.
func minus(a, b []float64) []float64 {
	if a == nil || b == nil {
		return nil
	}
	out := slices.Clone(a)
	for i, v := range b {
		if out[i] -= v; out[i] < 0 {
			return nil
		}
	}
	return out
}

// buckets returns the histograms that the stretch's increases come from: those of the
// fold, and the ones before it that they go on counting from. One that is not kept is
// nil.
func (s stretch) buckets() []*buckets {
	var out []*buckets
	start := s.fold.Start.UnixNano()
	for _, c := range s.cuts {
		for i, p := range c.samples {
			reference := p.t <= start && i+1 < len(c.samples) && c.samples[i+1].t > start && c.kind != delta && !c.restartsAt(i+1, s.exact)
			if p.t <= start && !reference {
				continue
			}
			if c.buckets == nil {
				out = append(out, nil)
			} else {
				out = append(out, c.buckets[i])
			}
		}
	}
	return out
}

// restartsAt reports whether the series began anew before sample i.
func (c portion) restartsAt(i int, exact bool) bool {
	before, after := c.samples[i-1], c.samples[i]
	return restarted(before, after) || !exact && after.v < before.v
}

// observed returns the buckets of what the picked histograms observed in the
// fold, nil if some of them do not tell.
func observed(picked []counted, fold analysis.Fold, since time.Time) (inc analysis.Increase, received int, seen *buckets) {
	s := stretchOf(picked, fold, since)
	g, ok := common(s.buckets())
	if !ok {
		inc, received = analysis.IncreaseOf(s.target(nil), fold, false)
		return inc, received, nil
	}
	inc, received = analysis.IncreaseOf(s.target(g), fold, false)
	if received == 0 || inc.Above == nil && g.len() > 0 {
		return inc, received, nil
	}
	return inc, received, g.buckets(inc.Above, inc.Exposure)
}
