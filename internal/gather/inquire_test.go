package gather

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Who only looks waits for a place among the plans, while a fold still has one.
func TestInquireLeavesAPlaceToFolds(t *testing.T) {
	g := New(map[string]sources.Source{"s": &fake{}}, Options{Concurrency: 2})
	inside, leave := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		_, err := Inquire(t.Context(), g, "s", "metric", func(sources.Source) (bool, error) {
			close(inside)
			<-leave
			return true, nil
		})
		first <- err
	}()
	<-inside
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := Inquire(short, g, "s", "metric", func(sources.Source) (bool, error) {
		t.Error("two look at once, and no place is left")
		return true, nil
	})
	var known *sources.Error
	if !errors.As(err, &known) || known.Kind != sources.Unavailable || known.Op != "metric" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the second one: %v", err)
	}
	if _, err := put(t.Context(), g, folds, "s", "rows", func(sources.Source) (bool, error) { return true, nil }); err != nil {
		t.Errorf("a fold: %v", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the first one: %v", err)
	}
}

// What somebody looked at is asked anew when a plan needs it.
func TestInquireKeepsNothing(t *testing.T) {
	asked := 0
	source := &fake{history: func(context.Context, analysis.HistoryQuery) ([]analysis.MinuteSum, error) { asked++; return nil, nil }}
	g := New(map[string]sources.Source{"s": source}, Options{})
	end := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	g.Advance(end.Add(time.Hour))
	q := analysis.HistoryQuery{Signal: analysis.Signal{Source: "s"}, From: end.Add(-span), To: end}
	for range 2 {
		if _, err := Inquire(t.Context(), g, "s", "history", func(s sources.Source) ([]analysis.MinuteSum, error) { return s.History(t.Context(), q) }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := g.History(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 3 {
		t.Errorf("the source was asked %d times: twice by who looks, and once by the plans, which share it, are 3", asked)
	}
}

// A source that nobody has is refused.
func TestInquireOfNobody(t *testing.T) {
	g := New(nil, Options{})
	if _, err := Inquire(t.Context(), g, "s", "seen", func(sources.Source) (bool, error) { return true, nil }); sources.KindOf(err) != sources.Rejected {
		t.Errorf("%v", err)
	}
}
