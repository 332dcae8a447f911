package analysis

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// poissonOf draws from Poisson(mean).
func poissonOf(rng *rand.Rand, mean float64) float64 {
	if mean > 50 {
		return poissonOf(rng, mean/2) + poissonOf(rng, mean/2)
	}
	k, limit, prod := 0.0, math.Exp(-mean), rng.Float64()
	for prod > limit {
		prod *= rng.Float64()
		k++
	}
	return k
}

// The simulation of statistics 10: 400 templates by Zipf's law, 30 minutes, a canary of
// 10 %. A healthy release has no finding in any run; a template ten times as frequent, and
// a new one of one line a minute, are always found.
func TestTemplatesOfSimulatedReleases(t *testing.T) {
	const runs, folds, requests = 200, 120, 3000.0
	known := knownTemplates(400)
	for i := range known {
		known[i].Severity = []Severity{SeverityInfo, SeverityInfo, SeverityWarn, SeverityError}[i%4]
	}
	const tenfold = 43 // of ERROR, about 1.7 lines a minute in the whole service
	p := testPlan(t, withStreams(logsObjective()), withTemplates(known...))
	var mu sync.Mutex
	healthy, found := 0, map[string]int{}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for run := worker; run < runs; run += 4 {
				for _, world := range []string{"healthy", "harmful"} {
					rng := rand.New(rand.NewPCG(uint64(run), 400))
					s, err := NewState(p)
					if err != nil {
						t.Error(err)
						return
					}
					for range folds {
						var tallies []TemplateTally
						for i := range known {
							mean := 30 / float64(i+1) // lines of a fold, in the whole service
							factor := 1.0
							if world == "harmful" && i == tenfold {
								factor = 10
							}
							xC, xB := poissonOf(rng, mean*.1*factor), poissonOf(rng, mean*.9)
							if xC+xB > 0 {
								tallies = append(tallies, TemplateTally{Template: known[i].ID, Canary: xC, Baseline: xB, Severity: known[i].Severity})
							}
						}
						if x := poissonOf(rng, .25); world == "harmful" && x > 0 {
							tallies = append(tallies, fresh("new", SeverityInfo, x))
						}
						e := Evidence{Objective: "logs", Rows: rows(0, 0, requests*.1, requests*.9), Logs: &LogTally{Templates: tallies}}
						e.Fold, _ = s.Next(1)
						if err := s.Fold(&e); err != nil {
							t.Error(err)
							return
						}
					}
					mu.Lock()
					for _, d := range s.Differences() {
						switch {
						case !d.Found:
						case world == "healthy":
							healthy++
						default:
							found[d.Key]++
						}
					}
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	if healthy > 0 {
		t.Errorf("%d findings in %d healthy releases", healthy, runs)
	}
	for _, key := range []string{"template:new", "template:" + known[tenfold].ID} {
		if found[key] != runs {
			t.Errorf("%s: found in %d of %d runs (%v)", key, found[key], runs, found)
		}
	}
	if len(found) != 2 {
		t.Errorf("others were found, too: %v", found)
	}
}

// A canary at the tolerance of the severity rate, with clustered lines: it is rolled back
// in no more than alpha of the runs, and its share in the harm evidence is a twentieth.
func TestSeverityRateAtItsTolerance(t *testing.T) {
	const runs, folds = 600, 160
	p := newShopWithLogs(t, 0, .1).s.plan
	p.Objectives[2].History.Phi0 = [3]float64{2, 2, 2}
	if w := p.Objectives[2].Weight; !near(w, .05/.75) {
		t.Fatalf("the weight of the severity rate is %v", w)
	}
	if o := p.Objectives[2]; o.ToleranceBound != (Bound{Ratio: 1.25}) || o.MarginBound != (Bound{Ratio: 1.5}) {
		t.Fatalf("%v %v", o.ToleranceBound, o.MarginBound)
	}
	outcome := func(factor float64) (harmed, alone int) {
		var mu sync.Mutex
		var wait sync.WaitGroup
		for worker := range 4 {
			wait.Go(func() {
				for run := worker; run < runs; run += 4 {
					rng := rand.New(rand.NewPCG(uint64(run), 25))
					s, err := NewState(p)
					if err != nil {
						t.Error(err)
						return
					}
					bad, single := false, false
					for range folds {
						for _, e := range []Evidence{
							{Objective: "errors", Rows: rows(poissonOf(rng, 1.5), poissonOf(rng, 13.5), 300, 2700)},
							{Objective: "logs_severity", Rows: rows(min(300, 2*poissonOf(rng, 1.5*factor)), min(2700, 2*poissonOf(rng, 13.5)), 300, 2700)},
						} {
							e.Fold, _ = s.Next(s.index(e.Objective))
							if err := s.Fold(&e); err != nil {
								t.Error(err)
								return
							}
						}
						s.Assess()
						bad = bad || s.Checks().Harm.State == Bad
						single = single || s.objectives[2].exactHarm() >= math.Log(100)
					}
					mu.Lock()
					if bad {
						harmed++
					}
					if single {
						alone++
					}
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		return harmed, alone
	}
	most := .01*runs + 3*math.Sqrt(.01*runs) // three standard errors
	harmed, alone := outcome(1.25)
	if float64(harmed) > most/2 || float64(alone) > most {
		t.Errorf("at the tolerance: rolled back in %d, its own evidence at the bar in %d of %d runs", harmed, alone, runs)
	}
	t.Logf("at the tolerance: rolled back %d, own evidence at the bar %d of %d", harmed, alone, runs)
	harmed, _ = outcome(4)
	if harmed < runs*99/100 {
		t.Errorf("four times the rate: rolled back in %d of %d runs", harmed, runs)
	}
}
