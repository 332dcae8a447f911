package intake

import (
	"os"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// The event that docs/events.md shows is one.
func TestDocumentedEvent(t *testing.T) {
	page, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```json\n")
	example, _, found := strings.Cut(rest, "```\n")
	if !found {
		t.Fatal("docs/events.md shows no event")
	}
	d, rejection := Decode(Message{ContentType: "application/cloudevents+json", Value: []byte(example)}, DefaultLimits())
	if rejection != nil {
		t.Fatal(rejection)
	}
	want := analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"}
	if e := d.Event; d.Outcome != Accepted || e.Release != want || e.DeploymentID != "rollout-4711" || e.Phase != analysis.PhaseStarted || e.Step == nil || e.Step.Weight != 0.1 {
		t.Errorf("%v %+v", d.Outcome, e)
	}
}
