package analysis

import (
	"fmt"
	"math"
)

// How much the arms write is listed: lines for each request, and the level that is in
// use. A release that leaves DEBUG on costs money and hides what matters.

// volumeSum adds up what an arm wrote of one level in folds with requests of both arms.
type volumeSum struct{ Lines, Bytes float64 }

const (
	volumeFactor = 1.5 // lines for each request, from which more of them are told
	levelFactor  = 5   // the same of DEBUG and below
	volumeLines  = 100 // of the canary, below which nothing is told
)

func (t *templates) addVolumes(volumes []Volume, both bool) {
	for _, v := range volumes {
		if !both || v.Arm != Baseline && v.Arm != Canary {
			continue
		}
		sum := &t.Volumes[v.Arm-1][v.Level]
		sum.Lines += v.Lines
		sum.Bytes += v.Bytes
	}
}

func (t *templates) tellVolumes() []telling {
	var baseline, canary, debugB, debugC volumeSum
	for level := range t.Volumes[0] {
		b, c := t.Volumes[0][level], t.Volumes[1][level]
		baseline.Lines, baseline.Bytes = baseline.Lines+b.Lines, baseline.Bytes+b.Bytes
		canary.Lines, canary.Bytes = canary.Lines+c.Lines, canary.Bytes+c.Bytes
		if s := Severity(level); s == SeverityTrace || s == SeverityDebug {
			debugB.Lines, debugC.Lines = debugB.Lines+b.Lines, debugC.Lines+c.Lines
		}
	}
	if !(t.Requests.Canary > 0 && t.Requests.Baseline > 0) || canary.Lines < volumeLines {
		return nil
	}
	tell := func(key string, b, c, ratio float64, what string) telling {
		return telling{class: classInfo, size: math.Abs(math.Log(ratio)), Difference: Difference{
			Key: key, Kind: DiffVolume, Service: t.plan.Deployment.Release.Service, What: what, New: b == 0,
			E: Figure(math.NaN()), Baseline: b, Canary: c, Ratio: Figure(ratio),
		}}
	}
	var out []telling
	if r := t.Requests.ratio(canary.Lines, baseline.Lines); r >= volumeFactor {
		out = append(out, tell("volume:lines", baseline.Lines, canary.Lines, r, fmt.Sprintf("the canary writes %.3g lines for each request, the baseline %.3g (bytes: %.3g and %.3g)",
			canary.Lines/t.Requests.Canary, baseline.Lines/t.Requests.Baseline, canary.Bytes/t.Requests.Canary, baseline.Bytes/t.Requests.Baseline)))
	}
	if r := t.Requests.ratio(debugC.Lines, debugB.Lines); debugC.Lines >= volumeLines && r >= levelFactor {
		out = append(out, tell("volume:level", debugB.Lines, debugC.Lines, r, fmt.Sprintf("the canary writes at level debug: %.0f such lines, the baseline %.0f", debugC.Lines, debugB.Lines)))
	}
	return out
}
