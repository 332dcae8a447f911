package prometheus

import (
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
)

// The same suite runs against a real Prometheus in internal/e2e.
func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Open: func(t *testing.T, rec replay.Recording) sources.Source {
			return open(t, newFake(t, exported(rec)...).URL)
		},
		Signal: inPromQL,
		Unavailable: func(t *testing.T) sources.Source {
			server := httptest.NewServer(nil)
			server.Close()
			return open(t, server.URL)
		},
		ReportsFresh: true, ReportsStart: true, ReportsObserved: true, Regexps: true,
		Histograms: true, Exponential: true, Levels: true, Strata: true,
	})
}

// underscored is how Prometheus' own exporters write OpenTelemetry's names.
func underscored(name string) string { return strings.NewReplacer(".", "_", "-", "_").Replace(name) }

// inPromQL translates a signal of the suite.
func inPromQL(s analysis.Signal) analysis.Signal {
	selector := func(s *analysis.Selector) *analysis.Selector {
		if s == nil {
			return nil
		}
		out := &analysis.Selector{Metric: underscored(s.Metric)}
		for _, c := range s.Conditions {
			c.Name = underscored(c.Name)
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

// exported is the recording as a Prometheus would have scraped it. Each pod also
// has its process' start, 0 where nobody knows it.
func exported(rec replay.Recording) (all []recorded) {
	for i, pod := range rec.Pods {
		target := map[string]string{"job": "shop", "instance": fmt.Sprint("instance-", i)}
		for name, value := range pod.Attributes {
			target[naming{}.of(name)] = value
		}
		var starts []analysis.Sample
		for _, s := range pod.Series {
			labels := map[string]string{"__name__": underscored(s.Metric)}
			for name, value := range target {
				labels[name] = value
			}
			for name, value := range s.Attributes {
				labels[underscored(name)] = value
			}
			if len(s.Histograms) > 0 {
				all = append(all, exposed(labels, s.Histograms)...)
			} else {
				all = append(all, recorded{labels: labels, samples: s.Samples})
			}
			for _, scraped := range times(s) {
				start := 0.0
				for _, at := range pod.Starts {
					if !at.After(scraped) {
						start = unix(at)
					}
				}
				starts = append(starts, analysis.Sample{T: scraped, V: start})
			}
		}
		slices.SortFunc(starts, func(a, b analysis.Sample) int { return a.T.Compare(b.T) })
		starts = slices.CompactFunc(starts, func(a, b analysis.Sample) bool { return a.T.Equal(b.T) })
		target["__name__"] = startMetric
		all = append(all, recorded{labels: target, samples: starts})
	}
	return all
}

func times(s replay.Series) (all []time.Time) {
	for _, sample := range s.Samples {
		all = append(all, sample.T)
	}
	for _, sample := range s.Histograms {
		all = append(all, sample.T)
	}
	return all
}

// exposed is a histogram as targets expose it.
func exposed(of map[string]string, histograms []replay.HistogramSample) (all []recorded) {
	if histograms[0].Schema != nil {
		r := recorded{labels: of}
		for _, h := range histograms {
			r.native = append(r.native, native{h.T, inJSON(h.Reading(h.T))})
		}
		return []recorded{r}
	}
	part := func(suffix, le string, value func(analysis.Histogram) float64) {
		r := recorded{labels: maps.Clone(of)}
		r.labels["__name__"] += suffix
		if le != "" {
			r.labels["le"] = le
		}
		for _, h := range histograms {
			r.samples = append(r.samples, analysis.Sample{T: h.T, V: value(h.Histogram)})
		}
		all = append(all, r)
	}
	for i, bound := range histograms[0].Bounds {
		part("_bucket", fmt.Sprint(bound), func(h analysis.Histogram) float64 {
			below := 0.0
			for _, n := range h.Counts[:i+1] {
				below += n
			}
			return below
		})
	}
	part("_bucket", "+Inf", analysis.Histogram.Total)
	part("_count", "", analysis.Histogram.Total)
	part("_sum", "", func(h analysis.Histogram) float64 { return h.Total() / 4 })
	return all
}

// inJSON is a native histogram as the API writes it.
func inJSON(r analysis.Reading) string {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	var buckets []string
	for _, b := range r.Buckets {
		rule := 0
		if b.Lower == -b.Upper {
			rule = 3
		}
		buckets = append(buckets, fmt.Sprintf(`[%d,%q,%q,%q]`, rule, text(b.Lower), text(b.Upper), text(b.Count)))
	}
	return fmt.Sprintf(`{"count":%q,"sum":"1","buckets":[%s]}`, text(r.Count), strings.Join(buckets, ","))
}
