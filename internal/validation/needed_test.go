package validation

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// TestNeededFrom: the oldest deployment of those that are open and not resumed.
func TestNeededFrom(t *testing.T) {
	r := &Runner{open: map[analysis.ValidationID]*run{}}
	if got := r.NeededFrom(); !got.IsZero() {
		t.Errorf("nothing is open, and %v is needed", got)
	}
	began := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i, id := range []analysis.ValidationID{"a", "b", "c"} {
		r.open[id] = &run{row: store.Validation{Deployment: analysis.Deployment{StartedAt: began.Add(time.Duration((i+1)%3) * time.Hour)}}, asleep: i > 0}
	}
	if got := r.NeededFrom(); !got.Equal(began) {
		t.Errorf("got %v, want %v", got, began)
	}
}
