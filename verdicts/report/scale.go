package report

import (
	"math"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A scale is what the effect of a finding is written and drawn in.
type scale struct {
	ratio bool   // logarithmic, with 1 in its middle; else linear, with 0
	unit  string // behind figures; "" where what says it
	share bool   // figures are shares, written in percentage points
	what  string // of the baseline the effect is a multiple, or a distance to
	twice string // what is doubled in forecasts; "": nothing is forecast
}

// scaleOf reads the scale from the method and the kind of effect of a finding. The
// unit of the signal is in the plan, which may be nil.
func scaleOf(f analysis.Finding, planned *analysis.PlannedObjective) scale {
	method, _, _ := strings.Cut(f.Method, "/")
	unit := ""
	if planned != nil && planned.Signal.Unit != "1" {
		unit = plain(planned.Signal.Unit, 16)
	}
	ratio := f.EffectKind != "difference"
	switch {
	case f.EffectKind == "slope":
		return scale{unit: unit, what: "a minute faster than the baseline"}
	case method == "distribution":
		return scale{ratio: true, what: "times as long as the baseline", twice: "duration"}
	case method == "level" && ratio:
		return scale{ratio: true, what: "times the baseline's level", twice: "level"}
	case method == "level" && (planned == nil || planned.Target == 0):
		return scale{unit: unit, what: "against the baseline's level", twice: "level"}
	case ratio:
		return scale{ratio: true, what: "times the baseline's rate", twice: "rate"}
	}
	return scale{share: true, what: "percentage points against the baseline's rate", twice: "rate"}
}

// text writes a figure of the scale.
func (s scale) text(v analysis.Figure) string {
	switch {
	case s.share:
		return points(float64(v))
	case s.ratio:
		return figure(float64(v))
	}
	return signed(float64(v), s.unit)
}

// label is the same at the ends of a ruler.
func (s scale) label(v float64) string {
	switch {
	case s.share:
		return points(v)
	case s.ratio:
		return figure(v) + "x"
	}
	return signed(v, s.unit)
}

// points writes a difference of rates in percentage points.
func points(v float64) string { return signed(100*v, "") }

// signed writes a difference.
func signed(v float64, unit string) string {
	text := figure(v)
	if unit == "By" {
		text, unit = bytes(v), ""
	}
	if v > 0 {
		text = "+" + text
	}
	if unit != "" {
		text += " " + unit
	}
	return text
}

// bytes writes a size.
func bytes(v float64) string {
	unit := "B"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if math.Abs(v) < 1024 {
			break
		}
		v, unit = v/1024, larger
	}
	return figure(v) + " " + unit
}

// limits says where harm begins and up to where a canary is safe; of what is better
// when it is higher both lie on the other side of the baseline.
func (s scale) limits(f analysis.Finding) string {
	like, side := 0.0, "below "
	if s.ratio {
		like = 1
	}
	if float64(f.Margin) < like {
		side = "above "
	}
	return "harm begins at " + s.text(f.Tolerance) + " (t), safe is " + side + s.text(f.Margin) + " (m)"
}

func (s scale) bound(v analysis.Figure) string {
	if !finite(float64(v)) {
		return "any size"
	}
	return s.text(v)
}
