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

// hostile are numbers that no telemetry should hold, and some does.
var hostile = []float64{
	math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64,
	1e300, 1e100, 1e99, -1e99, 1e16, 1e15, 1e9, -1, 0, 0, .5, 1, 100,
}

// Whatever the rows hold, of whatever shape: a fold is refused, and nothing has
// changed, or the answer is finite. Seeded folds of a healthy service lie between.
func TestHostileRowsAreRefusedOrFinite(t *testing.T) {
	for _, comparison := range []analysis.Comparison{analysis.Concurrent, analysis.Both, analysis.PreviousWindow} {
		for _, strata := range []int{0, 2} {
			w := mixedWorld{
				cadence: time.Minute, deadline: 10 * time.Hour, comparison: comparison, strata: strata,
				ratios: []ratioKind{plainRatio, slowBurn, commonBad, rareSuccess}, latencies: 1, levels: 1, leaks: 1,
			}
			t.Run(fmt.Sprint(comparison, strata), func(t *testing.T) { w.suffer(t, 100) })
		}
	}
}

// suffer folds n folds of each objective, most of them hostile in some rows.
func (w mixedWorld) suffer(t *testing.T, n int) {
	r := w.run(t, newState(t, w.plan(t)))
	rng := rand.New(rand.NewPCG(41, uint64(w.strata)))
	refused, taken := 0, 0
	for range n {
		for i := range r.rows {
			e := r.evidence(i)
			if rng.IntN(3) > 0 {
				e = spoiled(rng, e)
			}
			before := checkpoint(t, r.s)
			told := answer(t, r.s)
			if err := r.s.Fold(&e); err != nil {
				refused++
				r.s.Assess()
				if !bytes.Equal(checkpoint(t, r.s), before) || answer(t, r.s) != told {
					t.Fatalf("%s: refused (%v), and the state has changed: %+v", e.Objective, err, e.Rows)
				}
				healthy := r.evidence(i)
				if err := r.s.Fold(&healthy); err != nil {
					t.Fatalf("%s: a healthy fold after a refused one: %v", e.Objective, err)
				}
			} else {
				taken++
			}
			for _, f := range r.s.Assess() {
				if !finite(f.ERollback) || !finite(f.EPromote) || !finite(f.Phi) {
					t.Fatalf("%s: %+v after %+v", f.Objective, f, e.Rows)
				}
			}
			if math.IsNaN(r.s.Evidence()) {
				t.Fatalf("no evidence after %+v", e.Rows)
			}
		}
	}
	if refused < n/10 || taken < n/10 {
		t.Errorf("%d folds were refused, %d taken: nothing was tested", refused, taken)
	}
	if _, err := analysis.RestoreState(r.s.Plan(), checkpoint(t, r.s)); err != nil {
		t.Error(err)
	}
}

func finite(v analysis.Figure) bool { return !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0) }

// spoiled is e with hostile rows, empty, constant, or without one of the arms.
func spoiled(rng *rand.Rand, e analysis.Evidence) analysis.Evidence {
	rows := make([]analysis.ArmRow, len(e.Rows))
	for i, row := range e.Rows {
		row.Above = slices.Clone(row.Above)
		rows[i] = row
	}
	pick := func() float64 { return hostile[rng.IntN(len(hostile))] }
	switch rng.IntN(6) {
	case 0:
		rows = nil
	case 1: // one arm
		arm := analysis.Arm(1 + rng.IntN(2))
		rows = slices.DeleteFunc(rows, func(row analysis.ArmRow) bool { return row.Arm == arm })
	case 2: // constant
		bad, n, level := pick(), pick(), pick()
		for i := range rows {
			rows[i].Bad, rows[i].Exposure, rows[i].Level = bad, n, level
			for k := range rows[i].Above {
				rows[i].Above[k] = bad
			}
		}
	case 3: // all of what was served is bad
		n := math.Abs(pick())
		for i := range rows {
			rows[i].Bad, rows[i].Exposure, rows[i].Level = n, n, -n
			for k := range rows[i].Above {
				rows[i].Above[k] = n
			}
		}
	default: // one number
		row := &rows[rng.IntN(len(rows))]
		switch v := pick(); rng.IntN(4) {
		case 0:
			row.Bad = v
		case 1:
			row.Exposure = v
		case 2:
			row.Level = v
		case 3:
			if len(row.Above) > 0 {
				row.Above[rng.IntN(len(row.Above))] = v
			}
		}
	}
	e.Rows = rows
	return e
}

// answer is all that a state says, as a verdict writes it down.
func answer(tb testing.TB, s *analysis.State) string {
	tb.Helper()
	b, err := json.Marshal([]any{s.Describe(), s.Checks()})
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}
