package validation

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
)

// An event whose deployment does not come waits for exactly ten minutes of event
// time, and no longer; one whose deployment comes in the last second is joined.
func TestOrphansWaitTenMinutes(t *testing.T) {
	for _, late := range []bool{false, true} {
		b := newBench(t, mustReplay(t, healthy()))
		step := event("s1", analysis.PhaseStep, 0)
		step.Step = &analysis.Step{Index: 1, Total: 3, Weight: .2}
		b.deploy(step)
		b.advance(start)
		b.advance(start.Add(10 * time.Minute))
		if l := b.letters(); len(l) != 0 {
			t.Fatalf("after ten minutes: %v", l)
		}
		if late {
			b.deploy(deployment(analysis.Live))
		}
		b.advance(start.Add(10*time.Minute + time.Second))
		rows, err := b.Store.ByDeployment(t.Context(), "d1")
		if err != nil {
			t.Fatal(err)
		}
		switch l := b.letters(); {
		case !late && (len(l) != 1 || l[0] != "orphan" || len(rows) != 0):
			t.Errorf("a second later: %v, %d validations; want the orphan and none", l, len(rows))
		case late && (len(l) != 0 || len(rows) != 1 || len(rows[0].Deployment.Steps) != 1):
			t.Errorf("the deployment came in the last second: %v, %+v", l, rows)
		}
	}
}

// A live deployment expires when it is older than 24 hours; one told in retrospect
// does not.
func TestAgeLimit(t *testing.T) {
	for _, c := range []struct {
		mode    analysis.Mode
		age     time.Duration
		expired bool
	}{
		{analysis.Live, 24 * time.Hour, false},
		{analysis.Live, 24*time.Hour + time.Second, true},
		{analysis.Shadow, 24*time.Hour + time.Second, true},
		{analysis.Retrospective, 24*time.Hour + time.Second, false},
	} {
		b := newBench(t, mustReplay(t, healthy()))
		b.deploy(deployment(c.mode))
		b.advance(start.Add(c.age))
		row, v := b.of("d1")
		if expired := v.Final && v.ReasonCode == analysis.Expired; expired != c.expired || expired && v.Verdict != verdicts.Hold {
			t.Errorf("%s of %v: %v (%s), expired must be %v", c.mode, c.age, v.Verdict, v.ReasonCode, c.expired)
		}
		if c.expired && row.Phase != store.PhaseFinal {
			t.Errorf("%s of %v: phase %s", c.mode, c.age, row.Phase)
		}
	}
}

// asked counts the rows that a source is asked for.
type asked struct {
	sources.Source
	questions atomic.Int64
}

func (a *asked) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	a.questions.Add(1)
	return a.Source.Rows(ctx, q)
}

// Nothing is asked for a deployment that was superseded.
func TestSupersededAsksNothing(t *testing.T) {
	source := &asked{Source: mustReplay(t, healthy())}
	b := newBench(t, source)
	b.deploy(deployment(analysis.Live))
	b.live(0, 3*time.Minute)
	if source.questions.Load() == 0 {
		t.Fatal("nothing is asked for an open deployment")
	}
	newer := called(deployment(analysis.Live), "d2")
	newer.StartedAt = start.Add(3 * time.Minute)
	b.deploy(newer)
	b.advance(start.Add(3 * time.Minute))
	if _, v := b.of("d1"); !v.Final || v.ReasonCode != analysis.Superseded {
		t.Fatalf("the older one is %v (%s)", v.Verdict, v.ReasonCode)
	}
	row, _ := b.of("d2")
	if err := b.Cancel(t.Context(), row.ID, "anna", start.Add(3*time.Minute)); err != nil {
		t.Fatal(err)
	}
	before := source.questions.Load()
	b.live(3*time.Minute, 10*time.Minute)
	if after := source.questions.Load(); after != before {
		t.Errorf("%d questions were asked after both had ended", after-before)
	}
}
