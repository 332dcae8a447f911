package analysis_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// ratiosOfFigures are eight ratios whose tests cost the most: profiles.
var ratiosOfFigures = slices.Repeat([]ratioKind{plainRatio}, 8)

// figureWorld is the full fold of 20 objectives: eight ratios, six distributions of 160
// buckets, which sources have reduced to the counts above the plan's bounds, six levels.
func figureWorld() mixedWorld {
	return mixedWorld{cadence: 5 * time.Second, deadline: 80 * time.Minute, ratios: ratiosOfFigures, latencies: 6, levels: 6}
}

// A bareFold is the arithmetic without which no full fold is: for each of the profiles
// of the ratio of two rates (one a ratio, one a threshold of a distribution, and one
// more where its safety is judged) a log1p for each point of its grid; an exp for each
// point above the tolerance, for the start at the deployment alone, and for each one
// below the margin; for each level a log of the Student mixture on either side. It has
// no rows, sorts nothing, checks nothing, knows no dispersion and no restarts.
type bareFold struct {
	profiles []bareProfile
	levels   int
	sum      float64
}

type bareProfile struct {
	rm1          []float64
	l            []float64
	above, below int
}

func newBareFold(p *analysis.Plan) *bareFold {
	b := &bareFold{}
	add := func(c stats.GridConfig) {
		g, err := stats.NewGridConfig(c)
		if err != nil {
			panic(err)
		}
		profile := bareProfile{l: make([]float64, g.Len())}
		for j := range g.Len() {
			profile.rm1 = append(profile.rm1, g.Rho(j)-1)
			if c.RhoR > 0 && g.Rho(j) > c.RhoR {
				profile.above++
			}
			if c.RhoP > 0 && g.Rho(j) < c.RhoP {
				profile.below++
			}
		}
		b.profiles = append(b.profiles, profile)
	}
	for i := range p.Objectives {
		switch o := &p.Objectives[i]; {
		case o.Level != nil:
			b.levels++
		case o.Latency == nil:
			add(stats.GridConfig{RhoR: o.ToleranceBound.Ratio, RhoP: o.MarginBound.Ratio})
		default:
			for _, t := range o.Latency.Thresholds {
				add(stats.GridConfig{RhoR: t.RhoR})
				if t.Critical { // up to the margin
					add(stats.GridConfig{RhoP: t.RhoP, MaxLog: max(1, math.Log(t.RhoP)+.1)})
				}
			}
		}
	}
	return b
}

func (b *bareFold) look() {
	for i := range b.profiles {
		p := &b.profiles[i]
		for j := range p.l {
			p.l[j] += math.Log1p(p.rm1[j] * .1)
		}
		for j := range p.above + p.below {
			b.sum += math.Exp(-.01 * float64(j))
		}
	}
	for range b.levels {
		b.sum += stats.LogTMean(.5, 300, 300, &stats.LevelPrior)
		b.sum += stats.LogTMean(-.5, 300, 300, &stats.LevelPrior)
	}
}

// medians measures each of the turns again and again, in short pieces one after the
// other, so that a busy machine slows all alike.
func medians(b *testing.B, prepare func(), turns ...func()) []float64 {
	took := make([][]float64, len(turns))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		prepare()
		b.StartTimer()
		for i, turn := range turns {
			began := time.Now()
			turn()
			took[i] = append(took[i], float64(time.Since(began)))
		}
	}
	out := make([]float64, len(turns))
	for i := range took {
		slices.Sort(took[i])
		out[i] = took[i][len(took[i])/2]
	}
	return out
}

// BenchmarkFullFold is a full fold of 20 objectives with Assess, late in a validation
// of 80 minutes, when all restarts are taken. x_bare is how many times the bare loops
// it costs, x_fold10 how many times the fold after the tenth.
func BenchmarkFullFold(b *testing.B) {
	const early, late, turn = 10, 960, 10
	w := figureWorld()
	p := w.plan(b)
	young := checkpoint(b, w.run(b, newState(b, p)).looks(0, early).s)
	old := w.run(b, newState(b, p)).looks(0, late).s
	bare, drawn := newBareFold(p), w.draw(b, p, turn)
	var s *analysis.State
	prepare := func() {
		var err error
		if s, err = analysis.RestoreState(p, young); err != nil {
			b.Fatal(err)
		}
		foldDrawn(b, s, drawn[:1]) // what is made at the first fold after a checkpoint
	}
	got := medians(b, prepare,
		func() { foldDrawn(b, old, drawn) },
		func() {
			for range turn {
				bare.look()
			}
		},
		func() { foldDrawn(b, s, drawn) })
	b.ReportMetric(got[0]/got[1], "x_bare")
	b.ReportMetric(got[0]/got[2], "x_fold10")
	b.ReportMetric(got[0]/turn, "ns/fold")
}

// BenchmarkFleet is what 5,000 validations of 20 objectives of every kind cost that are
// folded and assessed once a minute: the share of one core.
func BenchmarkFleet(b *testing.B) {
	const validations, turn, after = 5000, 5, 40
	w := twentyObjectives(time.Minute)
	p := w.plan(b)
	drawn := w.draw(b, p, turn)
	states := make([]*analysis.State, 100) // more than the caches of a processor hold
	for i := range states {
		states[i] = w.run(b, newState(b, p)).looks(0, after).s
	}
	next := 0
	got := medians(b, func() { next++ }, func() { foldDrawn(b, states[next%len(states)], drawn) })
	b.ReportMetric(100*got[0]/turn*validations/float64(time.Minute), "%core")
	b.ReportMetric(got[0]/turn, "ns/fold")
}

// draw are the evidence of n looks, for any state of the plan.
func (w mixedWorld) draw(tb testing.TB, p *analysis.Plan, n int) [][]analysis.Evidence {
	tb.Helper()
	s, out := newState(tb, p), make([][]analysis.Evidence, n)
	for k := range out {
		r := w.run(tb, s)
		for i := range r.rows {
			e := r.evidence(i)
			if err := s.Fold(&e); err != nil {
				tb.Fatal(err)
			}
			out[k] = append(out[k], e)
		}
	}
	return out
}

// foldDrawn folds drawn evidence into the next folds.
func foldDrawn(tb testing.TB, s *analysis.State, looks [][]analysis.Evidence) {
	for _, look := range looks {
		for i := range look {
			look[i].Fold, _ = s.Next(i)
			if err := s.Fold(&look[i]); err != nil {
				tb.Fatal(err)
			}
		}
		s.Assess()
	}
}
