package report

import (
	"math"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// rulerWidth is the number of cells of a ruler.
const rulerWidth = 64

// wide is how much farther than what must be seen an interval may stretch the scale.
const wide = 5

// A ruler draws the effect of an objective with its interval, and below it, on
// the same scale, equality, tolerance and margin:
//
//	0.9                                                          8.2
//	                  [----------------*--------------------]
//	     |  t       m
//
// Ratios are drawn on a logarithmic scale, differences on a linear one. An end of
// the interval that the scale does not reach is drawn "<" or ">".
type ruler struct {
	ratio    bool
	from, to float64
}

// newRuler returns the ruler of a finding, of ratios or of differences, and whether there is anything to draw.
// The scale holds equality, the limits and the effect, and as much of the interval
// as does not make them too small to see.
func newRuler(f analysis.Finding, ratio bool) (ruler, bool) {
	r := ruler{ratio: ratio}
	equal := r.scale(r.equality())
	if !finite(r.scale(float64(f.Effect))) {
		return r, false
	}
	from, to := equal, equal
	for _, v := range []analysis.Figure{f.Effect, f.Tolerance, f.Margin} {
		if x := r.scale(float64(v)); finite(x) {
			from, to = min(from, x), max(to, x)
		}
	}
	span := max(to-from, 1e-9)
	low, high := r.scale(float64(f.Low)), r.scale(float64(f.High))
	if finite(low) {
		from = min(from, max(low, from-wide*span))
	}
	if finite(high) {
		to = max(to, min(high, to+wide*span))
	}
	edge := 0.05 * max(to-from, 1e-9)
	r.from, r.to = from-edge, to+edge
	return r, true
}

// scale is the coordinate of a value: its logarithm, or itself.
func (r ruler) scale(v float64) float64 {
	if r.ratio {
		return math.Log(v) // NaN and -Inf below 0: not drawn
	}
	return v
}

func (r ruler) value(x float64) float64 {
	if r.ratio {
		return math.Exp(x)
	}
	return x
}

// equality is the effect of a canary that is exactly like its baseline.
func (r ruler) equality() float64 {
	if r.ratio {
		return 1
	}
	return 0
}

// cell is where a value is drawn; outside the scale it is -1 or rulerWidth.
func (r ruler) cell(v analysis.Figure) int {
	x := (r.scale(float64(v)) - r.from) / (r.to - r.from)
	switch {
	case math.IsNaN(x):
		return rulerWidth
	case x < 0:
		return -1
	case x > 1:
		return rulerWidth
	}
	return min(int(x*rulerWidth), rulerWidth-1)
}

// draw returns the three lines of the ruler of f.
func (r ruler) draw(f analysis.Finding, label func(float64) string) [3]string {
	axis := label(r.value(r.from))
	right := label(r.value(r.to))
	axis += strings.Repeat(" ", max(1, rulerWidth-len([]rune(axis))-len([]rune(right)))) + right

	interval := []byte(strings.Repeat(" ", rulerWidth))
	low, high := r.cell(f.Low), r.cell(f.High)
	if r.ratio && !(f.Low > 0) || !r.ratio && !finite(float64(f.Low)) {
		low = -1 // no lower end
	}
	for i := max(low, 0); i <= min(high, rulerWidth-1); i++ {
		interval[i] = '-'
	}
	mark(interval, low, '[', '<')
	mark(interval, high, ']', '>')
	interval[min(max(r.cell(f.Effect), 0), rulerWidth-1)] = '*'

	limits := []byte(strings.Repeat(" ", rulerWidth))
	limits[min(max(r.cell(analysis.Figure(r.equality())), 0), rulerWidth-1)] = '|'
	for _, l := range []struct {
		at   analysis.Figure
		sign byte
	}{{f.Tolerance, 't'}, {f.Margin, 'm'}} {
		if !finite(r.scale(float64(l.at))) {
			continue
		}
		i := min(max(r.cell(l.at), 0), rulerWidth-1)
		for i < rulerWidth-1 && limits[i] != ' ' {
			i++ // too near to tell apart: drawn side by side
		}
		limits[i] = l.sign
	}
	return [3]string{axis, string(interval), string(limits)}
}

// mark draws the end of an interval, or an arrow where it lies outside.
func mark(cells []byte, at int, end, arrow byte) {
	switch {
	case at < 0:
		cells[0] = arrow
	case at >= len(cells):
		cells[len(cells)-1] = arrow
	default:
		cells[at] = end
	}
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
