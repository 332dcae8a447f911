package peers

import (
	"math"
	"math/rand/v2"
	"slices"
)

// A Direction says which way a metric may be worse. The zero value is either way.
type Direction uint8

const (
	Either Direction = iota
	Increase
	Decrease
)

// A Label is what Kayenta says of one metric.
type Label string

const (
	Pass       Label = "Pass"
	High       Label = "High"
	Low        Label = "Low"
	NoData     Label = "Nodata"
	NoDataFail Label = "NodataFailMetric"
	Error      Label = "Error"
)

// Kayenta is NetflixACAJudge-v1.0. Tolerance is a share of the estimated shift, not
// of the control: a second demand for significance, not one for importance.
type Kayenta struct {
	Tolerance  float64
	Confidence float64
	Noise      *rand.Rand // for constant arms; nil: a fixed seed
}

// Netflix is the judge with the settings that are written into its source.
var Netflix = Kayenta{Tolerance: .25, Confidence: .98}

// A Metric is how one metric is configured: the analysisConfigurations.canary of
// Kayenta.
type Metric struct {
	Direction     Direction
	ReplaceNaN    bool    // by 0; else they are removed
	OutlierFactor float64 // remove outliers; 0: keep them
	Critical      bool
	MustHaveData  bool
	Effect        Effect // the zero value is MeanRatio
}

// A Classification is what Kayenta says of one metric, and from what. Ratio is that
// of the means, NaN where one is 0.
type Classification struct {
	Label    Label
	Critical bool
	Ratio    float64
	Shift    Shift
	Effect   float64
}

// Classify compares one metric of both arms.
func (k Kayenta) Classify(experiment, control []float64, m Metric) Classification {
	experiment, control = m.prepared(experiment), m.prepared(control)
	if len(experiment) == 0 || len(control) == 0 {
		switch {
		case m.ReplaceNaN:
			return Classification{Label: Pass, Ratio: 1}
		case m.MustHaveData && !m.Critical:
			return Classification{Label: NoDataFail, Ratio: 1}
		}
		return Classification{Label: NoData, Ratio: 1, Critical: m.Critical}
	}
	if sameValues(experiment, control) || distinct(append(slices.Clone(experiment), control...)) == 1 {
		return Classification{Label: Pass, Ratio: 1}
	}
	if distinct(experiment) == 1 && distinct(control) == 1 {
		experiment, control = k.jitter(experiment), k.jitter(control)
	}
	s, err := shift(experiment, control, k.Confidence)
	if err != nil { // an exception on the way: the metric loses its critical mark, too
		return Classification{Label: Error, Ratio: math.NaN()}
	}
	c := Classification{Label: Pass, Ratio: meanRatio(experiment, control), Shift: s, Effect: m.effect().size(experiment, control)}
	band := k.Tolerance * math.Abs(s.Estimate)
	switch e := m.effect(); {
	case m.Direction != Decrease && s.Low > band && !(c.Effect < e.AllowedIncrease):
		c.Label, c.Critical = High, m.Critical && !(c.Effect < e.CriticalIncrease)
	case m.Direction != Increase && s.High < -band && !(c.Effect > e.AllowedDecrease):
		c.Label, c.Critical = Low, m.Critical && !(c.Effect > e.CriticalDecrease)
	}
	return c
}

func (m Metric) effect() Effect {
	if m.Effect == (Effect{}) {
		return MeanRatio
	}
	return m.Effect
}

// prepared handles NaN first, then outliers.
func (m Metric) prepared(values []float64) []float64 {
	out := make([]float64, 0, len(values))
	for _, v := range values {
		switch {
		case !math.IsNaN(v):
			out = append(out, v)
		case m.ReplaceNaN:
			out = append(out, 0)
		}
	}
	if m.OutlierFactor > 0 && len(out) > 0 {
		out = withoutOutliers(out, m.OutlierFactor)
	}
	return out
}

// jitter adds noise to a constant arm, of 1e-5 of its value. Kayenta's generator
// has no recorded seed, so that its answers cannot be repeated; this one's can.
func (k Kayenta) jitter(values []float64) []float64 {
	noise := k.Noise
	if noise == nil {
		noise = rand.New(rand.NewPCG(1, uint64(len(values))))
	}
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = v + 1e-5*v*noise.NormFloat64()
	}
	return out
}

func sameValues(a, b []float64) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func distinct(values []float64) int {
	seen := map[float64]bool{}
	for _, v := range values {
		seen[v] = true
	}
	return len(seen)
}

// Alarm looks at a growing window: at look k, counted from 1, the first k times
// points values of both arms, from look first on. It returns the first look at
// which the metric is High, 0 for never.
func (k Kayenta) Alarm(canary, baseline []float64, points, first int) int {
	for look := first; look*points <= min(len(canary), len(baseline)); look++ {
		if k.Classify(canary[:look*points], baseline[:look*points], Metric{Direction: Increase}).Label == High {
			return look
		}
	}
	return 0
}
