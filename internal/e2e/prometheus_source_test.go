package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
	"github.com/release-assay/assay/testdata/backends"
)

// TestPrometheusSource runs the conformance suite against a real Prometheus that
// was filled with the suite's recording.
func TestPrometheusSource(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Open: func(t *testing.T, rec replay.Recording) sources.Source {
			file := filepath.Join(t.TempDir(), "recording.txt")
			if err := os.WriteFile(file, openMetrics(rec), 0o644); err != nil {
				t.Fatal(err)
			}
			return openPrometheus(t, backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{file}}).URL)
		},
		Signal: inPromQL,
		Unavailable: func(t *testing.T) sources.Source {
			server := httptest.NewServer(nil)
			server.Close()
			return openPrometheus(t, server.URL)
		},
		ReportsFresh: true, ReportsStart: true, ReportsObserved: true, Regexps: true,
		Histograms: true, Levels: true, Strata: true, // native histograms cannot be backfilled: see TestPrometheusHistograms
	})
}

// TestPrometheusRefusesInItsOwnWords checks the error kinds against a server that
// was not written by us.
func TestPrometheusRefusesInItsOwnWords(t *testing.T) {
	start := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	rec := replay.Recording{Pods: []replay.Pod{{
		Attributes: map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: "a"},
		Series: []replay.Series{{Metric: "requests", Samples: []analysis.Sample{
			{T: start.Add(-30 * time.Second), V: 1}, {T: start, V: 2}, {T: start.Add(30 * time.Second), V: 3}, {T: start.Add(time.Minute), V: 4},
		}}},
	}}}
	file := filepath.Join(t.TempDir(), "recording.txt")
	if err := os.WriteFile(file, openMetrics(rec), 0o644); err != nil {
		t.Fatal(err)
	}
	server := backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{file}, Flags: []string{"--query.max-samples=3"}})
	source := openPrometheus(t, server.URL)
	query := analysis.Query{
		Signal: analysis.Signal{
			Name: "errors", Source: "prometheus", Shape: analysis.ShapeRatio,
			Bad: &analysis.Selector{Metric: "errors"}, Total: &analysis.Selector{Metric: "requests"},
		},
		Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}},
		Fold:    analysis.Fold{Start: start, End: start.Add(time.Minute)}, Since: start.Add(-time.Minute),
	}
	if _, err := source.Rows(context.Background(), query); err == nil || sources.KindOf(err) != sources.Rejected {
		t.Errorf("over the server's limit of samples: got %v, want rejected", err)
	}
	query.Fold = analysis.Fold{Start: start.Add(-time.Minute), End: start}
	answer, err := source.Rows(context.Background(), query)
	if err != nil || len(answer.Rows) != 1 || answer.Rows[0].FirstExposure != 1 || answer.Rows[0].Exposure != 1 {
		t.Errorf("within the limit: got %+v, %v", answer.Rows, err)
	}
	server.Stop()
	if _, err := source.Rows(context.Background(), query); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Errorf("stopped: got %v, want unavailable", err)
	}
}

func openPrometheus(t *testing.T, url string) sources.Source {
	cfg := prometheus.DefaultConfig()
	cfg.URL = url
	s, err := prometheus.Open("prometheus", cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var underscores = strings.NewReplacer(".", "_", "-", "_")

// inPromQL translates a signal of the suite, as a user would.
func inPromQL(s analysis.Signal) analysis.Signal {
	selector := func(s *analysis.Selector) *analysis.Selector {
		if s == nil {
			return nil
		}
		out := &analysis.Selector{Metric: underscores.Replace(s.Metric)}
		for _, c := range s.Conditions {
			c.Name = underscores.Replace(c.Name)
			if c.Op == analysis.OpIn {
				c.Op, c.Values = analysis.OpRegexp, []string{strings.ReplaceAll(strings.Join(c.Values, "|"), "xx", `\d\d`)}
			}
			out.Conditions = append(out.Conditions, c)
		}
		return out
	}
	s.Bad, s.Good, s.Total = selector(s.Bad), selector(s.Good), selector(s.Total)
	s.Histogram, s.Gauge = selector(s.Histogram), selector(s.Gauge)
	return s
}

// openMetrics is the recording as text for promtool: what a Prometheus would have
// scraped. Each pod also has its process' start, 0 where nobody knows it.
func openMetrics(rec replay.Recording) []byte {
	lines := map[string][]string{} // by metric: a family may not be torn apart
	add := func(metric string, labels map[string]string, at time.Time, value float64) {
		var text []string
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			text = append(text, fmt.Sprintf(`%s="%s"`, name, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(labels[name])))
		}
		lines[metric] = append(lines[metric], fmt.Sprintf("%s{%s} %v %.3f\n", metric, strings.Join(text, ","), value, float64(at.UnixMilli())/1000))
	}
	for i, pod := range rec.Pods {
		target := map[string]string{"job": "shop", "instance": fmt.Sprint("instance-", i)}
		for name, value := range pod.Attributes {
			target[underscores.Replace(name)] = value
		}
		if name, ok := pod.Attributes[analysis.AttrPod]; ok {
			delete(target, underscores.Replace(analysis.AttrPod))
			target["pod"] = name
		}
		scrapes := map[time.Time]bool{}
		for _, s := range pod.Series {
			labels := maps.Clone(target)
			for name, value := range s.Attributes {
				labels[underscores.Replace(name)] = value
			}
			for _, sample := range s.Samples {
				add(underscores.Replace(s.Metric), labels, sample.T, sample.V)
				scrapes[sample.T] = true
			}
			for _, sample := range s.Histograms {
				below := 0.0
				for k, n := range sample.Counts {
					below += n
					labels["le"] = "+Inf"
					if k < len(sample.Bounds) {
						labels["le"] = fmt.Sprint(sample.Bounds[k])
					}
					add(underscores.Replace(s.Metric)+"_bucket", labels, sample.T, below)
				}
				delete(labels, "le")
				add(underscores.Replace(s.Metric)+"_count", labels, sample.T, below)
				add(underscores.Replace(s.Metric)+"_sum", labels, sample.T, below/4)
				scrapes[sample.T] = true
			}
		}
		for _, at := range slices.SortedFunc(maps.Keys(scrapes), time.Time.Compare) {
			start := 0.0
			for _, s := range pod.Starts {
				if !s.After(at) {
					start = float64(s.UnixMilli()) / 1000
				}
			}
			add("process_start_time_seconds", target, at, start)
		}
	}
	var text strings.Builder
	for _, metric := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&text, "# TYPE %s unknown\n%s", metric, strings.Join(lines[metric], ""))
	}
	text.WriteString("# EOF\n")
	return []byte(text.String())
}
