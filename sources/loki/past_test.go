package loki

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/sources"
)

func basicAuth() *promconfig.BasicAuth { return &promconfig.BasicAuth{Username: "u", Password: "p"} }

func TestHistory(t *testing.T) {
	f := newFake(t,
		line(-181, "1.0", "a", "ERROR too early"),
		line(-180, "1.0", "a", "ERROR at the start"), // which belongs to the minute before
		line(-100, "1.0", "a", "ERROR x"), line(-99, "1.0", "a", "ERROR y"), line(-60, "1.0", "a", "ERROR at the end of the minute"),
		line(-70, "1.0", "b", "fine"),
		line(-30, "1.0", "b", "fine"),
		line(1, "1.0", "b", "ERROR later"), line(-30, "2.0", "c", "ERROR of another version"))
	s := open(t, f.URL)
	q := analysis.HistoryQuery{Signal: severity(), Matches: shop("1.0"), From: at(-180), To: at(0.5)}
	want := []analysis.MinuteSum{
		{Minute: at(-120), Pod: "a", Bad: 3},
		{Minute: at(-120), Pod: "b"},
		{Minute: at(-60), Pod: "b"},
	}
	got, err := s.History(t.Context(), q)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// Where there is too much of it, history is shorter and what there is of it is whole.
func TestHistoryWithinTheBudget(t *testing.T) {
	var lines []stored
	for minute := -240; minute < 0; minute++ {
		for k := range 20 {
			lines = append(lines, line(float64(60*minute+k)+0.5, "1.0", "a", "ERROR x", "trace_id", fmt.Sprintf("%032x", len(lines)+1)))
		}
	}
	s := open(t, newFake(t, lines...).URL, func(c *Config) { c.PageLines, c.MaxLines = 500, 1500 })
	got, err := s.History(t.Context(), analysis.HistoryQuery{Signal: severity(), Matches: shop("1.0"), From: at(-240 * 60), To: at(0)})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 15 || len(got) > 75 || !got[len(got)-1].Minute.Equal(at(-60)) {
		t.Errorf("got %d minutes", len(got))
	}
	for i, sum := range got {
		if sum.Bad != 20 || i > 0 && sum.Minute.Sub(got[i-1].Minute) != time.Minute {
			t.Errorf("minute %v: %v", sum.Minute, sum.Bad)
		}
	}
}

func TestSeenAndSpacing(t *testing.T) {
	f := newFake(t, line(-100, "1.0", "a", "x"), line(-90, "1.0", "a", "y"), line(-80, "1.0", "b", "x"), line(-60, "2.0", "c", "x"), line(0, "3.0", "d", "at the end, which is open"))
	s := open(t, f.URL)
	want := []analysis.Seen{{Service: "shop", Version: "1.0", Pods: 2, Exposure: 3}, {Service: "shop", Version: "2.0", Pods: 1, Exposure: 1}}
	for _, service := range []string{"shop", ""} {
		got, err := s.Seen(t.Context(), analysis.SeenQuery{Signal: templates(), Service: service, From: at(-100), To: at(0)})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("service %q: got %+v, %v", service, got, err)
		}
	}
	for version, want := range map[string]time.Duration{"1.0": 15 * time.Second, "9.9": 0} {
		got, err := s.Spacing(t.Context(), analysis.SpacingQuery{Signal: templates(), Matches: shop(version), From: at(-3600), To: at(0)})
		if err != nil || got != want {
			t.Errorf("version %s: spacing %v, %v", version, got, err)
		}
	}
}

func TestSampleLines(t *testing.T) {
	var lines []stored
	for i := range 100 {
		lines = append(lines, line(float64(i), "1.0", fmt.Sprint("pod-", i%2), fmt.Sprintf(`{"level":"warn","msg":"took password=hunter%d"}`, i), "trace_id", trace))
	}
	s := open(t, newFake(t, lines...).URL)
	got, err := s.SampleLines(t.Context(), analysis.LineSampleQuery{Signal: templates(), Matches: shop("1.0"), From: at(0), To: at(100), Slices: 4, Lines: 1000})
	if err != nil || len(got) != 100 {
		t.Fatalf("got %d lines, %v", len(got), err)
	}
	for i, l := range got {
		if !l.Time.Equal(at(float64(i))) || l.Pod != fmt.Sprint("pod-", i%2) || l.Severity != analysis.SeverityWarn || l.TraceID != trace || !strings.HasPrefix(l.Text, "took ") {
			t.Errorf("line %d: %+v", i, l)
		}
	}
	few, err := s.SampleLines(t.Context(), analysis.LineSampleQuery{Signal: templates(), Matches: shop("1.0"), From: at(0), To: at(100), Slices: 2, Lines: 30})
	if err != nil || len(few) < 50 || len(few) > 60 || !few[len(few)/2].Time.Equal(at(50)) && !few[len(few)/2].Time.Equal(at(51)) {
		t.Errorf("got %d lines, %v", len(few), err)
	}
}

func TestOtherQuestionsAreRejected(t *testing.T) {
	s := open(t, newFake(t).URL)
	metric := analysis.Signal{Name: "m", Shape: analysis.ShapeRatio, Bad: &analysis.Selector{Metric: "x"}, Total: &analysis.Selector{Metric: "y"}}
	_, rowsErr := s.Rows(t.Context(), query(metric, -1))
	strata := query(severity(), -1)
	strata.Strata = []string{"zone"}
	_, strataErr := s.Rows(t.Context(), strata)
	_, distribution := s.Distribution(t.Context(), analysis.DistributionQuery{Signal: severity()})
	mask := query(templates(), 1)
	mask.Lines.Templates = &analysis.TemplateSet{Masks: []string{"("}}
	for name, err := range map[string]error{"rows": rowsErr, "strata": strataErr, "distribution": distribution} {
		if sources.KindOf(err) != sources.Rejected || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := s.Render(query(metric, -1)); got != nil {
		t.Errorf("rendered %q", got)
	}
	if got := s.Render(query(templates(), 0.1)); len(got) != 4 {
		t.Errorf("rendered %q", got)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

// Every line that is read as an error is one that is pulled.
func TestErrorsAreAmongWhatIsPulled(t *testing.T) {
	words := []string{"e", "err", "error", "ERROR", "Error", "severe", "f", "ftl", "fatal", "FATAL", "c", "crit", "CRITICAL", "panic", "dpanic", "emerg", "emergency", "alert", "E", "F", "C", "50", "60", "59"}
	forms := []string{
		`{"level":"%s","msg":"x"}`, `{"msg":"x","severity":"%s"}`, `{"level": %s,"msg":"x"}`, `{"severity_text":"%s","body":"x"}`, `{"lvl":"%s","message":"x"}`, `{"levelname":"%s","message":"x"}`, `{"@l":"%s","@m":"x"}`,
		`level=%s msg=x`, `lvl=%s msg=x`, `time=2026-03-02T12:00:00Z level="%s" msg=x`, `severity=%s msg=x`,
		`2026-03-02T12:00:00Z %s x`, `2026-03-02 12:00:00,123 [%s] x`, `2026-03-02 12:00:00 [main] %s c.x.Y - z`, `[%s] x`, `%s: x`, `%s x`, `<3>%s x`, `12:00:00.000 %s x`, `2026-03-02 12:00:00|%s|x`,
	}
	lines := []string{
		`E0302 12:00:00.000000 1 x.go:1] y`, `F0302 12:00:00.000000 1 x.go:1] y`, "panic: x", "fatal error: x", `Exception in thread "main" java.lang.X`, "Traceback (most recent call last):", "Unhandled exception. X",
		`{"level":3,"short_message":"x"}`, `{"level":0,"short_message":"x"}`, `{"severityNumber":17,"body":"x"}`, `{"SeverityNumber":"21","Body":"x"}`, `{"severity_number":24,"body":"x"}`, `{"log":"level=error msg=x"}`, `{"log":"{\"level\":\"error\",\"msg\":\"x\"}"}`, `{"log":"{\"level\":50,\"msg\":\"x\"}"}`,
	}
	for _, form := range forms {
		for _, word := range words {
			lines = append(lines, fmt.Sprintf(form, word))
		}
	}
	parts := severe(expression{}, analysis.SeverityError)
	pattern := regexp.MustCompile(parts[1].lines[0])
	errors := 0
	for _, l := range lines {
		if logdiff.Read(l).Severity < analysis.SeverityError {
			continue
		}
		if errors++; !pattern.MatchString(l) {
			t.Errorf("%q is an error and would not be pulled", l)
		}
	}
	if errors < 200 {
		t.Errorf("only %d of %d lines are errors", errors, len(lines))
	}
	for _, l := range []string{"request served in 5 ms", `{"level":"info","msg":"stored"}`, "level=info msg=hello", `{"level":30,"msg":"x"}`} {
		if pattern.MatchString(l) {
			t.Errorf("%q would be pulled", l)
		}
	}
	for _, word := range words {
		for _, part := range parts[0].filters[0] {
			got := severityBeside(part.name, word) >= analysis.SeverityError
			if pulled := regexp.MustCompile(`^(?:` + part.value + `)$`).MatchString(word); got && !pulled {
				t.Errorf("%s=%q is an error and would not be pulled", part.name, word)
			}
		}
	}
}
