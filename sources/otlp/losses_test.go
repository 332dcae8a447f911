package otlp

import (
	"fmt"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Losses that were too many to be told apart are remembered as long as any other is:
// the newest of them may be among them.
func TestTooManyLosses(t *testing.T) {
	const retention = 2 * time.Hour
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	fold := analysis.Fold{Start: now.Add(-10 * time.Second), End: now}
	sel, err := compile(analysis.Signal{Name: "errors", Shape: analysis.ShapeRatio, Source: "otlp", Total: &analysis.Selector{Metric: "requests", Field: analysis.FieldValue}, Bad: &analysis.Selector{Metric: "errors", Field: analysis.FieldValue}})
	if err != nil {
		t.Fatal(err)
	}
	l := losses{}
	l.add("another", now.UnixNano())
	if l.during(fold, sel) {
		t.Fatal("the loss of another metric counts")
	}
	for k := 0; len(l) <= maxLosses; k++ {
		l.add(fmt.Sprint("m", k), now.UnixNano())
	}
	l.add("errors", now.UnixNano()) // no room for it
	for _, after := range []time.Duration{0, time.Minute, retention - time.Minute} {
		if l.forget(now.Add(after), retention); !l.during(fold, sel) {
			t.Fatalf("%v later the loss is forgotten", after)
		}
	}
	if l.forget(now.Add(retention+time.Minute), retention); len(l) != 0 || l.during(fold, sel) {
		t.Errorf("%d losses stay for ever", len(l))
	}
}
