package analysis

import (
	"fmt"
	"time"
)

const (
	// recentSpan is how far back "now" reaches for serving and environment.
	recentSpan = 5 * time.Minute
	// servingPredicted is how many requests the declared share must predict before
	// none at all is evidence: at a Poisson mean of 50 zero has probability 2e-22,
	// and with requests in clusters of 10 still under 1 %.
	servingPredicted = 50
)

// recentFold is what serving and environment remember of one fold.
type recentFold struct {
	foldCounts
	End         time.Time
	CanaryAlive bool // at least one canary pod, and every one of them is fresh
	BaselineIn  bool // the baseline reported
}

// recent is a ring of the folds of the last recentSpan.
type recent struct {
	Folds []recentFold // oldest first, at most n
	n     int
}

func newRecent(cadence time.Duration) recent {
	n := max(minEventFolds, int(recentSpan/cadence))
	return recent{Folds: make([]recentFold, 0, n), n: n}
}

func (r *recent) add(f recentFold) {
	if len(r.Folds) == r.n {
		copy(r.Folds, r.Folds[1:])
		r.Folds = r.Folds[:r.n-1]
	}
	r.Folds = append(r.Folds, f)
}

func (r *recent) full() bool { return len(r.Folds) == r.n }

func (r *recent) sum() (c foldCounts) {
	for i := range r.Folds {
		f := &r.Folds[i]
		c.xC += f.xC
		c.xB += f.xB
		c.nC += f.nC
		c.nB += f.nB
	}
	return c
}

// servingCheck asks whether the canary serves the share of traffic that it should
// (reliability R3): with a declared share, pods that are proven alive and no
// request at all are evidence of harm; a share far off blocks a promote. Without a
// declared share it is not required.
func servingCheck(o *PlannedObjective, r *recent, weight float64, declared bool) Check {
	if !declared || weight <= 0 || weight >= 1 {
		return Check{State: NotRequired}
	}
	sum := r.sum()
	if !r.full() || sum.nB == 0 {
		return Check{Undecided, Collecting, fmt.Sprintf("%s: the canary's share of traffic is not measured yet", o.Name)}
	}
	predicted := weight / (1 - weight) * sum.nB
	if sum.nC == 0 {
		for i := range r.Folds {
			if f := &r.Folds[i]; !f.CanaryAlive || !f.BaselineIn {
				return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary served nothing in the last %v, and its pods are not proven alive", o.Name, recentSpan)}
			}
		}
		if predicted < servingPredicted {
			return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary served nothing, but its share predicts only %.0f requests in %v", o.Name, predicted, recentSpan)}
		}
		return Check{Bad, CanaryNotServing, fmt.Sprintf("%s: the canary's pods are alive and served 0 of the %.0f requests that a share of %.3g%% predicts in %v", o.Name, predicted, 100*weight, recentSpan)}
	}
	share := sum.nC / (sum.nC + sum.nB)
	if share < weight/2 || share > 2*weight {
		return Check{Conflicting, TrafficShareOff, fmt.Sprintf("%s: the canary serves %.3g%% of the traffic, declared are %.3g%%", o.Name, 100*share, 100*weight)}
	}
	return Check{State: Good}
}
