package analysis

import "time"

// settle leaves out the pods that still warm up. Known are those of baseline and canary
// that were heard of.
func (t *taken) settle(p *Plan, known *[2]armCoverage) {
	deployed, warmup := p.Deployment.StartedAt, p.Window.Warmup.D()
	t.Baseline = settled(t.Baseline, t.Fold, deployed, warmup, known[0].Pods)
	t.Canary = settled(t.Canary, t.Fold, deployed, warmup, known[1].Pods)
	t.Control = settled(t.Control, t.Fold, deployed, warmup, nil)
}

// settled returns the rows of pods that are warm at the fold's start: a pod that
// just began has cold caches and an interpreter that still compiles, which tells
// nothing of the release (statistics 2.3 v). A canary pod of unknown start is taken
// to have begun with the deployment, any other one to be old. A pod warms up once: one
// whose process begins anew again and again is not left out for ever. Errors are counted
// from the first request on: see [ShapeRatio]. It reorders nothing and may return
// the slice that it is given.
func settled(rows []ArmRow, fold Fold, deployed time.Time, warmup time.Duration, known map[string]podSeen) []ArmRow {
	cold := func(r *ArmRow) bool {
		start := r.PodStart
		if p, ok := known[r.Pod]; ok {
			start = p.Born
		}
		if start.IsZero() && r.Arm == Canary {
			start = deployed
		}
		return !start.IsZero() && fold.Start.Sub(start) < warmup
	}
	n := 0
	for i := range rows {
		if cold(&rows[i]) {
			n++
		}
	}
	if n == 0 {
		return rows
	}
	out := make([]ArmRow, 0, len(rows)-n)
	for i := range rows {
		if !cold(&rows[i]) {
			out = append(out, rows[i])
		}
	}
	return out
}
