package analysis

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// LongSpan is how far back a comparison with the time before reaches where no baseline
// runs beside the canary: 13 days of placebo starts, a day whose values the first of them
// is held against, and the half hour before it (statistics 7).
const LongSpan = 14*24*time.Hour + time.Hour

// Season is what a level is compared with: the same minute of the day before.
const Season = 24 * time.Hour

// LongHistory is what two weeks of a level and of its control say about starts at which
// nothing was started: the numbers of stats.Placebos, a minute apart, on the scale of the
// comparison.
type LongHistory struct {
	Looks       int       `json:"looks"`
	Correlation float64   `json:"correlation"`
	PreMean     float64   `json:"preMean"`
	Season      []float64 `json:"season"` // service less control, a season before each minute
	Gaps        []int     `json:"gaps,omitempty"`
	Up          []float64 `json:"up"`
	Down        []float64 `json:"down"`
	PreTrend    float64   `json:"preTrend"`
	FalseAlarms float64   `json:"falseAlarms"`
	Alpha       float64   `json:"alpha"`
	// Refused says why nothing may be concluded from it, although there is enough.
	Refused string `json:"refused,omitempty"`
}

// NewLongHistory keeps what was learned from placebo starts, and says where nothing may
// be concluded: a control that does not move with the service, quiet times that alarm too
// often, a trend that began before the deployment.
func NewLongHistory(p *stats.Placebos) *LongHistory {
	h := &LongHistory{
		Looks: p.Looks, Correlation: p.Correlation, PreMean: p.PreMean, Up: p.Up, Down: p.Down,
		PreTrend: p.PreTrend, FalseAlarms: p.FalseAlarms, Alpha: p.Alpha,
	}
	for i, v := range p.Season {
		if math.IsNaN(v) {
			h.Gaps = append(h.Gaps, i)
			v = 0
		}
		h.Season = append(h.Season, v)
	}
	switch {
	case !(p.Correlation >= stats.MinCorrelation):
		h.Refused = fmt.Sprintf("its control does not move with it (correlation %.2f, at least %.1f is needed)", p.Correlation, stats.MinCorrelation)
	case p.FalseAlarms > 2*p.Alpha:
		h.Refused = fmt.Sprintf("quiet times of the last days would have alarmed in %.0f%%", 100*p.FalseAlarms)
	case p.PreTrend < 0.05:
		h.Refused = fmt.Sprintf("it moved already in the hour before the deployment (p %.2g)", p.PreTrend)
	}
	return h
}

func (h *LongHistory) placebos() *stats.Placebos {
	p := &stats.Placebos{
		Looks: h.Looks, Control: true, Correlation: h.Correlation, PreMean: h.PreMean, Up: h.Up, Down: h.Down,
		PreTrend: h.PreTrend, FalseAlarms: h.FalseAlarms, Alpha: h.Alpha, Season: append([]float64{}, h.Season...),
	}
	for _, i := range h.Gaps {
		if i >= 0 && i < len(p.Season) {
			p.Season[i] = math.NaN()
		}
	}
	return p
}
