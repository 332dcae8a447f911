package validation

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
)

// A fleet is a metrics server for many services of two versions with three pods
// each, scraped once a minute, which all do the same: what it answers is computed
// from the time that it is asked for. It understands the queries of
// sources/prometheus and nothing else.
type fleet struct {
	*httptest.Server
	services int
	queries  atomic.Int64 // HTTP requests
	busy     atomic.Int64
	busiest  atomic.Int64
}

const (
	fleetCadence = time.Minute
	fleetPods    = 3
	// fleetHistory is how long before the start the counters begin.
	fleetHistory = time.Hour
)

func newFleet(t testing.TB, services int) *fleet {
	f := &fleet{services: services}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *fleet) serve(w http.ResponseWriter, r *http.Request) {
	f.queries.Add(1)
	if busy := f.busy.Add(1); busy > f.busiest.Load() {
		f.busiest.Store(busy) // a lower one that comes between is no harm: the limit is checked at 4
	}
	defer f.busy.Add(-1)
	expr, err := parser.ParseExpr(r.FormValue("query"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	at := func(name string) time.Time {
		v, err := strconv.ParseFloat(r.FormValue(name), 64)
		if err != nil {
			http.Error(w, name+": "+err.Error(), http.StatusBadRequest)
		}
		return time.UnixMilli(int64(math.Round(v * 1000)))
	}
	var selector *parser.VectorSelector
	var from, to time.Time
	switch e := expr.(type) {
	case *parser.MatrixSelector:
		selector, to = e.VectorSelector.(*parser.VectorSelector), at("time")
		from = to.Add(-e.Range)
	case *parser.VectorSelector:
		// The samples lie on whole minutes, and so do the steps of a history.
		selector, from, to = e, at("start").Add(-1), at("end")
	default:
		http.Error(w, "not a selector", http.StatusBadRequest)
		return
	}
	b := []byte(`{"status":"success","data":{"resultType":"matrix","result":[`)
	before := len(b)
	for _, service := range f.selected(selector) {
		b = f.append(b, selector, service, from, to)
	}
	if len(b) > before {
		b = b[:len(b)-1] // the last comma
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, "]}}"...))
}

// selected returns the services that a query names.
func (f *fleet) selected(v *parser.VectorSelector) []string {
	for _, m := range v.LabelMatchers {
		switch {
		case m.Name != "service_name":
		case m.Type == labels.MatchEqual:
			return []string{m.Value}
		case m.Type == labels.MatchRegexp:
			return m.SetMatches()
		}
	}
	return nil
}

// append writes the series of one service: of each pod the requests by status, or
// when its process started.
func (f *fleet) append(b []byte, v *parser.VectorSelector, service string, after, to time.Time) []byte {
	for _, version := range []string{"1", "2"} {
		began := start
		if version == "1" {
			began = start.Add(-fleetHistory)
		}
		for pod := range fleetPods {
			for _, series := range []struct {
				metric, code string
				value        func(minutes int64) int64
			}{
				{"requests", "200", func(m int64) int64 { return 20*m - m/7 }},
				{"requests", "500", func(m int64) int64 { return m / 7 }},
				{"process_start_time_seconds", "", func(int64) int64 { return began.Unix() }},
			} {
				has := func(name string) string {
					switch name {
					case "__name__":
						return series.metric
					case "service_name":
						return service
					case "service_version":
						return version
					case "code":
						return series.code
					}
					return ""
				}
				in := true
				for _, m := range v.LabelMatchers {
					in = in && m.Matches(has(m.Name))
				}
				first := after.Truncate(fleetCadence).Add(fleetCadence)
				if first.Before(began) {
					first = began
				}
				if !in || first.After(to) {
					continue
				}
				b = fmt.Appendf(b, `{"metric":{"__name__":%q,"service_name":%q,"service_version":%q,"pod":"%s-%s-%d","instance":"%s-%s-%d:80"`,
					series.metric, service, version, service, version, pod, service, version, pod)
				if series.code != "" {
					b = fmt.Appendf(b, `,"code":%q`, series.code)
				}
				b = append(b, `},"values":[`...)
				for at := first; !at.After(to); at = at.Add(fleetCadence) {
					b = append(b, '[')
					b = strconv.AppendInt(b, at.Unix(), 10)
					b = append(b, `,"`...)
					b = strconv.AppendInt(b, series.value(int64(at.Sub(began)/fleetCadence)), 10)
					b = append(b, `"],`...)
				}
				b = append(b[:len(b)-1], "]},"...)
			}
		}
	}
	return b
}

// source is the fleet as Assay is told of it.
func (f *fleet) source(t testing.TB) sources.Source {
	t.Helper()
	c := prometheus.DefaultConfig()
	c.URL = f.URL
	s, err := prometheus.Open("fleet", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fleetPolicy(analysis.Release, string) Policy {
	p := policy()
	signal := &p.Objectives[0].Signal
	signal.Source = "fleet"
	signal.Bad = &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}}
	p.Window.Deadline = analysis.Duration(time.Hour)
	p.Window.MinBake = analysis.Duration(30 * time.Minute) // nobody ends while the tests last
	return p
}

// deployAll accepts the start of a deployment of every service of the fleet.
func (f *fleet) deployAll(t testing.TB, st *store.Store) {
	t.Helper()
	for from := 0; from < f.services; from += 500 {
		batch := store.Batch{Now: start}
		for i := from; i < min(from+500, f.services); i++ {
			e := analysis.Event{
				Source: "/ci", ID: fmt.Sprint("d", i), DeploymentID: analysis.DeploymentID(fmt.Sprint("d", i)), Phase: analysis.PhaseStarted, Time: start, StartedAt: start, Mode: analysis.Live,
				Release: analysis.Release{Environment: "prod", Service: fmt.Sprint("service-", i), Version: "2", PreviousVersion: "1"},
			}
			batch.Deliveries = append(batch.Deliveries, store.Delivery{Topic: store.TopicHTTP, Partition: store.PartitionHTTP, Raw: []byte("{}"), ContentHash: e.ID, Event: e})
		}
		if _, err := st.Accept(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// A process is a Runner with its store, as one process of Assay has them.
type process struct {
	*Runner
	commits int
}

func startProcess(t testing.TB, dir string, source sources.Source, options gather.Options) *process {
	t.Helper()
	st, err := store.Open(t.Context(), dir+"/assay.db", start)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{}
	p.Runner, err = Open(t.Context(), Config{
		Store: st, Gatherer: gather.New(map[string]sources.Source{"fleet": source}, options), Policy: fleetPolicy, Dir: dir, Engine: "test",
		Passed: func(step string) {
			if step == "committed" {
				p.commits++
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *process) end() {
	p.Close()
	p.Store.Close()
}

// behind counts the open validations that have a fold to fold by now.
func (p *process) behind(now time.Time) (n int) {
	for _, v := range p.open {
		if v.judge == nil || !v.closes(0).After(now) {
			n++
		}
	}
	return n
}
