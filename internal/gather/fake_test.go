package gather

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Whoever starts a goroutine waits for it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake is a source over a list of pods that count the same in every fold. What a pod
// observed above a bound is its exposure divided by the bound.
type fake struct {
	pods []podCount
	// before is called with each query; its error is the answer.
	before  func(context.Context, analysis.Query) error
	history func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error)

	mu      sync.Mutex
	queries []analysis.Query
	busy    int
	busiest int
}

type podCount struct {
	name       string
	attributes map[string]string
	row        analysis.Row
}

func (f *fake) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	f.mu.Lock()
	f.queries = append(f.queries, q)
	f.busy++
	f.busiest = max(f.busiest, f.busy)
	f.mu.Unlock()
	defer func() { f.mu.Lock(); f.busy--; f.mu.Unlock() }()
	if f.before != nil {
		if err := f.before(ctx, q); err != nil {
			return analysis.Answer{}, err
		}
	}
	var a analysis.Answer
	for _, p := range f.pods {
		row := p.row
		row.Pod = p.name
		in := true
		for _, m := range q.Matches {
			in = in && slices.Contains(m.Values, p.attributes[m.Name])
			row.Values = append(row.Values, p.attributes[m.Name])
		}
		for _, name := range q.Observe {
			row.Observed = append(row.Observed, p.attributes[name])
		}
		for _, name := range q.Strata {
			row.Stratum = append(row.Stratum, p.attributes[name])
		}
		row.Above, row.FirstAbove = p.above(q.Bounds)
		if in {
			a.Rows = append(a.Rows, row)
		}
	}
	return a, nil
}

func (p podCount) above(bounds []float64) (above, first []float64) {
	for _, b := range bounds {
		above = append(above, p.row.Exposure/b)
		if p.row.New {
			first = append(first, p.row.FirstExposure/b)
		}
	}
	return above, first
}

func (f *fake) Spacing(context.Context, analysis.SpacingQuery) (time.Duration, error) {
	return 15 * time.Second, nil
}

func (f *fake) History(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, error) {
	return f.history(ctx, q)
}

func (f *fake) Seen(context.Context, analysis.SeenQuery) ([]analysis.Seen, error) {
	return []analysis.Seen{{Service: "checkout"}}, nil
}

func (f *fake) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queries)
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func signal(source string) analysis.Signal {
	return analysis.Signal{
		Name: "errors", Source: source, Unit: "1", Shape: analysis.ShapeRatio,
		Bad: &analysis.Selector{Metric: "errors_total"}, Total: &analysis.Selector{Metric: "requests_total"},
	}
}

// deployment is the request of one service that goes from one version to another.
func deployment(source, service, from, to string) Request {
	cohort := func(version string) analysis.Cohort {
		return analysis.Cohort{analysis.AttrService: service, analysis.AttrVersion: version}
	}
	return Request{
		Validation: analysis.ValidationID("v-" + service), Objective: "errors", DeployedAt: noon.Add(-time.Hour),
		Query:   analysis.Query{Signal: signal(source), Fold: analysis.Fold{Start: noon, End: noon.Add(time.Minute)}, Since: noon.Add(-time.Hour)},
		Cohorts: analysis.Cohorts{Baseline: cohort(from), Canary: cohort(to)},
	}
}

func pod(name, service, version string, bad, exposure float64) podCount {
	return podCount{
		name,
		map[string]string{analysis.AttrService: service, analysis.AttrVersion: version},
		analysis.Row{Increase: analysis.Increase{Bad: bad, Exposure: exposure}, Received: 1},
	}
}

// shop is n services with two versions of a name each, and its deployments.
func shop(source string, n int) (*fake, []Request) {
	f := new(fake)
	var requests []Request
	for i := range n {
		service := fmt.Sprint("service-", i)
		from, to := fmt.Sprintf("1.%d.0", i), fmt.Sprintf("1.%d.1", i)
		f.pods = append(f.pods, pod(service+"-a", service, from, 1, float64(100+i)), pod(service+"-b", service, to, 2, float64(10+i)))
		requests = append(requests, deployment(source, service, from, to))
	}
	return f, requests
}

func checkShop(t *testing.T, results []Result, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		service := fmt.Sprint("service-", i)
		want := []analysis.ArmRow{
			{Arm: analysis.Baseline, Pod: service + "-a", Bad: 1, Exposure: float64(100 + i), Received: 1},
			{Arm: analysis.Canary, Pod: service + "-b", Bad: 2, Exposure: float64(10 + i), Received: 1},
		}
		if results[i].Err != nil || !reflect.DeepEqual(results[i].Evidence.Rows, want) {
			t.Fatalf("%s: %+v, %v", service, results[i].Evidence.Rows, results[i].Err)
		}
	}
}

func table(fakes map[string]*fake) map[string]sources.Source {
	t := map[string]sources.Source{}
	for name, f := range fakes {
		t[name] = f
	}
	return t
}

func (*fake) Distribution(context.Context, analysis.DistributionQuery) (analysis.Histogram, error) {
	return analysis.Histogram{}, nil
}
