package validation

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// Where waiting costs more than a false rollback the advice is to reduce the weight, for
// as long as nothing is decided. Word, code and reason are at every minute those of the
// same release without costs, and the bundle is judged again to the same bytes.
func TestCostsAdviseAndDecideNothing(t *testing.T) {
	recording := world{baselineRate: .001, canaryRate: .0022, rps: 40, history: 3 * time.Hour, span: 25 * time.Minute}.record(5)
	with, without := newBench(t, mustReplay(t, recording)), newBench(t, mustReplay(t, recording))
	with.Runner.Policy = func(analysis.Release, string) Policy {
		p := policy()
		p.Costs = &analysis.Costs{FailedEvent: 100, FalseRollback: 1, Currency: "EUR"}
		return p
	}
	dropped := 0
	for minute := range 25 {
		for _, b := range []*bench{with, without} {
			if minute == 0 {
				b.deploy(deployment(analysis.Live))
			}
			b.advance(start.Add(time.Duration(minute) * time.Minute))
		}
		_, a := with.of("d1")
		_, b := without.of("d1")
		if a.Verdict != b.Verdict || a.ReasonCode != b.ReasonCode || a.Reason != b.Reason {
			t.Fatalf("minute %d: %v %s (%s) with costs, %v %s (%s) without", minute, a.Verdict, a.ReasonCode, a.Reason, b.Verdict, b.ReasonCode, b.Reason)
		}
		switch {
		case a.Advice == b.Advice:
		case a.Advice != verdicts.Reduce || a.Verdict != verdicts.Pending || !a.Findings[0].Cost.ReduceWeight:
			t.Fatalf("minute %d: %v with advice %s, without costs %s", minute, a.Verdict, a.Advice, b.Advice)
		default:
			dropped++
		}
	}
	_, v := with.of("d1")
	if dropped == 0 || !v.Final {
		t.Fatalf("the advice differs in %d minutes, and it ends with %v", dropped, v.Verdict)
	}
	with.rejudged(v)
}
