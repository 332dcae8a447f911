package validation

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/sources"
)

// served is a source of spans that knows what a service served.
type served struct {
	sources.Source
	operations []analysis.OperationCount
}

func (s served) Operations(context.Context, analysis.OperationQuery) ([]analysis.OperationCount, error) {
	return s.operations, nil
}

// The plan names the most frequent operations before the deployment, as many as there is
// room for, in an order that does not depend on their numbers.
func TestThePlanNamesTheMostFrequentOperations(t *testing.T) {
	source := served{}
	var want []string
	for i := range namedOperations + 50 { // the most frequent first
		name := fmt.Sprintf("GET /%d", 1000-i)
		source.operations = append(source.operations, analysis.OperationCount{Operation: name, Spans: float64(5000 - i)})
		if i < namedOperations {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	r := &Runner{Config: Config{Gatherer: gather.New(map[string]sources.Source{"otlp": source}, gather.Options{})}}
	in := analysis.PlanInput{
		Deployment: analysis.Deployment{StartedAt: start},
		Policy: analysis.Policy{
			Objectives: []analysis.Objective{{Name: "traces", Signal: analysis.Signal{Source: "otlp", Shape: analysis.ShapeTopology}}},
			Traces:     &analysis.TracePlan{Mute: []string{"GET /health"}},
		},
	}
	if err := r.learnStreams(t.Context(), &in); err != nil {
		t.Fatal(err)
	}
	if len(want) != 200 || !slices.Equal(in.Traces.Operations, want) || !slices.Equal(in.Traces.Mute, []string{"GET /health"}) || in.Traces.Source != "otlp" {
		t.Errorf("planned %+v", in.Traces)
	}
}
