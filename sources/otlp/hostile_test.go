package otlp_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

const million = 1_000_000

// ofMillion is one export of a million points of one metric, whose times are what at
// gives.
func ofMillion(at func(i int) pcommon.Timestamp) pmetric.Metrics {
	md := exportOf("a", cumulativeSum, point{at: 1, v: 1})
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints()
	points.EnsureCapacity(million)
	for i := 1; i < million; i++ {
		p := points.AppendEmpty()
		p.SetTimestamp(at(i))
		p.SetDoubleValue(float64(i))
	}
	return md
}

// TestMillionPoints (F37) sends batches that honest senders do not: every point is
// counted under its reason, what is held stays within its limits, and it takes seconds
// at most.
func TestMillionPoints(t *testing.T) {
	for _, c := range []struct {
		name string
		at   func(i int) pcommon.Timestamp
		want map[otlp.Drop]int // the rest is accepted
	}{
		{"of one instant", func(int) pcommon.Timestamp { return stamp(1) }, map[otlp.Drop]int{otlp.DropDuplicate: million - 2}},
		{"without a time", func(int) pcommon.Timestamp { return 0 }, map[otlp.Drop]int{otlp.DropNoTime: million - 1}},
		{"a millisecond apart", func(i int) pcommon.Timestamp { return stamp(1 + float64(i)/1000) }, map[otlp.Drop]int{otlp.DropSampleLimit: million - 4800}},
		// A million in the wrong order: 1024 are behind no more than 1024 newer ones.
		{"the newest first", func(i int) pcommon.Timestamp { return stamp(1 - float64(i)/1000) }, map[otlp.Drop]int{otlp.DropLate: million - 1 - 1025}},
		{"in the far future", func(i int) pcommon.Timestamp { return pcommon.Timestamp(1<<63 + uint64(i)) }, map[otlp.Drop]int{otlp.DropNoTime: million - 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			md := ofMillion(c.at)
			source := newSource(t, func(c *otlp.Config) { c.MaxSeries = 10 })
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			got := push(t, source, md)
			took := time.Since(began)
			runtime.GC()
			runtime.ReadMemStats(&after)
			accepted := million
			for why, n := range c.want {
				accepted -= n
				if got.Dropped(why) != n {
					t.Errorf("%d dropped as %s, want %d", got.Dropped(why), why, n)
				}
			}
			if got.Accepted != accepted {
				t.Errorf("%d accepted, want %d: %+v", got.Accepted, accepted, got)
			}
			if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 8<<20 {
				t.Errorf("%d MiB are held afterwards", held>>20)
			}
			if took > 30*time.Second { // by hand: under a second; in the square of the points it would be hours
				t.Errorf("took %v", took)
			}
			runtime.KeepAlive(source)
		})
	}
}

// TestSampleLimit: what was evicted makes room again.
func TestSampleLimit(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.MaxSeries, c.MaxSamples = 10, 100 })
	var points []point
	for i := range 150 {
		points = append(points, point{at: float64(i + 1), v: float64(i)})
	}
	if got := push(t, source, exportOf("a", cumulativeSum, points...)); got.Accepted != 100 || got.Dropped(otlp.DropSampleLimit) != 50 {
		t.Errorf("%+v", got)
	}
	if got := push(t, source, exportOf("b", cumulativeSum, points[:10]...)); got.Accepted != 0 || source.Stats().Resources != 1 {
		t.Errorf("%+v of %d resources", got, source.Stats().Resources)
	}
	source.Evict(at(30 * 3600))
	if got := push(t, source, exportOf("b", cumulativeSum, points...)); got.Accepted != 100 || got.Dropped(otlp.DropSampleLimit) != 50 {
		t.Errorf("after eviction %+v", got)
	}
}

// TestOddAttributes: attributes of 10 KB, empty and odd names, values that are lists
// and maps, and points without any: what cannot name a series is dropped or left out,
// the points beside it are kept.
func TestOddAttributes(t *testing.T) {
	source := newSource(t)
	md := exportOf("a", cumulativeSum, point{at: 1, status: strings.Repeat("x", 10<<10), v: 1}, point{at: 1, status: "\x00\xff", v: 1}, point{at: 1, status: "", v: 1}, point{at: 1, status: "200", v: 1})
	metrics := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	odd := metrics.At(3).Sum().DataPoints().At(0).Attributes()
	odd.PutStr("", "empty name")
	list := odd.PutEmptySlice("list")
	for range 1000 {
		list.AppendEmpty().SetStr(strings.Repeat("y", 1000))
	}
	odd.PutEmptyMap("map").PutEmptyMap("in a map").PutInt("n", 1)
	odd.PutEmptyBytes("bytes").FromRaw(make([]byte, 100<<10))
	if got := push(t, source, md); got.Accepted != 3 || got.Dropped(otlp.DropTooLong) != 1 {
		t.Errorf("%+v, want 3 accepted and one too long", got)
	}
	if n := source.Stats().Series; n != 3 {
		t.Errorf("%d series", n)
	}
	long := pmetric.NewMetrics()
	for range 100 {
		long.ResourceMetrics().AppendEmpty().Resource().Attributes().PutStr(analysis.AttrService, strings.Repeat("z", 40<<10))
	}
	push(t, source, long)
	if stats := source.Stats(); stats.Services != 1 || stats.Resources != 1 {
		t.Errorf("kept: %+v", stats)
	}
}
