package validation

import (
	"maps"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// restarted is a bench whose process was ended four minutes after d1 began: d1 sleeps,
// whatever was done to what it left.
func restarted(t *testing.T, damage func(b *bench, id analysis.ValidationID)) (*bench, analysis.ValidationID) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	b.live(0, 4*time.Minute)
	id := deployment("").Deployment(1).Validation()
	damage(b, id)
	b.close()
	b.open()
	if !b.Runner.open[id].asleep {
		t.Fatal("it does not sleep")
	}
	return b, id
}

// A validation that sleeps and cannot be judged on ends by what it was told meanwhile
// with a bundle that says what was judged, as one that is awake does.
func TestEndsAsleep(t *testing.T) {
	all := maps.Clone(damages)
	all["none"] = func(*bench, analysis.ValidationID) {}
	for name, damage := range all {
		for _, by := range []string{"event", "cancel"} {
			t.Run(name+" by "+by, func(t *testing.T) {
				b, id := restarted(t, damage)
				now := start.Add(4 * time.Minute)
				if by == "cancel" {
					if err := b.Cancel(t.Context(), id, "anna", now); err != nil {
						t.Fatal(err)
					}
				} else {
					b.deploy(event("s1", analysis.PhaseAborted, 4))
				}
				b.advance(now)
				code := analysis.AnalyzerFault
				if name == "none" {
					code = analysis.Cancelled
				}
				b.wants("d1", verdicts.Hold, code)
				_, v := b.of("d1")
				b.rejudged(v)
				if rows, err := b.Store.Unhandled(t.Context(), 10); err != nil || len(rows) != 0 {
					t.Errorf("not handled: %v, %v", rows, err)
				}
			})
		}
	}
}

// A step that comes while its validation sleeps is told to the judge once.
func TestStepWhileAsleep(t *testing.T) {
	b, id := restarted(t, func(*bench, analysis.ValidationID) {})
	step := event("s1", analysis.PhaseStep, 4)
	step.Step = &analysis.Step{Index: 1, Total: 3, Weight: .2}
	b.deploy(step)
	b.live(4*time.Minute, 6*time.Minute)
	if n := b.Runner.open[id].judge.State().Steps(); n != 1 {
		t.Errorf("the judge knows %d steps", n)
	}
	b.close()
	b.open()
	b.live(6*time.Minute, 12*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
	row, v := b.of("d1")
	if len(row.Deployment.Steps) != 1 {
		t.Errorf("%d steps", len(row.Deployment.Steps))
	}
	b.rejudged(v)
}
