package intake_test

import (
	"testing"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/intake/intaketest"
)

// TestDecodeRefusesTheCorpus: every hostile event is refused for its own reason
// (F6, F8, F9), and the event from which they are made is not.
func TestDecodeRefusesTheCorpus(t *testing.T) {
	for _, m := range []intake.Message{intaketest.Binary(intaketest.Good()), intaketest.Structured(intaketest.Good())} {
		if d, rejection := intake.Decode(m, intake.DefaultLimits()); rejection != nil || d.Outcome != intake.Accepted {
			t.Fatalf("the good event: %+v, %v", d, rejection)
		}
	}
	corpus := intaketest.Corpus()
	if len(corpus) < 500 {
		t.Errorf("%d hostile events, at least 500 are promised", len(corpus))
	}
	reasons, names := map[intake.Reason]int{}, map[string]bool{}
	for _, c := range corpus {
		d, rejection := intake.Decode(c.Message, intake.DefaultLimits())
		if rejection == nil {
			t.Errorf("%s: accepted as %+v", c.Name, d)
			continue
		}
		if rejection.Reason != c.Reason {
			t.Errorf("%s: %s (%v), want %s", c.Name, rejection.Reason, rejection, c.Reason)
		}
		if rejection.Error() == "" || len(rejection.Error()) > 1024 {
			t.Errorf("%s: said in %d bytes", c.Name, len(rejection.Error()))
		}
		if names[c.Name] {
			t.Errorf("%s is there twice", c.Name)
		}
		names[c.Name] = true
		reasons[c.Reason]++
	}
	t.Logf("%d hostile events: %v", len(corpus), reasons)
}
