package analysis_test

import (
	"bytes"
	"encoding/json"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

const (
	mixedLooks   = 200
	mixedRestore = 100 // the look after which a run is restored from its checkpoint
	mixedRamp    = 60  // the look in which the canary's share grows
)

// A life is what a mixed run left behind: its checkpoints, and all that it told.
type life struct{ half, end, told []byte }

// live folds a mixed run from the given look on, and checks out on the way.
func live(tb testing.TB, r *mixedRun, from int) (l life) {
	for k := from; k < mixedLooks; k++ {
		if k == mixedRamp {
			r.s.Step(analysis.Step{Index: 2, Total: 3, Weight: .2, At: deployedAt.Add(time.Duration(k) * r.cadence)})
		}
		if k == mixedRestore {
			l.half = checkpoint(tb, r.s)
		}
		r.looks(k, k+1)
	}
	told, err := json.Marshal(struct {
		Findings []analysis.Finding
		Checks   analysis.Checks
		Warnings []string
		Evidence float64
	}{r.s.Describe(), r.s.Checks(), r.s.Warnings(), r.s.Evidence()})
	if err != nil {
		tb.Error(err)
	}
	l.end, l.told = checkpoint(tb, r.s), told
	return l
}

func checkpoint(tb testing.TB, s *analysis.State) []byte {
	b, err := s.Snapshot()
	if err != nil {
		tb.Error(err)
	}
	return b
}

// decoded is a plan as another process reads it.
func decoded(tb testing.TB, p *analysis.Plan) *analysis.Plan {
	tb.Helper()
	b, err := p.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	var out analysis.Plan
	if err := json.Unmarshal(b, &out); err != nil {
		tb.Fatal(err)
	}
	return &out
}

// Objectives of every shape, compared in every way, with and without strata, with a
// ramp step: a run beside others under a collector that never rests, by a plan that
// was read back, gives bit for bit what a quiet one gives. So does one that is
// restored half way.
func TestTwoRunsAreBitIdentical(t *testing.T) {
	for name, change := range map[string]func(*mixedWorld){
		"concurrent": func(*mixedWorld) {},
		"strata":     func(w *mixedWorld) { w.strata = 3 },
		"both":       func(w *mixedWorld) { w.comparison = analysis.Both },
		"before":     func(w *mixedWorld) { w.comparison = analysis.PreviousWindow },
	} {
		t.Run(name, func(t *testing.T) {
			w := twentyObjectives(15 * time.Second)
			w.latencies, w.levels = 2, 2
			change(&w)
			in := w.input(t)
			in.Deployment.Steps[0].Total = 3
			p, err := analysis.NewPlan(in)
			if err != nil {
				t.Fatal(err)
			}
			want := live(t, w.run(t, newState(t, p)), 0)

			defer debug.SetGCPercent(debug.SetGCPercent(5))
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1 + runtime.NumCPU()))
			var lives [3]life
			var runs sync.WaitGroup
			for i := range lives {
				q := decoded(t, p)
				s, from := newState(t, q), 0
				if i == 2 {
					if s, err = analysis.RestoreState(q, want.half); err != nil {
						t.Fatal(err)
					}
					from = mixedRestore
				}
				runs.Go(func() { lives[i] = live(t, w.run(t, s), from) })
			}
			runs.Wait()
			for i, got := range lives {
				if !bytes.Equal(got.half, want.half) || !bytes.Equal(got.end, want.end) {
					t.Errorf("run %d: another checkpoint", i)
				}
				if !bytes.Equal(got.told, want.told) {
					t.Errorf("run %d tells\n%s\nwant\n%s", i, got.told, want.told)
				}
			}
		})
	}
}
