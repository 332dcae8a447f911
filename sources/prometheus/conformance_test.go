package prometheus

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

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
			all = append(all, recorded{labels, s.Samples})
			for _, sample := range s.Samples {
				start := 0.0
				for _, at := range pod.Starts {
					if !at.After(sample.T) {
						start = unix(at)
					}
				}
				starts = append(starts, analysis.Sample{T: sample.T, V: start})
			}
		}
		slices.SortFunc(starts, func(a, b analysis.Sample) int { return a.T.Compare(b.T) })
		starts = slices.CompactFunc(starts, func(a, b analysis.Sample) bool { return a.T.Equal(b.T) })
		target["__name__"] = startMetric
		all = append(all, recorded{target, starts})
	}
	return all
}
