package analysis_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A recording is what a source holds of a deployment: the cumulative counters of
// every pod, with restarts, late-born error series, pods that come and go.
type recording struct {
	cadence time.Duration
	pods    []recordedPod
}

type recordedPod struct {
	arm    analysis.Arm
	name   string
	start  time.Time
	starts []time.Time
	// readings of the life of the pod; values[i][c] is the counter of combination c
	// at reading i, -1 where the series is not born yet.
	at     []time.Time
	values [][]float64
}

// combinations is into how many series the requests of a pod are split. Every
// second one, from the one of number 1 on, counts errors.
const combinations = 50

func isError(c int) bool { return c%2 == 1 }

// record draws a recording of the given folds. Combination 0, ordinary requests,
// has most of the traffic, so that a restart is seen by its fall.
func record(rng *rand.Rand, folds int, cadence time.Duration, announced bool) recording {
	r := recording{cadence: cadence}
	end := deployedAt.Add(time.Duration(folds) * cadence)
	add := func(arm analysis.Arm, name string, from, to time.Time, rate float64) {
		p := recordedPod{arm: arm, name: name, start: from}
		if announced {
			p.starts = []time.Time{from}
		}
		values := make([]float64, combinations)
		born := make([]bool, combinations)
		age := 0 // readings since the pod's last start
		for t := from.Add(time.Duration(rng.Int64N(int64(cadence)))); !t.After(to); t = t.Add(cadence) {
			// A restart between two readings. One that no start time announces must be
			// seen by the fall of the counters, so it does not come too soon.
			if age++; age > 8 && rng.IntN(25) == 0 {
				age = 0
				clear(values)
				clear(born)
				if announced {
					p.starts = append(p.starts, t.Add(-cadence/3))
				}
			}
			row := make([]float64, combinations)
			for c := range values {
				n := 0.0
				switch {
				case c == 0:
					n = 400 + float64(rng.IntN(100))
				case isError(c):
					n = poisson(rng, rate)
				default:
					n = float64(rng.IntN(4))
				}
				values[c] += n
				born[c] = born[c] || n > 0
				row[c] = -1
				if born[c] {
					row[c] = values[c]
				}
			}
			if rng.IntN(15) > 0 { // else the reading is lost
				p.at = append(p.at, t)
				p.values = append(p.values, row)
			}
		}
		r.pods = append(r.pods, p)
	}
	old := deployedAt.Add(-20 * cadence)
	for i := range 4 {
		from, to := old, end
		if i == 3 { // replaced half way
			to = deployedAt.Add(time.Duration(folds/2) * cadence)
			add(analysis.Baseline, "b-new", to, end, .15)
		}
		add(analysis.Baseline, fmt.Sprintf("b-%d", i), from, to, .15)
	}
	for i := range 2 {
		add(analysis.Canary, fmt.Sprintf("c-%d", i), deployedAt.Add(time.Duration(i)*cadence+time.Second), end, .25)
	}
	return r
}

// cut is the recording as it was at an instant.
func (r recording) cut(at time.Time) recording {
	out := recording{cadence: r.cadence}
	for _, p := range r.pods {
		n := 0
		for n < len(p.at) && !p.at[n].After(at) {
			n++
		}
		p.at, p.values = p.at[:n], p.values[:n]
		p.starts = slices.DeleteFunc(slices.Clone(p.starts), func(s time.Time) bool { return s.After(at) })
		out.pods = append(out.pods, p)
	}
	return out
}

// target is the pod as counters: split into one series per combination, or whole.
// With good counters the event counter counts what did not fail.
//
// Like a query it reaches back only so far: to the instant since.
func (p recordedPod) target(since time.Time, split, good bool) analysis.Target {
	first := 0
	for first < len(p.at) && p.at[first].Before(since) {
		first++
	}
	p.at, p.values = p.at[first:], p.values[first:]
	event := func(c int) bool { return isError(c) != good }
	out := analysis.Target{Starts: p.starts}
	if split {
		for c := range combinations {
			s := analysis.CounterSeries{Event: event(c), Total: true}
			for i, t := range p.at {
				if v := p.values[i][c]; v >= 0 {
					s.Samples = append(s.Samples, analysis.Sample{T: t, V: v})
				}
			}
			out.Series = append(out.Series, s)
		}
		return out
	}
	events, total := analysis.CounterSeries{Event: true}, analysis.CounterSeries{Total: true}
	for i, t := range p.at {
		e, n, born := 0.0, 0.0, false
		for c, v := range p.values[i] {
			if v < 0 {
				continue
			}
			n += v
			if event(c) {
				e += v
				born = true
			}
		}
		total.Samples = append(total.Samples, analysis.Sample{T: t, V: n})
		if born {
			events.Samples = append(events.Samples, analysis.Sample{T: t, V: e})
		}
	}
	out.Series = []analysis.CounterSeries{events, total}
	return out
}

// evidence asks the recording about one fold.
func (r recording) evidence(fold analysis.Fold, split, good bool) analysis.Evidence {
	e := analysis.Evidence{Objective: "errors", Fold: fold, Source: "recording"}
	for _, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary} {
		for _, p := range r.pods {
			if p.arm != arm {
				continue
			}
			inc, received := analysis.IncreaseOf(p.target(fold.Start.Add(-12*r.cadence), split, good), fold, good)
			if received == 0 {
				continue
			}
			row := analysis.Row{Pod: p.name, PodStart: p.start, Increase: inc, Received: received}
			bad, exposure := row.Counted(arm, deployedAt)
			version := map[analysis.Arm]string{analysis.Baseline: "1.4.9", analysis.Canary: "1.5.0"}[arm]
			e.Rows = append(e.Rows, analysis.ArmRow{Arm: arm, Pod: p.name, PodStart: p.start, Bad: bad, Exposure: exposure, Received: received, Fresh: true, Version: version})
		}
	}
	return e
}

// known is the history of the worlds of these laws.
var known = analysis.History{
	Calibrated: true, Minutes: 1440, Pods: 4, Phi0: [3]float64{1.1, 1.2, 1.3},
	Bad: 12_000, Exposure: 1.5e6, BadHour: 500, HourTotal: 62_500, HourSpan: 60,
}

// lawPlans are the three nulls, and those of good events, at 15 s and for 40 minutes.
func lawPlans(tb testing.TB) []*analysis.Plan {
	w := setting{cadence: 15 * time.Second, deadline: 40 * time.Minute, rps: 140, share: .3, rate: .008}
	slo := w
	slo.target = .98
	plans := []*analysis.Plan{w.plan(tb, known), slo.plan(tb, known)}
	for _, rate := range []float64{.4, .95} { // common outcomes, and good events counted
		common := known
		common.Bad, common.BadHour = rate*known.Exposure, rate*known.HourTotal
		plans = append(plans, w.plan(tb, common))
	}
	return plans
}

// lookOf is what a state is and tells, as bytes.
func lookOf(tb testing.TB, s *analysis.State) []byte {
	tb.Helper()
	s.Assess()
	snapshot, err := s.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	told, err := json.Marshal(struct {
		Findings []analysis.Finding
		Checks   analysis.Checks
		AsOf     time.Time
	}{s.Describe(), s.Checks(), s.AsOf()})
	if err != nil {
		tb.Fatal(err)
	}
	return append(snapshot, told...)
}

func fold(tb testing.TB, s *analysis.State, e analysis.Evidence) {
	tb.Helper()
	if err := s.Fold(&e); err != nil {
		tb.Fatal(err)
	}
}

// Splitting a counter into 50 label combinations changes nothing at all: not one
// bit of the state, whichever way the counters count, whatever restarts.
func TestLawSplittingACounterChangesNothing(t *testing.T) {
	const folds = 80
	for seed := range uint64(4) {
		announced, good := seed%2 == 0, seed%3 == 0
		r := record(rand.New(rand.NewPCG(100, seed)), folds, 15*time.Second, announced)
		for _, p := range lawPlans(t) {
			whole, split := newState(t, p), newState(t, p)
			bad := 0.0
			for range folds {
				f, _ := whole.Next(0)
				one, many := r.evidence(f, false, good), r.evidence(f, true, good)
				fold(t, whole, one)
				fold(t, split, many)
				if !bytes.Equal(lookOf(t, whole), lookOf(t, split)) {
					t.Fatalf("seed %d, fold %v: the states differ\n%+v\n%+v", seed, f, one.Rows, many.Rows)
				}
			}
			for _, finding := range whole.Assess() {
				bad += finding.N.CanaryBad
			}
			if bad < 50 {
				t.Errorf("seed %d: only %v errors were counted", seed, bad)
			}
		}
	}
}

// Event time: a recording that is cut after fold k leaves the states after folds 1
// to k as they were, to the byte. Nothing that happens later can reach them.
func TestLawTheFutureIsNotSeen(t *testing.T) {
	const folds = 60
	for seed := range uint64(2) {
		r := record(rand.New(rand.NewPCG(200, seed)), folds, 15*time.Second, seed == 0)
		for _, p := range lawPlans(t) {
			var looks [][]byte
			s := newState(t, p)
			for range folds {
				f, _ := s.Next(0)
				fold(t, s, r.evidence(f, false, false))
				looks = append(looks, lookOf(t, s))
			}
			for k := 1; k <= folds; k += 6 {
				cut := r.cut(deployedAt.Add(time.Duration(k) * 15 * time.Second))
				s := newState(t, p)
				for i := range k {
					f, _ := s.Next(0)
					fold(t, s, cut.evidence(f, false, false))
					if !bytes.Equal(lookOf(t, s), looks[i]) {
						t.Fatalf("seed %d: cut after fold %d, the state after fold %d differs", seed, k, i+1)
					}
				}
			}
		}
	}
}

// A state that is checkpointed and restored at every fold is the one that never
// was, to the byte. (Every restart point against every later fold, with several
// objectives: TestRestoringContinuesBitForBit.)
func TestLawRestoringChangesNothing(t *testing.T) {
	const folds = 120 // beyond three restarts
	r := record(rand.New(rand.NewPCG(300, 1)), folds, 15*time.Second, true)
	for _, p := range lawPlans(t) {
		straight, restored := newState(t, p), newState(t, p)
		for k := range folds {
			f, _ := straight.Next(0)
			e := r.evidence(f, false, false)
			fold(t, straight, e)
			fold(t, restored, e)
			b, err := restored.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			if restored, err = analysis.RestoreState(p, b); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(lookOf(t, straight), lookOf(t, restored)) {
				t.Fatalf("after fold %d the states differ", k+1)
			}
		}
	}
}

// The order of the pods within an arm does not matter.
func TestLawOrderOfPods(t *testing.T) {
	const folds = 80
	rng := rand.New(rand.NewPCG(400, 1))
	r := record(rng, folds, 15*time.Second, true)
	for _, p := range lawPlans(t) {
		one, two := newState(t, p), newState(t, p)
		for range folds {
			f, _ := one.Next(0)
			e := r.evidence(f, false, false)
			fold(t, one, e)
			rows := slices.Clone(e.Rows)
			rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
			slices.SortStableFunc(rows, func(a, b analysis.ArmRow) int { return int(a.Arm) - int(b.Arm) })
			e.Rows = rows
			fold(t, two, e)
			if !bytes.Equal(lookOf(t, one), lookOf(t, two)) {
				t.Fatalf("fold %v: the states differ", f)
			}
		}
	}
}

// Missing and partial evidence raises neither harm nor safety, nor what follows
// from them; and neither does any order in which it comes among the rest.
func TestLawSilenceProvesNothing(t *testing.T) {
	const folds = 120
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(500, seed))
		r := record(rng, folds, 15*time.Second, true)
		for _, p := range lawPlans(t) {
			s := newState(t, p)
			for range folds {
				f, _ := s.Next(0)
				before := s.Assess()[0]
				harm, safety := s.Checks().Harm.State, s.Checks().Safety.State
				e := r.evidence(f, false, false)
				switch rng.IntN(4) {
				case 0:
					e.Missing = analysis.SourceUnavailable
				case 1:
					e.Partial = true
				case 2:
					e.Rows = nil
				default:
					fold(t, s, e)
					continue
				}
				fold(t, s, e)
				after := s.Assess()[0]
				if grew(before.ERollback, after.ERollback) || grew(before.EPromote, after.EPromote) || before.N != after.N {
					t.Fatalf("fold %v: silence took the finding from %+v to %+v", f, before, after)
				}
				if c := s.Checks(); c.Harm.State != harm || c.Safety.State != safety {
					t.Fatalf("fold %v: silence took harm from %v to %v, safety from %v to %v", f, harm, c.Harm.State, safety, c.Safety.State)
				}
			}
		}
	}
}

// grew allows for the rounding of a mixture that got one more term of 1.
func grew(before, after analysis.Figure) bool { return float64(after) > float64(before)*(1+1e-12) }

// Restarts and the worst fold aside, no fold of exposure in one arm says anything
// either: an outage of the baseline during an incident is not held against the
// canary.
func TestLawOneArmProvesNothing(t *testing.T) {
	for _, p := range lawPlans(t) {
		s := newState(t, p)
		for k := range 40 {
			f, _ := s.Next(0)
			e := analysis.Evidence{Objective: "errors", Fold: f, Rows: []analysis.ArmRow{{Arm: analysis.Canary, Pod: "c", Bad: 50, Exposure: 100, Received: 1}}}
			if k%2 == 0 {
				e.Rows[0].Arm, e.Rows[0].Bad = analysis.Baseline, 0
			}
			fold(t, s, e)
			if got := s.Assess()[0]; math.Abs(float64(got.ERollback)-1) > 1e-12 || math.Abs(float64(got.EPromote)-1) > 1e-12 {
				t.Fatalf("fold %d: %+v", k, got)
			}
		}
	}
}
