package torture

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// The versions and the place of every service of the fleet.
const (
	Environment = "prod"
	Baseline    = "1.0.0"
)

// counter and start are the metrics that the fleet exports.
const (
	counter = "http_requests_total"
	start   = "process_start_time_seconds"
)

// past is how long the baseline of a service has been there when it is added.
const past = 5 * time.Hour

// lookBack is how old a sample a range query may show, as in Prometheus.
const lookBack = 5 * time.Minute

// A Fleet is services whose telemetry is known for all time: what a Prometheus that
// never fails and never forgets would answer. It understands bare selectors, which
// is all that Assay asks for. The same question has the same answer at any time.
type Fleet struct {
	mu       sync.Mutex
	services map[string]*service
}

// A Traffic is how much is scraped of a service, and how often.
type Traffic struct {
	Scrape   time.Duration
	Requests float64 // a second and pod
}

type service struct {
	Traffic
	born   time.Time
	canary []arm
}

type arm struct {
	version string
	from    time.Time
	failing float64 // share of its requests
}

// healthy is the share of requests that fails in a version that is all right.
const healthy = 0.001

const (
	baselinePods = 3
	canaryPods   = 2
)

// Deploy adds a version of a service, and the service with its baseline where it is
// new. Failing is the share of the new version's requests that fail.
func (f *Fleet) Deploy(name, version string, at time.Time, failing float64, traffic Traffic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.services == nil {
		f.services = map[string]*service{}
	}
	s := f.services[name]
	if s == nil {
		s = &service{Traffic: traffic, born: at.Add(-past).Truncate(time.Minute)}
		f.services[name] = s
	}
	s.canary = append(s.canary, arm{version, at.Truncate(time.Second), failing})
}

// ServeHTTP answers /api/v1/query and /api/v1/query_range.
func (f *Fleet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	expr, err := parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":"error","errorType":"bad_data","error":%q}`, err)
		return
	}
	result := []stream{}
	switch e := expr.(type) {
	case *parser.MatrixSelector:
		end := instant(r.FormValue("time"))
		result = f.answer(e.VectorSelector.(*parser.VectorSelector), func(p podSeries) [][2]any { return p.raw(end.Add(-e.Range), end) })
	case *parser.VectorSelector:
		from, to := instant(r.FormValue("start")), instant(r.FormValue("end"))
		every, _ := strconv.ParseFloat(r.FormValue("step"), 64)
		back := lookBack
		if d, err := time.ParseDuration(r.FormValue("lookback_delta")); err == nil {
			back = d
		}
		if every > 0 {
			result = f.answer(e, func(p podSeries) [][2]any { return p.steps(from, to, time.Duration(every*float64(time.Second)), back) })
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}})
}

type stream struct {
	Metric map[string]string `json:"metric"`
	Values [][2]any          `json:"values"`
}

// answer collects what a selector selects.
func (f *Fleet) answer(v *parser.VectorSelector, samples func(podSeries) [][2]any) []stream {
	out := []stream{}
	for _, p := range f.selected(v.LabelMatchers) {
		if values := samples(p); len(values) > 0 {
			out = append(out, stream{p.labels, values})
		}
	}
	return out
}

// selected returns the series that carry all matchers. A selector without the name
// of a service selects nothing: nobody may ask for everything.
func (f *Fleet) selected(ms []*labels.Matcher) []podSeries {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for _, m := range ms {
		if m.Name == "service_name" && m.Type == labels.MatchEqual {
			names = append(names, m.Value)
		} else if m.Name == "service_name" {
			names = append(names, m.SetMatches()...)
		}
	}
	var out []podSeries
	for _, name := range names {
		s := f.services[name]
		if s == nil {
			continue
		}
		arms := append([]arm{{Baseline, s.born, healthy}}, s.canary...)
		for i, a := range arms {
			pods := canaryPods
			if i == 0 {
				pods = baselinePods
			}
			for pod := range pods {
				for _, p := range s.series(name, a, fmt.Sprintf("%s-%s-%d", name, a.version, pod)) {
					if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(p.labels[m.Name]) }) {
						out = append(out, p)
					}
				}
			}
		}
	}
	return out
}

// A podSeries is one series: its value at each scrape since the pod came up.
type podSeries struct {
	labels map[string]string
	from   time.Time
	scrape time.Duration
	value  func(scrapes float64) float64
}

// series are those of one pod.
func (s *service) series(name string, a arm, pod string) []podSeries {
	base := map[string]string{
		"service_name": name, "service_version": a.version, "deployment_environment_name": Environment,
		"pod": pod, "instance": pod + ":80", "job": "fleet",
	}
	with := func(more ...string) map[string]string {
		all := map[string]string{}
		for k, v := range base {
			all[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	each := s.Requests * s.Scrape.Seconds()
	all := func(n float64) float64 { return math.Floor(each * n) }
	bad := func(n float64) float64 { return math.Floor(each * n * a.failing) }
	return []podSeries{
		{with(labels.MetricName, counter, "code", "200"), a.from, s.Scrape, func(n float64) float64 { return all(n) - bad(n) }},
		{with(labels.MetricName, counter, "code", "500"), a.from, s.Scrape, bad},
		{with(labels.MetricName, start), a.from, s.Scrape, func(float64) float64 { return float64(a.from.UnixMilli()) / 1000 }},
	}
}

// at is the sample of the n-th scrape.
func (p podSeries) at(n int64) [2]any {
	t := p.from.Add(time.Duration(n) * p.scrape)
	return [2]any{float64(t.UnixMilli()) / 1000, strconv.FormatFloat(p.value(float64(n)), 'f', -1, 64)}
}

// newest is the number of the last scrape at or before t; negative: none yet.
func (p podSeries) newest(t time.Time) int64 {
	if t.Before(p.from) {
		return -1
	}
	return int64(t.Sub(p.from) / p.scrape)
}

// raw are the samples in (after, to].
func (p podSeries) raw(after, to time.Time) (values [][2]any) {
	for n := p.newest(after) + 1; n <= p.newest(to); n++ {
		values = append(values, p.at(n))
	}
	return values
}

// steps are the newest samples at each step, not older than back.
func (p podSeries) steps(from, to time.Time, every, back time.Duration) (values [][2]any) {
	for t := from; !t.After(to); t = t.Add(every) {
		n := p.newest(t)
		if n < 0 || t.Sub(p.from.Add(time.Duration(n)*p.scrape)) >= back {
			continue
		}
		values = append(values, [2]any{float64(t.UnixMilli()) / 1000, p.at(n)[1]})
	}
	return values
}

func instant(text string) time.Time {
	v, _ := strconv.ParseFloat(text, 64)
	return time.UnixMilli(int64(math.Round(v * 1000))).UTC()
}
