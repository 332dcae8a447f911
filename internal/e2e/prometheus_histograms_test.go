package e2e

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/testdata/backends"
)

// TestPrometheusHistograms scrapes a live program in two versions that exposes a
// histogram of each kind, one of both, and a gauge. What the source says of a fold is
// held against the observations themselves.
func TestPrometheusHistograms(t *testing.T) {
	discovery := newDiscovery(t)
	server := backends.StartPrometheus(t, backends.PrometheusConfig{ScrapeConfigs: fmt.Sprintf(`
  - job_name: program
    scrape_interval: 1s
    always_scrape_classic_histograms: true
    file_sd_configs: [{files: [%s], refresh_interval: 1s}]`, discovery.file)})
	source := openPrometheus(t, server.URL)

	pods := map[string]*observer{}
	for i, name := range []string{"base-0", "base-1", "canary-0"} {
		pods[name] = newObserver(t, uint64(i))
		pods[name].observe(200, 1) // before anybody scrapes
		version := "1.0"
		if name == "canary-0" {
			version = "2.0"
		}
		discovery.add(pods[name].address, "orders", version, name)
	}
	discovery.publish()
	begin := time.Now().UTC().Truncate(time.Millisecond)
	ask := func(from, to time.Time, signal analysis.Signal, bounds ...float64) analysis.Query {
		return analysis.Query{
			Signal: signal, Bounds: bounds, Fold: analysis.Fold{Start: from, End: to}, Since: begin,
			Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"orders"}}, {Name: analysis.AttrVersion, Values: []string{"1.0", "2.0"}}},
		}
	}
	// scraped waits until the newest scrape of every pod has all that it observed.
	scraped := func(since time.Time) time.Time {
		t.Helper()
		var now time.Time
		eventually(t, 30*time.Second, "every pod is scraped", func() error {
			if now = time.Now().UTC().Truncate(time.Millisecond); now.Sub(since) < 3*time.Second {
				return errors.New("fewer than three scrapes")
			}
			answer, err := source.Rows(t.Context(), ask(since, now, distributionOf("native_seconds")))
			if err != nil {
				return err
			}
			if len(answer.Rows) != len(pods) {
				return fmt.Errorf("%d rows", len(answer.Rows))
			}
			for _, row := range answer.Rows {
				if held := row.Exposure + row.FirstExposure; held < float64(len(pods[row.Pod].batch)) {
					return fmt.Errorf("%s: %v of %d", row.Pod, held, len(pods[row.Pod].batch))
				}
			}
			return nil
		})
		return now
	}

	known := scraped(begin)
	for _, pod := range pods {
		pod.batch = nil
	}
	for name, pod := range pods {
		slower := 1.0
		if name == "canary-0" {
			slower = 1.5
		}
		pod.observe(300, slower)
	}
	seen := scraped(known)

	// Powers of 2^(1/8), which are bounds of the native layout; 0.25 and 0.5 are bounds
	// of both, 0.1 of the classic one alone.
	grid, both, classic := []float64{math.Exp2(-2.25), 0.25, math.Exp2(-0.125)}, []float64{0.25, 0.5}, []float64{0.1, 0.5}
	for _, test := range []struct {
		metric string
		bounds []float64
		told   bool
	}{
		{"native_seconds", grid, true},
		{"native_seconds", classic, false},
		{"classic_seconds", classic, true},
		{"classic_seconds", grid, false},
		{"both_seconds", grid, true},
		{"both_seconds", classic, true},
		{"both_seconds", both, true},
	} {
		answer, err := source.Rows(t.Context(), ask(known, seen, distributionOf(test.metric), test.bounds...))
		if err != nil || len(answer.Rows) != len(pods) {
			t.Fatalf("%s above %v: %d rows, %v", test.metric, test.bounds, len(answer.Rows), err)
		}
		for _, row := range answer.Rows {
			want := pods[row.Pod].above(test.bounds)
			if !test.told {
				want = nil
			}
			if row.New || row.Exposure != 300 || !slices.Equal(row.Above, want) {
				t.Errorf("%s of %s above %v: got %+v, want %v of 300", test.metric, row.Pod, test.bounds, row.Increase, want)
			}
		}
	}

	baseline := append(slices.Clone(pods["base-0"].batch), pods["base-1"].batch...)
	for _, metric := range []string{"native_seconds", "classic_seconds", "both_seconds"} {
		h, err := source.Distribution(t.Context(), analysis.DistributionQuery{Signal: distributionOf(metric), From: known, To: seen, Matches: []analysis.Match{
			{Name: analysis.AttrService, Values: []string{"orders"}}, {Name: analysis.AttrVersion, Values: []string{"1.0"}},
		}})
		if err != nil || h.Validate() != nil || h.Mixed || h.Total() != 600 || (h.Schema == nil) != (metric == "classic_seconds") {
			t.Fatalf("distribution of %s: %+v, %v", metric, h, err)
		}
		for _, bound := range both {
			want := (&observer{batch: baseline}).above([]float64{bound})[0]
			if got, ok := h.Reading(seen).Above(bound); !ok || got != want {
				t.Errorf("distribution of %s: %v (%v) above %v, want %v", metric, got, ok, bound, want)
			}
		}
	}

	checkGauges(t, source, pods, ask(known, seen, analysis.Signal{Source: "prometheus", Unit: "By", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "heap_bytes"}}))

	// A new process under the old address: what it holds at its first scrape was
	// observed after its start, and counts in full.
	restarted := pods["base-0"]
	restarted.restart()
	restarted.observe(40, 1)
	for name, pod := range pods {
		if name != "base-0" {
			pod.batch = nil
		}
	}
	end := scraped(seen)
	answer, err := source.Rows(t.Context(), ask(seen, end, distributionOf("both_seconds"), grid...))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range answer.Rows {
		if row.Exposure != float64(len(pods[row.Pod].batch)) || !slices.Equal(row.Above, pods[row.Pod].above(grid)) {
			t.Errorf("after the restart, %s: got %+v, want %v of %d", row.Pod, row.Increase, pods[row.Pod].above(grid), len(pods[row.Pod].batch))
		}
	}
}

func checkGauges(t *testing.T, source sources.Source, pods map[string]*observer, q analysis.Query) {
	t.Helper()
	answer, err := source.Rows(t.Context(), q)
	if err != nil || len(answer.Rows) != len(pods) {
		t.Fatalf("gauges: %+v, %v", answer.Rows, err)
	}
	for _, row := range answer.Rows {
		if want := 2*float64(pods[row.Pod].seed) + 30; row.Level != want || row.Received == 0 {
			t.Errorf("level of %s: got %v of %d readings, want %v", row.Pod, row.Level, row.Received, want)
		}
	}
	q.Signal.Unit = "1"
	if answer, err = source.Rows(t.Context(), q); err != nil || answer.Rows[0].Level != float64(pods[answer.Rows[0].Pod].seed)+15 {
		t.Errorf("as a share: %+v, %v", answer.Rows, err)
	}
	sums, err := source.History(t.Context(), analysis.HistoryQuery{Signal: q.Signal, Matches: q.Matches, From: q.Since, To: q.Fold.End, Step: time.Second})
	if err != nil || len(sums) == 0 {
		t.Fatalf("history of levels: %v, %v", sums, err)
	}
	for _, sum := range sums {
		if sum.Level != float64(pods[sum.Pod].seed)+15 {
			t.Errorf("history of levels: %+v", sum)
		}
	}
}

func distributionOf(metric string) analysis.Signal {
	return analysis.Signal{Name: "latency", Source: "prometheus", Unit: "s", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: metric}}
}

// An observer is a pod that remembers what it observed.
type observer struct {
	address  string
	seed     uint64
	rng      *rand.Rand
	handler  http.Handler
	families []prometheus.Observer
	batch    []float64 // observed since the test emptied it
}

func newObserver(t *testing.T, seed uint64) *observer {
	o := &observer{seed: seed, rng: rand.New(rand.NewPCG(seed, 7))}
	o.restart()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	o.address = server.Listener.Addr().(*net.TCPAddr).String()
	return o
}

// restart begins anew with empty histograms.
func (o *observer) restart() {
	registry := prometheus.NewRegistry()
	bounds := []float64{0.1, 0.25, 0.5, 1}
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native_seconds", Help: "Native.", NativeHistogramBucketFactor: 1.1})
	classic := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "classic_seconds", Help: "Classic.", Buckets: bounds})
	both := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "both_seconds", Help: "Both.", Buckets: bounds, NativeHistogramBucketFactor: 1.1})
	heap := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "heap_bytes", Help: "By generation."}, []string{"generation"})
	for i, generation := range []string{"young", "old"} {
		heap.WithLabelValues(generation).Set(float64(o.seed) + 10 + 10*float64(i))
	}
	registry.MustRegister(native, classic, both, heap, processStart())
	o.families, o.batch = []prometheus.Observer{native, classic, both}, nil
	o.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// observe observes n durations about a quarter of a second, slower by a factor, that
// lie away from all bounds.
func (o *observer) observe(n int, slower float64) {
	for range n {
		v := 0.25 * slower * math.Exp2((math.Round(64*o.rng.NormFloat64())+0.5)/64)
		o.batch = append(o.batch, v)
		for _, f := range o.families {
			f.Observe(v)
		}
	}
}

// above counts the batch above bounds.
func (o *observer) above(bounds []float64) []float64 {
	out := make([]float64, len(bounds))
	for i, bound := range bounds {
		for _, v := range o.batch {
			if v > bound {
				out[i]++
			}
		}
	}
	return out
}
