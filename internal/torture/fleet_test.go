package torture

import (
	"context"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/prometheus"
)

// TestFleetIsAnHonestPrometheus asks the fleet as Assay does, by the source for
// Prometheus.
func TestFleetIsAnHonestPrometheus(t *testing.T) {
	f := &Fleet{}
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	f.Deploy("checkout", "2.0.0", at, 0.05, Traffic{30 * time.Second, 20})
	f.Deploy("basket", "2.0.0", at, 0, Traffic{30 * time.Second, 20})
	server := httptest.NewServer(f)
	defer server.Close()
	config := prometheus.DefaultConfig()
	config.URL = server.URL
	source, err := prometheus.Open("fleet", config)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	signal := analysis.Signal{
		Name: "errors", Source: "fleet", Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: counter, Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}},
		Total: &analysis.Selector{Metric: counter},
	}
	of := func(service string, versions ...string) []analysis.Match {
		return []analysis.Match{{Name: analysis.AttrService, Values: []string{service}}, {Name: analysis.AttrVersion, Values: versions}}
	}
	ctx := context.Background()

	query := analysis.Query{Signal: signal, Matches: of("checkout", Baseline, "2.0.0"), Fold: analysis.Fold{Start: at.Add(5 * time.Minute), End: at.Add(10 * time.Minute)}, Since: at.Add(-time.Hour)}
	answer, err := source.Rows(ctx, query)
	if err != nil || len(answer.Rows) != baselinePods+canaryPods {
		t.Fatalf("%d rows, %v", len(answer.Rows), err)
	}
	for _, row := range answer.Rows {
		if want := map[string]float64{Baseline: 6, "2.0.0": 300}[row.Values[1]]; row.Exposure != 6000 || row.Bad != want || row.Received == 0 {
			t.Errorf("%s %s: %v bad of %v, want %v of 6000", row.Values[1], row.Pod, row.Bad, row.Exposure, want)
		}
	}
	again, err := source.Rows(ctx, query)
	if err != nil || !reflect.DeepEqual(again.Rows, answer.Rows) {
		t.Errorf("another answer to the same question: %v", err)
	}
	if spacing, err := source.Spacing(ctx, analysis.SpacingQuery{Signal: signal, Matches: of("checkout", Baseline), From: at.Add(-time.Hour), To: at}); err != nil || spacing != 30*time.Second {
		t.Errorf("spacing %v, %v", spacing, err)
	}
	sums, err := source.History(ctx, analysis.HistoryQuery{Signal: signal, Matches: of("checkout", Baseline), From: at.Add(-time.Hour), To: at})
	if err != nil || len(sums) < 59*baselinePods || sums[0].Exposure != 1200 {
		t.Errorf("history of %d minutes, %v", len(sums), err)
	}
	seen, err := source.Seen(ctx, analysis.SeenQuery{Signal: signal, Service: "checkout", From: at.Add(-time.Hour), To: at})
	if err != nil || len(seen) != 1 || seen[0].Version != Baseline {
		t.Errorf("seen before the deployment: %+v, %v", seen, err)
	}
}
