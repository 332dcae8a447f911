package sources_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

func TestAddUp(t *testing.T) {
	start := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	row := func(pod string, received int, change ...func(*analysis.Row)) analysis.Row {
		r := analysis.Row{Values: []string{"v1"}, Pod: pod, Received: received}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	above := func(exposure float64, counts ...float64) func(*analysis.Row) {
		return func(r *analysis.Row) { r.Exposure, r.Above = exposure, counts }
	}
	first := func(exposure float64, counts ...float64) func(*analysis.Row) {
		return func(r *analysis.Row) { r.New, r.FirstExposure, r.FirstAbove = true, exposure, counts }
	}
	level := func(v float64) func(*analysis.Row) { return func(r *analysis.Row) { r.Level = v } }
	stratum := func(v string) func(*analysis.Row) { return func(r *analysis.Row) { r.Stratum = []string{v} } }
	began := func(second int) func(*analysis.Row) {
		return func(r *analysis.Row) { r.PodStart = start.Add(time.Duration(second) * time.Second) }
	}
	bytes, share := analysis.Signal{Shape: analysis.ShapeLevel, Unit: "By"}, analysis.Signal{Shape: analysis.ShapeLevel, Unit: "%"}
	for _, test := range []struct {
		name   string
		signal analysis.Signal
		rows   []analysis.Row
		want   []analysis.Row
	}{
		{
			"counts above bounds, also of first readings",
			analysis.Signal{},
			[]analysis.Row{row("b", 1), row("a", 1, above(10, 4, 1)), row("a", 2, above(20, 6, 0), first(5, 3, 2), began(9))},
			[]analysis.Row{row("a", 2, above(30, 10, 1), first(5, 3, 2), began(9)), row("b", 1)},
		},
		{
			"a process with other buckets leaves nothing to say of the pod",
			analysis.Signal{},
			[]analysis.Row{row("a", 1, above(10, 4)), row("a", 1, above(20)), row("b", 1, above(20)), row("b", 1, above(10, 4))},
			[]analysis.Row{row("a", 1, above(30)), row("b", 1, above(30))},
		},
		{
			"a silent process takes nothing away",
			analysis.Signal{},
			[]analysis.Row{row("a", 0), row("a", 1, above(10, 4)), row("a", 0, began(3)), row("b", 1, above(10, 4)), row("b", 0)},
			[]analysis.Row{row("a", 1, above(10, 4), began(3)), row("b", 1, above(10, 4))},
		},
		{
			"bytes add up", bytes,
			[]analysis.Row{row("a", 1, level(3)), row("a", 1, level(5)), row("a", 0), row("a", 1, level(-1))},
			[]analysis.Row{row("a", 1, level(7))},
		},
		{
			"of shares the mean is taken", share,
			[]analysis.Row{row("a", 1, level(3)), row("a", 1, level(5)), row("a", 0), row("a", 1, level(-2))},
			[]analysis.Row{row("a", 1, level(2))},
		},
		{
			"strata stay apart", bytes,
			[]analysis.Row{row("a", 1, level(3), stratum("z2")), row("a", 1, level(5), stratum("z1")), row("a", 1, level(6), stratum("z2"))},
			[]analysis.Row{row("a", 1, level(5), stratum("z1")), row("a", 1, level(9), stratum("z2"))},
		},
	} {
		if got := sources.AddUp(test.rows, test.signal); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s\n got %+v\nwant %+v", test.name, got, test.want)
		}
	}
}
