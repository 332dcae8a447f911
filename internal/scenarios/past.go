package scenarios

import (
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/history"
)

// facts are what the time before the deployment says about an objective: nothing,
// where the script has no history of it.
func (s Scenario) facts(o analysis.Objective, d analysis.Deployment, seed uint64) (analysis.Facts, error) {
	out := analysis.Facts{Spacing: s.Cadence}
	i := slices.IndexFunc(s.Histories, func(h History) bool { return h.Objective == o.Name })
	if i < 0 {
		return out, nil
	}
	weight, id := analysis.PlannedWeight(d), string(d.Validation())
	past := s.minutes(s.Histories[i], seed)
	if o.Signal.Shape == analysis.ShapeLevel {
		out.History = history.LearnLevel(past.sums(nil), start, analysis.LevelCadence(s.Cadence, 0), weight, id, o)
		return out, nil
	}
	var bounds []float64
	if o.Signal.Shape == analysis.ShapeDistribution {
		var err error
		if out.Distribution, err = analysis.ExactHistogram(past.durations()); err != nil {
			return out, err
		}
		bounds = analysis.LatencyBounds(o, out.Distribution)
	}
	out.History = history.Learn(past.sums(bounds), start, weight, id)
	return out, nil
}

// A podMinute is what one pod counted in one minute of history.
type podMinute struct {
	measured
	at  time.Time
	pod string
}

type podMinutes []podMinute

// minutes plays a history.
func (s Scenario) minutes(h History, seed uint64) (out podMinutes) {
	stage := s.newStage(seed)
	n := h.Hours * 60
	for k := range n {
		for i := range h.Pods {
			m := stage.actor(fmt.Sprint("history ", h.Objective, " ", i)).counted(h.Values, k, n, i, h.Pods)
			out = append(out, podMinute{m, start.Add(time.Duration(k-n) * time.Minute), fmt.Sprintf("checkout-baseline-%d", i)})
		}
	}
	return out
}

// sums are one-minute sums, of durations above the bounds.
func (p podMinutes) sums(bounds []float64) []analysis.MinuteSum {
	out := make([]analysis.MinuteSum, len(p))
	for i, m := range p {
		out[i] = analysis.MinuteSum{Minute: m.at, Pod: m.pod, Bad: m.bad, Exposure: m.requests, Level: m.level}
		if len(bounds) > 0 {
			out[i].Above = above(m.durations, bounds)
		}
	}
	return out
}

func (p podMinutes) durations() (out []float64) {
	for _, m := range p {
		out = append(out, m.durations...)
	}
	return out
}
