package history

import (
	"math"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// LearnLong reduces two weeks of minutes of a level and of its control to what starts at
// which nothing was started look like (statistics 7). h is what the last day says: on its
// scale the two are compared. The window is that of the deployment; alpha is the error
// rate of the objective, its share of the plan's. Sums at or after start are ignored.
//
// Nil means that there is too little history, or none of a control.
func LearnLong(o *analysis.Objective, h *analysis.LevelHistory, service, control []analysis.MinuteSum, start time.Time, window time.Duration, alpha float64) *analysis.LongHistory {
	if h == nil || len(service) == 0 || len(control) == 0 {
		return nil
	}
	y, c := onMinutes(o, h, service, start), onMinutes(o, h, control, start)
	p, err := stats.NewPlacebos(y, c, nil, int(analysis.Season/time.Minute), int(window/time.Minute), alpha)
	if err != nil { // too short, or a window beyond a season
		return nil
	}
	return analysis.NewLongHistory(p)
}

// onMinutes is the mean level of the pods in each minute of the last two weeks before
// start, on the scale of the comparison; NaN where none was heard of.
func onMinutes(o *analysis.Objective, h *analysis.LevelHistory, sums []analysis.MinuteSum, start time.Time) []float64 {
	end := start.Truncate(time.Minute)
	total, pods := make([]float64, analysis.LongSpan/time.Minute), make([]float64, analysis.LongSpan/time.Minute)
	for _, s := range sums {
		i := len(total) - int(end.Sub(s.Minute)/time.Minute)
		if s.Minute.Before(end) && i >= 0 && i < len(total) && !math.IsNaN(s.Level) && !math.IsInf(s.Level, 0) {
			total[i] += s.Level
			pods[i]++
		}
	}
	for i := range total {
		if pods[i] == 0 {
			total[i] = math.NaN()
			continue
		}
		total[i] = o.OnScale(h.Scale, total[i]/pods[i], h.Floor)
	}
	return total
}
