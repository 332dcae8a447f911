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

// canaryAlive reports whether the canary's pods were fresh in the newest fold.
func (r *recent) canaryAlive() bool { return len(r.Folds) > 0 && r.Folds[len(r.Folds)-1].CanaryAlive }

// canaryIdle reports whether the canary's pods were fresh and served nothing for as
// many folds as make telemetry stale. Silence is not idle: that is coverage's.
func (r *recent) canaryIdle() bool {
	if len(r.Folds) < staleAfter {
		return false
	}
	for _, f := range r.Folds[len(r.Folds)-staleAfter:] {
		if f.nC > 0 || !f.CanaryAlive {
			return false
		}
	}
	return true
}

func (r *recent) full() bool { return len(r.Folds) == r.n }

func (r *recent) sum() foldCounts { return r.newest(len(r.Folds)) }

// newest is the sum of the last n folds.
func (r *recent) newest(n int) (c foldCounts) {
	folds := r.Folds[len(r.Folds)-n:]
	for i := range folds {
		f := &folds[i]
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
//
// Every fold is held against the share that was declared for it, so that a ramp
// step is not taken for a share that is off, nor a canary that should not have
// served yet for one that does not.
func servingCheck(o *PlannedObjective, r *recent, now time.Time, weightAt func(time.Time) (float64, bool)) Check {
	if !o.countsExposure() {
		return Check{State: NotRequired} // a level tells nothing of traffic
	}
	if w, declared := weightAt(now); !declared || !isShare(w) {
		return Check{State: NotRequired}
	}
	measured, alive := r.full(), true
	served, predicted := 0.0, 0.0 // by the canary
	var steady foldCounts         // of folds without a step inside
	declaredOf := 0.0             // requests of those that were declared to be the canary's
	for i := range r.Folds {
		f := &r.Folds[i]
		from, declared := weightAt(f.End.Add(-o.Cadence.D()))
		to, _ := weightAt(f.End)
		if !declared || !isShare(from) {
			measured = false
			continue
		}
		alive = alive && f.CanaryAlive && f.BaselineIn
		served += f.nC
		predicted += oddsOf(min(from, to)) * f.nB
		if from == to {
			steady.nC += f.nC
			steady.nB += f.nB
			declaredOf += from * (f.nC + f.nB)
		}
	}
	switch {
	case measured && r.sum().nB == 0 && served == 0:
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: neither arm served anything in the last %v", o.Name, recentSpan)}
	case !measured || steady.nB == 0:
		return Check{Undecided, Collecting, fmt.Sprintf("%s: the canary's share of traffic is not measured yet", o.Name)}
	case served == 0 && !alive:
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary served nothing in the last %v, and its pods are not proven alive", o.Name, recentSpan)}
	case served == 0 && predicted < servingPredicted:
		return Check{Undecided, NoTraffic, fmt.Sprintf("%s: the canary served nothing, but its share predicts only %.0f requests in %v", o.Name, predicted, recentSpan)}
	case served == 0:
		return Check{Bad, CanaryNotServing, fmt.Sprintf("%s: the canary's pods are alive and served 0 of the %.0f requests that its share predicts in %v", o.Name, predicted, recentSpan)}
	}
	share, want := steady.nC/(steady.nC+steady.nB), declaredOf/(steady.nC+steady.nB)
	if share < want/2 || share > 2*want {
		return Check{Conflicting, TrafficShareOff, fmt.Sprintf("%s: the canary serves %.3g%% of the traffic, declared are %.3g%%", o.Name, 100*share, 100*want)}
	}
	return Check{State: Good}
}

// isShare reports whether w leaves traffic to both arms.
func isShare(w float64) bool { return w > 0 && w < 1 }

// oddsOf is what the canary serves for every request of the baseline.
func oddsOf(w float64) float64 { return w / (1 - w) }
