package prometheus

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// Only what no transit explains is skew: a Date names a second, and was written
// between question and answer.
func TestSkew(t *testing.T) {
	sent := noon.Add(400 * time.Millisecond)
	for _, c := range []struct {
		name  string
		took  time.Duration
		date  time.Time
		age   string
		ahead time.Duration
	}{
		{"the same second", 100 * time.Millisecond, noon, "", 0},
		{"written just before the next second", 100 * time.Millisecond, noon.Add(-time.Second), "", -400 * time.Millisecond},
		{"a slow answer, written at the beginning", 29 * time.Second, noon, "", 0},
		{"a slow answer, written at the end", 29 * time.Second, noon.Add(29 * time.Second), "", 0},
		{"ahead", 100 * time.Millisecond, noon.Add(12 * time.Second), "", 11500 * time.Millisecond},
		{"ten minutes behind", 100 * time.Millisecond, noon.Add(-10 * time.Minute), "", -10*time.Minute + 600*time.Millisecond},
		{"from a cache", 100 * time.Millisecond, noon.Add(-10 * time.Minute), "600", 0},
		{"no date", 100 * time.Millisecond, time.Time{}, "", 0},
	} {
		now := sent.Add(c.took)
		s := newSkew(func() time.Time { return now })
		h := http.Header{}
		if !c.date.IsZero() {
			h.Set("Date", c.date.Format(http.TimeFormat))
		}
		if c.age != "" {
			h.Set("Age", c.age)
		}
		s.measure(sent, h)
		if got := s.latest().D(); got != c.ahead {
			t.Errorf("%s: %v ahead, want %v", c.name, got, c.ahead)
		}
	}
}

// An answer says how far the clock of the server is off; an answer without a Date says
// what the one before it said.
func TestAnswersTellTheSkew(t *testing.T) {
	f := newFake(t)
	date := noon.Add(time.Hour)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		if !date.IsZero() {
			w.Header().Set("Date", date.Format(http.TimeFormat))
		}
		f.serve(w, r)
	}))
	t.Cleanup(server.Close)
	s := open(t, server.URL, func(c *Config) { c.Now = func() time.Time { return noon } })
	for _, d := range []time.Time{date, {}} {
		date = d
		answer, err := s.Rows(t.Context(), minuteQuery("1.4.9", "1.5.0"))
		if err != nil || answer.Skew.D() != time.Hour {
			t.Errorf("%v: %v ahead, %v", d, answer.Skew.D(), err)
		}
	}
	date = noon
	if answer, err := s.Rows(t.Context(), minuteQuery("1.4.9", "1.5.0")); err != nil || answer.Skew != 0 {
		t.Errorf("mended: %v ahead, %v", answer.Skew.D(), err)
	}
}
