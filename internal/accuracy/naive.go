package accuracy

import (
	"math"
	"slices"

	"github.com/release-assay/assay/analysis/stats"
	"github.com/release-assay/assay/verdicts"
)

// The naive rules are those that come with the recordings. They look once, at all
// points, and answer rollback or promote.

// naively is the answer of a rule that alarms or does not.
func naively(c Case, alarm bool) Answer {
	word := verdicts.Promote
	if alarm {
		word = verdicts.Rollback
	}
	return Answer{Case: c, Word: word}
}

// RankTest alarms where the new version's requests as a whole are slower at p < .01,
// by a one-sided rank test.
func RankTest(d Draw) Answer {
	whole := func(requests [][]float64) []float64 {
		out := make([]float64, len(requests))
		for i, r := range requests {
			out[i] = r[0]
		}
		return out
	}
	return naively(d.Case, stats.MannWhitney(whole(d.New), whole(d.Old)).P < 0.01)
}

// MeanShift alarms where in the three points after the deployment the mean success
// rate is half a per cent lower than in the five before, or the mean latency higher
// by half.
func MeanShift(r Recorded) Answer {
	before := r.before.part(max(0, r.before.len()-5), r.before.len())
	after := r.after.part(0, min(3, r.after.len()))
	return naively(r.Case, mean(before.success())-mean(after.success()) >= 0.005 || mean(after.latency) >= 1.5*mean(before.latency))
}

// success is the share of requests that did not fail, NaN without requests.
func (p points) success() []float64 {
	out := make([]float64, p.len())
	for i := range out {
		out[i] = 1 - p.failed[i]/p.requests[i]
	}
	return out
}

// mean is that of the values there are.
func mean(values []float64) float64 {
	sum, n := 0.0, 0.0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	return sum / n
}

// BeyondUsual alarms where the median of the three points after the deployment lies
// beyond the 99th percentile of a quiet recording: latency above, or success below.
func BeyondUsual(r Recorded, q Quiet) Answer {
	after := r.after.part(0, min(3, r.after.len()))
	return naively(r.Case, quantile(after.latency, 0.5) > quantile(q.entry.latency, 0.99) ||
		quantile(after.success(), 0.5) < quantile(q.entry.success(), 0.01))
}

// quantile is that of the values there are, by linear interpolation.
func quantile(values []float64, p float64) float64 {
	v := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	at := p * float64(len(v)-1)
	i := min(int(at), len(v)-1)
	return v[i] + (at-float64(i))*(v[min(i+1, len(v)-1)]-v[i])
}
