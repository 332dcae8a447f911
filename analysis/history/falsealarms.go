package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// FalseAlarms runs the plan over the time before its deployment, as if there had been a
// deployment in every window of its length: in each some healthy pods of the baseline
// play the canary. What the test then says is what it says of nothing (statistics 2.5).
//
// sums are the history of each objective, in the plan's order; an objective without
// plays no part. Windows lie at multiples of their length since the epoch, so that those
// of several deployments of a service are the same ones. Nothing at or after the start
// of the deployment is looked at.
func FalseAlarms(p *analysis.Plan, sums [][]analysis.MinuteSum) (analysis.FalseAlarms, error) {
	var out analysis.FalseAlarms
	if p.Refused != "" || len(sums) != len(p.Objectives) || slices.ContainsFunc(p.Objectives, judgedByPlacebos) {
		return out, nil
	}
	length := p.Window.Deadline.D().Truncate(time.Minute)
	if length < time.Minute {
		return out, nil
	}
	pasts := make([]past, len(sums))
	for i := range sums {
		pasts[i] = newPast(sums[i], p.Deployment.StartedAt)
	}
	end := p.Deployment.StartedAt.Truncate(length)
	for start := end.Add(-Span).Truncate(length); start.Before(end); start = start.Add(length) {
		if start.Before(p.Deployment.StartedAt.Add(-Span + neededBefore(p))) {
			continue
		}
		w, played, err := play(p, pasts, start, length)
		if err != nil {
			return out, fmt.Errorf("pseudo-canary of %s: %w", start.Format(time.RFC3339), err)
		}
		if played {
			out.Windows = append(out.Windows, w)
		}
	}
	return out, nil
}

// judgedByPlacebos reports whether o has been tried on quiet times already: its test is
// how often they look like it.
func judgedByPlacebos(o analysis.PlannedObjective) bool { return o.History.Long != nil }

// neededBefore is how much time before a window the plan compares it with.
func neededBefore(p *analysis.Plan) time.Duration {
	if p.Comparison == analysis.PreviousWindow || p.Comparison == analysis.Both {
		return hourBefore
	}
	return 0
}

// past is the history of one objective, by minute.
type past struct {
	minutes []oneMinute
	names   []string
	at      map[int64]int // minute -> its place among the minutes
}

func newPast(sums []analysis.MinuteSum, before time.Time) past {
	p := past{at: map[int64]int{}}
	p.minutes, p.names = byMinute(sums, before)
	for i, m := range p.minutes {
		p.at[m.at.Unix()] = i
	}
	return p
}

// play judges one window. It is not played where an objective lacks more than a tenth of
// its minutes or never had two pods: an outage is no healthy time.
func play(p *analysis.Plan, pasts []past, start time.Time, length time.Duration) (analysis.AAWindow, bool, error) {
	w := analysis.AAWindow{Start: start.UTC(), MaxLogE: analysis.Figure(math.Inf(-1))}
	plan := pretend(p, pasts, start, length)
	state, err := analysis.NewState(plan)
	if err != nil {
		return w, false, err
	}
	ranks := make([][]int32, len(pasts))
	heard := make([]time.Duration, len(pasts))
	for i := range pasts {
		ranks[i] = ranking(pasts[i].names, string(p.Validation), byte(start.Unix()/int64(length.Seconds())))
	}
	most := 0.0
	for at := start; at.Before(start.Add(length)); at = at.Add(time.Minute) {
		for i := range plan.Objectives {
			for fold, open := state.Next(i); open && !fold.End.After(at.Add(time.Minute)); fold, open = state.Next(i) {
				e := analysis.Evidence{Objective: plan.Objectives[i].Name, Fold: fold, Missing: analysis.TelemetryPartial}
				if k, ok := pasts[i].at[fold.Start.Unix()]; ok && pasts[i].minutes[k].sound() {
					e.Missing, e.Rows = "", arms(&pasts[i].minutes[k], ranks[i], plan.Weight, start)
					heard[i] += fold.End.Sub(fold.Start)
				}
				if err := state.Fold(&e); err != nil {
					return w, false, err
				}
			}
		}
		state.Assess()
		if r := state.Evidence(); r > most {
			most = r
		}
		if state.Evidence() >= 1/plan.AlphaRollback && state.Checks().Harm.State == analysis.Bad {
			w.Alarm = true
		}
	}
	for i := range heard {
		if len(pasts[i].minutes) > 0 && heard[i] < length*9/10 {
			return w, false, nil
		}
	}
	w.MaxLogE = analysis.Figure(math.Log(most))
	return w, most > 0, nil
}

// sound reports whether a minute has pods to deal, and none that counted what cannot
// be.
func (m *oneMinute) sound() bool {
	odd := func(s analysis.MinuteSum) bool { return !possible(s) || math.IsNaN(s.Level) || math.IsInf(s.Level, 0) }
	return len(m.pods) > 1 && !slices.ContainsFunc(m.pods, odd)
}

// pretend is the plan as it would have been for a deployment at start, whose hour before
// is its own. Counts are folded by the minute, which is what history keeps of them.
func pretend(p *analysis.Plan, pasts []past, start time.Time, length time.Duration) *analysis.Plan {
	plan := *p
	shift := start.Sub(p.Deployment.StartedAt)
	plan.Deployment.StartedAt = start
	plan.Window.Deadline = analysis.Duration(length)
	plan.FalseAlarms = nil
	plan.Restarts = nil
	for _, at := range p.Restarts {
		if at = at.Add(shift); at.Before(start.Add(length)) {
			plan.Restarts = append(plan.Restarts, at)
		}
	}
	plan.Objectives = append([]analysis.PlannedObjective{}, p.Objectives...)
	for i := range plan.Objectives {
		if plan.Objectives[i].Signal.Shape != analysis.ShapeLevel {
			plan.Objectives[i].Cadence = analysis.Duration(time.Minute)
		}
		pasts[i].hour(&plan.Objectives[i].History, start)
	}
	return &plan
}

// hour puts what was counted in the hour before start in the place of the plan's own.
func (p *past) hour(h *analysis.History, start time.Time) {
	h.BadHour, h.HourTotal, h.HourSpan = 0, 0, 0
	var latency analysis.LatencyHistory
	if h.Latency != nil {
		latency = *h.Latency
		latency.HourTotal, latency.HourAbove = 0, make([]float64, len(h.Latency.HourAbove))
		h.Latency = &latency
	}
	for at := start.Add(-hourBefore); at.Before(start); at = at.Add(time.Minute) {
		k, ok := p.at[at.Unix()]
		if !ok {
			continue
		}
		h.HourSpan++
		for _, s := range p.minutes[k].pods {
			h.BadHour += s.Bad
			h.HourTotal += s.Exposure
			if len(s.Above) == 0 || len(s.Above) != len(latency.HourAbove) || !possible(s) {
				continue
			}
			latency.HourTotal += s.Exposure
			for b, n := range s.Above {
				latency.HourAbove[b] += n
			}
		}
	}
}

// arms deals the pods of a minute to the arms.
func arms(m *oneMinute, rank []int32, weight float64, start time.Time) []analysis.ArmRow {
	last, _ := canaryUpTo(m, rank, weight, nil)
	var baseline, canary []analysis.ArmRow
	for i, s := range m.pods {
		row := analysis.ArmRow{Arm: analysis.Baseline, Pod: s.Pod, PodStart: start.Add(-Span), Bad: s.Bad, Exposure: s.Exposure, Above: s.Above, Level: s.Level, Received: 1, Fresh: true}
		if rank[m.ids[i]] <= last {
			row.Arm = analysis.Canary
			canary = append(canary, row)
		} else {
			baseline = append(baseline, row)
		}
	}
	return append(baseline, canary...)
}
