package analysis

import (
	"math"
	"testing"

	"github.com/release-assay/assay/analysis/stats"
)

// All-or-nothing evidence of one objective is worth its whole share: it reaches the bar by
// itself, whatever the shares are and although all others say nothing.
func TestPlaceboEvidenceReachesTheBarAlone(t *testing.T) {
	for _, alpha := range []float64{.001, .005, .01, .02, .05} {
		for secondary := range 5 {
			objectives := []Objective{{Role: Critical}}
			for range secondary {
				objectives = append(objectives, Objective{Role: Secondary})
			}
			weights := HarmWeights(objectives)
			for i, w := range weights {
				j := &placeboJudge{
					o:            &PlannedObjective{History: History{Long: &LongHistory{}}},
					placebos:     &stats.Placebos{Up: make([]float64, 1e5)},
					alpha:        alpha * w,
					placeboState: placeboState{Harm: stats.PlaceboSum{N: 10, Up: 1}},
				}
				logs := make([]float64, len(weights))
				for k := range logs {
					logs[k] = math.Inf(-1)
				}
				logs[i] = j.logHarm()
				if r, err := stats.LogWeightedMean(logs, weights); err != nil || r < math.Log(1/alpha) {
					t.Errorf("alpha %v, %d objectives, the %d-th alarms: ln R is %v below the bar, %v", alpha, len(weights), i, math.Log(1/alpha)-r, err)
				}
			}
		}
	}
}
