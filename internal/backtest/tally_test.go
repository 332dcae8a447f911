package backtest

import (
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
	"github.com/release-assay/assay/verdicts"
)

func judged(id analysis.DeploymentID, before, after verdicts.Word, truth Truth) Case {
	return Case{Deployment: id, Before: Answer{Verdict: before}, After: &Answer{Verdict: after}, Truth: truth}
}

// Every case is in one cell of the table and in at most one list; what cannot be told
// counts for neither configuration.
func TestCount(t *testing.T) {
	cases := []Case{
		judged("a", verdicts.Promote, verdicts.Promote, Good),
		judged("b", verdicts.Promote, verdicts.Hold, Bad),
		judged("c", verdicts.Rollback, verdicts.Hold, Bad),
		judged("d", verdicts.Hold, verdicts.Pending, Good),
		judged("e", verdicts.Rollback, verdicts.Rollback, ""),
		{Deployment: "f", Before: Answer{Verdict: verdicts.Promote}, Truth: Bad},
	}
	got := Count(cases)
	if got.Cases != 6 || got.Same != 2 || len(got.Changes) != 2 || len(got.Pending) != 1 || len(got.CannotTell) != 1 {
		t.Errorf("%+v", got)
	}
	total := 0
	for _, cell := range got.Table {
		total += cell.Cases
	}
	hold := verdicts.Hold
	if total != 6 || got.At(verdicts.Promote, &hold) != 1 || got.At(verdicts.Promote, nil) != 1 || got.At(verdicts.Hold, &hold) != 0 {
		t.Errorf("the table is %+v", got.Table)
	}
	before, after := got.Labelled.Before, got.Labelled.After
	if before.Good.Cases != 2 || before.Bad.Cases != 2 || after.Bad.Cases != 2 {
		t.Errorf("labelled are %+v", got.Labelled)
	}
	low, high := stats.Wilson(1, 2, 0.05)
	if want := (Share{verdicts.Rollback, 1, 0.5, low, high}); before.Bad.Shares[1] != want {
		t.Errorf("of the bad ones %+v was rolled back, want %+v", before.Bad.Shares[1], want)
	}
	if held := after.Bad.Shares[2]; held.Cases != 2 || held.Share != 1 {
		t.Errorf("of the bad ones %+v would be held", held)
	}
	if waiting := after.Good.Shares[3]; waiting.Answer != verdicts.Pending || waiting.Cases != 1 {
		t.Errorf("of the good ones %+v would be pending", waiting)
	}
}

func TestCountNothing(t *testing.T) {
	got := Count(nil)
	if got.Cases != 0 || got.Labelled != nil || got.Changes == nil || got.CannotTell == nil || got.Table == nil {
		t.Errorf("%+v", got)
	}
	labelled := Count([]Case{judged("a", verdicts.Promote, verdicts.Promote, Good)}).Labelled
	if bad := labelled.After.Bad.Shares[0]; bad.Share != 0 || bad.Low != 0 || bad.High != 1 {
		t.Errorf("without a bad release the interval is %+v", bad)
	}
}
