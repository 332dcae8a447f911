package validation

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// counted counts the questions for rows that reach a source.
type counted struct {
	*flaky
	asked atomic.Int64
}

func (c *counted) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	c.asked.Add(1)
	return c.flaky.Rows(ctx, q)
}

// A source that is down is left alone but for probes, however many releases wait for
// it; and once it is back all that was missed is folded at the next probe.
func TestADownSourceIsProbedAndItsReturnNoticed(t *testing.T) {
	const outage, back = 4 * time.Minute, 14 * time.Minute // after the start
	w := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}
	source := &counted{flaky: &flaky{Source: mustReplay(t, w.record(1))}}
	b := newBench(t, source)
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		e := deployment(analysis.Shadow) // of one service, side by side
		e.ID, e.DeploymentID = id, analysis.DeploymentID(id)
		b.deploy(e)
	}
	behind := func(now time.Time) (n int) {
		for _, v := range b.Runner.open {
			if fold, _ := v.judge.State().Next(0); !fold.End.Add(v.plan.Objectives[0].Lateness.D()).After(now) {
				n++
			}
		}
		return n
	}
	var asked int64
	for now := start; now.Before(start.Add(back + 23*time.Second)); now = now.Add(time.Second) {
		since := now.Sub(start)
		if since == outage {
			asked = source.asked.Load()
		}
		source.set(since >= outage && since < back)
		b.advance(now)
		if since == back-time.Second {
			if n := behind(now); n != 6 {
				t.Fatalf("%d releases wait for the source, want all 6", n)
			}
			// Five to open the breaker, then at most one in half of 15 s.
			if asked = source.asked.Load() - asked; asked < 5+10*60/23 || asked > 5+10*60/7 {
				t.Errorf("%d questions to a source that is down for 10 minutes", asked)
			}
		}
	}
	if n := behind(start.Add(back + 22*time.Second)); n > 0 {
		t.Errorf("%d releases are behind 23 s after the source came back", n)
	}
}
