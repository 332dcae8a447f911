package otlp_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/sources/otlp"
)

// A pod whose errors are dropped, because they are a new series of a receiver that is
// full, or for any other reason, must not look as if it had none: its service is left
// out of the folds in which points of the metric were lost, and of no others.
func TestLostErrorsAreMissingNotNone(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit func(*otlp.Config)
		lost  point
		why   otlp.Drop
	}{
		{"no room for a series", func(c *otlp.Config) { c.MaxSeries = 1 }, point{status: "500", v: 9}, otlp.DropSeriesLimit},
		{"no room for a sample", func(c *otlp.Config) { c.MaxSeries, c.MaxSamples = 2, 3 }, point{status: "500", v: 9}, otlp.DropSampleLimit},
		{"an attribute that is too long", func(*otlp.Config) {}, point{status: "500" + strings.Repeat("x", 10<<10), v: 9}, otlp.DropTooLong},
		{"no number", func(*otlp.Config) {}, point{status: "500", v: math.NaN()}, otlp.DropNotFinite},
		{"less than none", func(*otlp.Config) {}, point{status: "500", v: -1}, otlp.DropNegative},
	} {
		t.Run(c.name, func(t *testing.T) {
			source := newSource(t, c.limit)
			for _, seconds := range []float64{-5, 10, 25} {
				push(t, source, exportOf("a", cumulativeSum, point{at: seconds, status: "200", v: 100 + seconds}))
			}
			c.lost.at = 25
			if got := push(t, source, exportOf("a", cumulativeSum, c.lost)); got.Dropped(c.why) != 1 {
				t.Fatalf("%+v, want one point dropped as %s", got, c.why)
			}
			wantCounts(t, source, fold(0, 15), "a: 0 of 15 (1)")
			answer := answerTo(t, source, checkout(fold(15, 30)))
			if len(answer.Rows) != 0 || !slices.Contains(answer.Warnings, "pod a left out: points of its service were dropped") {
				t.Errorf("%s, %q; want no row and why", countsOf(answer), answer.Warnings)
			}
		})
	}
}

// What is dropped of another service, of another metric, or too late for its fold
// anyway, is no loss.
func TestNoLoss(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.MaxSeries = 2 })
	for _, seconds := range []float64{-5, 10} {
		push(t, source, exportOf("a", cumulativeSum, point{at: seconds, status: "200", v: 100 + seconds}, point{at: seconds, status: "500", v: 0}))
	}
	const want = "a: 0 of 15 (1)"
	wantCounts(t, source, fold(0, 15), want)
	refused := func(what string, change func(rm pmetric.ResourceMetrics)) {
		t.Helper()
		md := exportOf("a", cumulativeSum, point{at: 12, status: "503", v: 9})
		change(md.ResourceMetrics().At(0))
		if got := push(t, source, md); got.Dropped(otlp.DropSeriesLimit) != 1 {
			t.Fatalf("%s: %+v", what, got)
		}
		wantCounts(t, source, fold(0, 15), want)
	}
	refused("too late", func(pmetric.ResourceMetrics) {})
	refused("of another metric", func(rm pmetric.ResourceMetrics) {
		m := rm.ScopeMetrics().At(0).Metrics().At(0)
		m.SetName("other")
		m.Sum().DataPoints().At(0).SetTimestamp(stamp(20))
	})
	refused("of another service", func(rm pmetric.ResourceMetrics) {
		rm.Resource().Attributes().PutStr("service.name", "cart")
		rm.ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).SetTimestamp(stamp(20))
	})
	push(t, source, exportOf("a", cumulativeSum, point{at: 25, status: "200", v: 125}))
	wantCounts(t, source, fold(15, 30), "a: 0 of 15 (1)")
}
