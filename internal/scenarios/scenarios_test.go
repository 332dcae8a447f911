package scenarios

import (
	"path/filepath"
	"testing"

	"github.com/release-assay/assay/internal/peers"
	"github.com/release-assay/assay/verdicts"
)

var folder = filepath.Join("..", "..", "testdata", "scenarios")

// TestScenarios plays every script and holds the answers against what its author
// expected of Assay, and against what Kayenta is known to answer.
func TestScenarios(t *testing.T) {
	all, err := ReadAll(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("%d scenarios", len(all))
	}
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, e := range s.Expect {
				expected(t, s, e)
			}
			for _, k := range s.Kayenta {
				answered(t, s, k)
			}
		})
	}
}

// expected checks one expectation.
func expected(t *testing.T, s Scenario, e Expectation) {
	t.Helper()
	answers := 0
	for seed := range uint64(max(1, e.Seeds)) {
		p, err := s.Play(seed)
		if err != nil {
			t.Fatal(err)
		}
		if seed == 0 {
			t.Logf("%s (%s) at fold %d: %s", p.Word, p.Code, p.Fold, p.Reason)
		}
		switch {
		case e.Never && p.Word == e.Word:
			answers++
		case e.Never:
		case p.Word != e.Word || p.Code != e.Code:
			t.Errorf("%s (%s: %s), want %s (%s)", p.Word, p.Code, p.Reason, e.Word, e.Code)
		case e.By > 0 && p.Fold > e.By:
			t.Errorf("%s at fold %d, want it by fold %d", p.Word, p.Fold, e.By)
		}
		if p.Word == verdicts.Pending {
			t.Errorf("the deadline left it %s (%s: %s)", p.Word, p.Code, p.Reason)
		}
	}
	if answers > e.Most {
		t.Errorf("%d of %d runs end with %s, want at most %d", answers, max(1, e.Seeds), e.Word, e.Most)
	}
}

var directions = map[string]peers.Direction{"": peers.Either, "either": peers.Either, "increase": peers.Increase, "decrease": peers.Decrease}

// answered checks what Kayenta's judge says of the same points.
func answered(t *testing.T, s Scenario, k Kayenta) {
	t.Helper()
	direction, known := directions[k.Options["direction"]]
	if !known {
		t.Fatalf("direction %q is not known", k.Options["direction"])
	}
	metric := peers.Metric{Direction: direction, ReplaceNaN: k.Options["nan"] == "replace"}
	same := 0
	var label peers.Label
	for seed := range uint64(max(1, k.Seeds)) {
		p, err := s.Play(seed)
		if err != nil {
			t.Fatal(err)
		}
		points := p.Points[k.Objective]
		if label = peers.Netflix.Classify(points[0], points[1], metric).Label; string(label) == k.Label {
			same++
		}
	}
	least, most := max(1, k.Least), k.Most
	if most == 0 {
		most = max(1, k.Seeds)
	}
	if same < least || same > most {
		t.Errorf("Kayenta says %s of %s in %d of %d runs (last %s), the script says %d to %d", k.Label, k.Objective, same, max(1, k.Seeds), label, least, most)
	}
}
