package gather

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// spaced is a source whose samples come every so often.
type spaced struct {
	fake
	every time.Duration
	err   error
}

func (s *spaced) Spacing(context.Context, analysis.SpacingQuery) (time.Duration, error) {
	return s.every, s.err
}

// A ratio of log lines to requests is no finer than the slower of its two sources, and
// unknown where one is.
func TestSpacingOfLinesAndRequests(t *testing.T) {
	down := errors.New("down")
	for _, c := range []struct {
		lines, requests *spaced
		want            time.Duration
		fails           bool
	}{
		{lines: &spaced{every: time.Second}, requests: &spaced{every: time.Minute}, want: time.Minute},
		{lines: &spaced{every: time.Minute}, requests: &spaced{every: time.Second}, want: time.Minute},
		{lines: &spaced{every: time.Minute}, requests: &spaced{}},
		{lines: &spaced{err: down}, requests: &spaced{every: time.Second}, fails: true},
		{lines: &spaced{every: time.Second}, requests: &spaced{err: down}, fails: true},
	} {
		g := New(map[string]sources.Source{"loki": c.lines, "prom": c.requests}, Options{})
		requests := signal("prom")
		got, err := g.Spacing(t.Context(), analysis.SpacingQuery{Signal: analysis.Signal{Source: "loki", Logs: &analysis.LogSignal{Requests: &requests}}})
		if (err != nil) != c.fails || err == nil && got != c.want {
			t.Errorf("lines every %v, requests every %v: %v (%v), want %v", c.lines.every, c.requests.every, got, err, c.want)
		}
	}
}

// traces is a store of traces.
type traces struct {
	name  string
	found int
	err   error
	asked *[]string
}

func (s traces) Exemplars(context.Context, analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	*s.asked = append(*s.asked, s.name)
	return make([]analysis.Exemplar, s.found), s.err
}

// Stores of traces alone are asked before the sources that also judge, until one has it.
// That none has it is a failure only where one could not say.
func TestExemplarsComeFromTheFirstThatHasThem(t *testing.T) {
	down := errors.New("down")
	for name, c := range map[string]struct {
		otlp, jaeger, tempo traces
		asked               int
		found               int
		fails               bool
	}{
		"the first has it":        {jaeger: traces{found: 2}, tempo: traces{found: 3}, asked: 1, found: 2},
		"the second has it":       {tempo: traces{found: 3}, otlp: traces{found: 1}, asked: 2, found: 3},
		"the source that judges":  {otlp: traces{found: 1}, asked: 3, found: 1},
		"one is down":             {jaeger: traces{err: down}, otlp: traces{found: 1}, asked: 3, found: 1},
		"nobody has it":           {asked: 3},
		"nobody, and one is down": {tempo: traces{err: down}, asked: 3, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			var asked []string
			stores := map[string]sources.ExemplarSource{}
			for i, s := range []*traces{&c.jaeger, &c.tempo, &c.otlp} {
				s.name, s.asked = []string{"jaeger", "tempo", "accepted"}[i], &asked // the name that sorts first is asked last
				stores[s.name] = *s
			}
			g := New(map[string]sources.Source{"accepted": &fake{}}, Options{Exemplars: stores})
			found, err := g.Exemplars(t.Context(), analysis.ExemplarQuery{})
			if len(found) != c.found || (err != nil) != c.fails {
				t.Errorf("found %d (%v), want %d", len(found), err, c.found)
			}
			order := []string{"jaeger", "tempo", "accepted"}[:c.asked]
			if len(asked) != len(order) {
				t.Fatalf("asked %q, want %q", asked, order)
			}
			for i := range order {
				if asked[i] != order[i] {
					t.Errorf("asked %q, want %q", asked, order)
				}
			}
		})
	}
}
