package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
)

// A fake answers bare selectors from a recording, the way Prometheus 3 does: range
// selectors are open at the left. It knows nothing else of PromQL.
type fake struct {
	*httptest.Server

	mu       sync.Mutex
	series   []recorded
	queries  []string
	warnings []string
	ahead    time.Duration // by which answers go beyond the time that was asked for
}

type recorded struct {
	labels  map[string]string
	samples []analysis.Sample
	native  []native // instead of samples
}

// native is a native histogram as the API writes it.
type native struct {
	T    time.Time
	text string
}

func newFake(t testing.TB, series ...recorded) *fake {
	f := &fake{series: series}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

// asked returns the queries since the last call.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queries
	f.queries = nil
	return q
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	query := r.FormValue("query")
	f.queries = append(f.queries, query)
	expr, err := parser.ParseExpr(query)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":%q}`, err)
		return
	}
	var matrix []map[string]any
	for _, s := range f.series {
		var values, histograms [][2]any
		switch e := expr.(type) {
		case *parser.MatrixSelector:
			if r.URL.Path == "/api/v1/query" && selects(e.VectorSelector.(*parser.VectorSelector), s.labels) {
				end := seconds(r.FormValue("time"))
				values = pick(s.samples, end.Add(-e.Range), end.Add(f.ahead))
				histograms = pickNative(s.native, end.Add(-e.Range), end.Add(f.ahead))
			}
		case *parser.VectorSelector:
			if r.URL.Path != "/api/v1/query_range" || !selects(e, s.labels) {
				continue
			}
			lookBack := 5 * time.Minute
			if d, err := time.ParseDuration(r.FormValue("lookback_delta")); err == nil {
				lookBack = d
			}
			every, _ := strconv.ParseFloat(r.FormValue("step"), 64)
			for at, end := seconds(r.FormValue("start")), seconds(r.FormValue("end")); !at.After(end); at = at.Add(time.Duration(every * float64(time.Second))) {
				if in := pick(s.samples, at.Add(-lookBack), at); len(in) > 0 {
					values = append(values, [2]any{float64(at.UnixMilli()) / 1000, in[len(in)-1][1]})
				}
				if in := pickNative(s.native, at.Add(-lookBack), at); len(in) > 0 {
					histograms = append(histograms, [2]any{float64(at.UnixMilli()) / 1000, in[len(in)-1][1]})
				}
			}
		}
		if len(values) > 0 {
			matrix = append(matrix, map[string]any{"metric": s.labels, "values": values})
		}
		if len(histograms) > 0 {
			matrix = append(matrix, map[string]any{"metric": s.labels, "histograms": histograms})
		}
	}
	json.NewEncoder(w).Encode(map[string]any{
		"status": "success", "warnings": f.warnings,
		"data": map[string]any{"resultType": "matrix", "result": slices.Concat([]map[string]any{}, matrix)},
	})
}

func selects(v *parser.VectorSelector, have map[string]string) bool {
	return !slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return !m.Matches(have[m.Name]) })
}

func pick(samples []analysis.Sample, after, to time.Time) (values [][2]any) {
	for _, s := range samples {
		if s.T.After(after) && !s.T.After(to) {
			values = append(values, [2]any{float64(s.T.UnixMilli()) / 1000, strconv.FormatFloat(s.V, 'f', -1, 64)})
		}
	}
	return values
}

func pickNative(samples []native, after, to time.Time) (values [][2]any) {
	for _, s := range samples {
		if s.T.After(after) && !s.T.After(to) {
			values = append(values, [2]any{float64(s.T.UnixMilli()) / 1000, json.RawMessage(s.text)})
		}
	}
	return values
}

func seconds(text string) time.Time {
	v, _ := strconv.ParseFloat(text, 64)
	return time.UnixMilli(int64(v*1000 + 0.5))
}

// open returns a source that asks the given server.
func open(t testing.TB, url string, change ...func(*Config)) *Source {
	t.Helper()
	cfg := DefaultConfig()
	cfg.URL = url
	for _, c := range change {
		c(&cfg)
	}
	s, err := Open("prom", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// noon is when the tests play: on the grid of every cadence.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// readings makes samples of time and value: second after noon, value, ...
func readings(pairs ...float64) (samples []analysis.Sample) {
	for k := 0; k+1 < len(pairs); k += 2 {
		samples = append(samples, analysis.Sample{T: noon.Add(time.Duration(pairs[k] * float64(time.Second))), V: pairs[k+1]})
	}
	return samples
}

// pairs makes labels of name, value, ...
func pairs(text ...string) map[string]string {
	m := map[string]string{}
	for k := 0; k+1 < len(text); k += 2 {
		m[text[k]] = text[k+1]
	}
	return m
}

// requests is one series of checkout's counter.
func requests(pod, version, code string, samples []analysis.Sample) recorded {
	return recorded{labels: pairs(model.MetricNameLabel, "http_requests_total", "service_name", "checkout", "service_version", version,
		"pod", pod, "instance", pod+":80", "job", "shop", "code", code), samples: samples}
}

func started(pod, version string, samples []analysis.Sample) recorded {
	return recorded{labels: pairs(model.MetricNameLabel, startMetric, "service_name", "checkout", "service_version", version,
		"pod", pod, "instance", pod+":80", "job", "shop"), samples: samples}
}

func errorRatio() analysis.Signal {
	return analysis.Signal{
		Name: "errors", Source: "prom", Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: "http_requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}},
		Total: &analysis.Selector{Metric: "http_requests_total"},
	}
}

func checkout(versions ...string) []analysis.Match {
	return []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}, {Name: analysis.AttrVersion, Values: versions}}
}

// minute is the fold (noon, noon+60s].
func minuteQuery(versions ...string) analysis.Query {
	return analysis.Query{Signal: errorRatio(), Matches: checkout(versions...), Fold: analysis.Fold{Start: at(0), End: at(60)}, Since: at(-600)}
}
