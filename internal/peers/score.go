package peers

import "math"

// A Result is one classified metric with its groups.
type Result struct {
	Groups   []string
	Label    Label
	Critical bool
	Muted    bool
}

// Score is Kayenta's weighted sum over groups, in percent, rounded to two decimals.
// A critical metric that did not pass, or half of the metrics without data, make it
// 0. A group in which nothing counts makes 100, an Error counts nowhere, and the
// weight of a group without metrics is lost.
func Score(results []Result, weights map[string]float64) float64 {
	counted, noData := 0, 0
	for _, r := range results {
		if r.Muted {
			continue
		}
		counted++
		if r.Critical && r.Label != Pass {
			return 0
		}
		if r.Label == NoData {
			noData++
		}
	}
	if counted == 0 || 2*noData >= counted {
		return 0
	}
	return math.Round(100*weighted(groupScores(results), weights)) / 100
}

// groupScores is the share of metrics that pass, in percent, of each group that has
// a metric.
func groupScores(results []Result) map[string]float64 {
	pass, total := map[string]float64{}, map[string]float64{}
	for _, r := range results {
		for _, g := range r.Groups {
			if r.Muted {
				continue
			}
			switch r.Label {
			case Pass:
				pass[g]++
				total[g]++
			case High, Low, NoDataFail:
				total[g]++
			default:
				total[g] += 0 // the group is there
			}
		}
	}
	scores := map[string]float64{}
	for g, n := range total {
		scores[g] = 100
		if n > 0 {
			scores[g] = 100 * pass[g] / n
		}
	}
	return scores
}

// weighted sums the groups' scores. Groups without a weight share what the others
// leave of 100, which may be negative.
func weighted(scores, weights map[string]float64) float64 {
	left, unlisted := 100.0, 0.0
	for _, w := range weights {
		left -= w
	}
	for g := range scores {
		if _, listed := weights[g]; !listed {
			unlisted++
		}
	}
	sum := 0.0
	for g, score := range scores {
		w, listed := weights[g]
		if !listed {
			w = left / unlisted
		}
		sum += score * w / 100
	}
	return sum
}

// A Grade is what Kayenta makes of a score.
type Grade string

const (
	GradePass     Grade = "Pass"
	GradeMarginal Grade = "Marginal"
	GradeFail     Grade = "Fail"
)

// Thresholds are the scores from which a canary passes or is marginal.
type Thresholds struct{ Pass, Marginal float64 }

// Grade classifies a score.
func (t Thresholds) Grade(score float64) Grade {
	switch {
	case score >= t.Pass:
		return GradePass
	case score >= t.Marginal:
		return GradeMarginal
	}
	return GradeFail
}
