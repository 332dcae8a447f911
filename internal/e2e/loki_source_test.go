package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
	"github.com/release-assay/assay/testdata/backends"
)

// TestLokiSource runs the conformance suite against a real Loki into which the suite's
// recording was pushed.
func TestLokiSource(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Harness{
		Open: func(t *testing.T, rec replay.Recording) sources.Source {
			server := backends.StartLoki(t, backends.LokiConfig{})
			var lines []lokiLine
			for _, pod := range rec.Pods {
				for _, l := range pod.Lines {
					lines = append(lines, lokiLineOf(pod.Attributes, l))
				}
			}
			pushLoki(t, server, "", lines)
			server.Flush()
			source := openLoki(t, server.URL)
			awaitLoki(t, source, lines)
			return source
		},
		Unavailable: func(t *testing.T) sources.Source {
			server := httptest.NewServer(nil)
			server.Close()
			return openLoki(t, server.URL)
		},
		NoCounters: true, Lines: true, ReportsObserved: true,
	})
}

// TestLokiPages reads more lines of one nanosecond and more lines in all than a page
// holds, from a server with a smaller limit than the usual one, and of two tenants.
func TestLokiPages(t *testing.T) {
	t.Parallel()
	server := backends.StartLoki(t, backends.LokiConfig{Tenants: true, Limits: []string{"max_entries_limit_per_query: 500"}})
	now := time.Now().UTC().Truncate(time.Minute).Add(-2 * time.Minute)
	lines := func(tenant string, n int) (all []lokiLine) {
		for i := range n {
			at := now.Add(time.Duration(i/400) * time.Second) // 400 lines in each nanosecond that has any
			all = append(all, lokiLineOf(map[string]string{analysis.AttrService: "shop", analysis.AttrVersion: "1.0", analysis.AttrPod: tenant},
				analysis.Line{Time: at.Add(time.Second), Severity: analysis.SeverityError, TraceID: fmt.Sprintf("%032x", i+1), Text: fmt.Sprint("cannot store order ", i)}))
		}
		return all
	}
	pushLoki(t, server, "team-a", lines("a", 3000))
	pushLoki(t, server, "team-b", lines("b", 7))
	query := analysis.Query{
		Signal:  analysis.Signal{Name: "logs", Source: "loki", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: analysis.SeverityError}},
		Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"shop"}}, {Name: analysis.AttrVersion, Values: []string{"1.0"}}},
		Fold:    analysis.Fold{Start: now, End: now.Add(15 * time.Second)},
	}
	for tenant, want := range map[string]float64{"team-a": 3000, "team-b": 7, "team-c": 0} {
		source := openLoki(t, server.URL, func(c *loki.Config) { c.Tenant, c.PageLines = tenant, 500 })
		answer, err := source.Rows(t.Context(), query)
		if err != nil || answer.Partial || sum(answer.Rows) != want {
			t.Errorf("%s: got %v, partial %v, %v; want %v", tenant, sum(answer.Rows), answer.Partial, err, want)
		}
	}
	for name, test := range map[string]struct {
		change  func(*loki.Config)
		trouble loki.Trouble
	}{
		"no tenant":                 {func(c *loki.Config) { c.PageLines = 500 }, loki.Denied},
		"pages over the limit":      {func(c *loki.Config) { c.Tenant = "team-a" }, loki.Refused},
		"an address that is no API": {func(c *loki.Config) { c.Tenant, c.URL = "team-a", c.URL+"/nowhere" }, loki.NotLoki},
	} {
		source := openLoki(t, server.URL, test.change)
		_, err := source.Rows(t.Context(), query)
		if err == nil || sources.KindOf(err) != sources.Rejected || loki.Diagnose(err) != test.trouble {
			t.Errorf("%s: got trouble %v, %v; want %v", name, loki.Diagnose(err), err, test.trouble)
		}
	}
	server.Stop()
	if _, err := openLoki(t, server.URL).Rows(t.Context(), query); err == nil || sources.KindOf(err) != sources.Unavailable {
		t.Errorf("stopped: got %v, want unavailable", err)
	}
}

// TestLokiLiterals asks for versions and services that would be something else if they
// were pasted into a query.
func TestLokiLiterals(t *testing.T) {
	t.Parallel()
	server := backends.StartLoki(t, backends.LokiConfig{})
	now := time.Now().UTC().Truncate(time.Minute).Add(-2 * time.Minute)
	values := []string{`1.0`, `1x0`, `a"b`, "a\nb", `a\b`, `"} or {x="`, `.*`, `a|b`, `{{.x}}`, "ä✓", ` | drop `, `\`, `"`, "a`b"}
	var lines []lokiLine
	for i, v := range values {
		for k := range i + 1 {
			lines = append(lines, lokiLineOf(map[string]string{analysis.AttrService: "shop", analysis.AttrVersion: v, analysis.AttrPod: v},
				analysis.Line{Time: now.Add(time.Second), Severity: analysis.SeverityError, TraceID: fmt.Sprintf("%032x", 100*i+k+1), Text: fmt.Sprint("failed ", k)}))
		}
	}
	pushLoki(t, server, "", lines)
	source := openLoki(t, server.URL)
	for i, v := range values {
		for _, asked := range [][]string{{v}, {v, "no-such"}} {
			answer, err := source.Rows(t.Context(), analysis.Query{
				Signal:  analysis.Signal{Name: "logs", Source: "loki", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: analysis.SeverityError}},
				Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{"shop"}}, {Name: analysis.AttrVersion, Values: asked}},
				Fold:    analysis.Fold{Start: now, End: now.Add(15 * time.Second)},
			})
			if err != nil || len(answer.Rows) != 1 || answer.Rows[0].Values[1] != v || answer.Rows[0].Pod != v || answer.Rows[0].Bad != float64(i+1) {
				t.Errorf("version %q: got %+v, %v; want %d failed requests", v, answer.Rows, err, i+1)
			}
		}
	}
}

func sum(rows []analysis.Row) (bad float64) {
	for _, r := range rows {
		bad += r.Bad
	}
	return bad
}

func openLoki(t *testing.T, url string, changes ...func(*loki.Config)) *loki.Source {
	t.Helper()
	c := loki.DefaultConfig()
	c.URL = url
	for _, change := range changes {
		change(&c)
	}
	source, err := loki.Open("loki", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	return source
}

// A lokiLine is a line as a collector would push it: the service names the stream, and
// all else is structured metadata.
type lokiLine struct {
	service string
	at      time.Time
	text    string
	meta    map[string]string
}

func lokiLineOf(attributes map[string]string, l analysis.Line) lokiLine {
	out := lokiLine{service: attributes[analysis.AttrService], at: l.Time, text: l.Text, meta: map[string]string{}}
	for name, value := range attributes {
		if name != analysis.AttrService {
			out.meta[strings.NewReplacer(".", "_", "-", "_").Replace(name)] = value
		}
	}
	if l.Severity != analysis.SeverityUnknown {
		out.meta["level"] = l.Severity.String()
	}
	if l.TraceID != "" {
		out.meta["trace_id"] = l.TraceID
	}
	return out
}

// pushLoki pushes lines, in order of time.
func pushLoki(t testing.TB, server *backends.Loki, tenant string, lines []lokiLine) {
	t.Helper()
	lines = slices.Clone(lines)
	slices.SortStableFunc(lines, func(a, b lokiLine) int { return a.at.Compare(b.at) })
	for batch := range slices.Chunk(lines, 1000) {
		type stream struct {
			Stream map[string]string `json:"stream"`
			Values [][]any           `json:"values"`
		}
		byService := map[string]*stream{}
		var streams []*stream
		for _, l := range batch {
			if byService[l.service] == nil {
				byService[l.service] = &stream{Stream: map[string]string{"service_name": l.service}}
				streams = append(streams, byService[l.service])
			}
			s := byService[l.service]
			s.Values = append(s.Values, []any{strconv.FormatInt(l.at.UnixNano(), 10), l.text, l.meta})
		}
		body, err := json.Marshal(map[string]any{"streams": streams})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/loki/api/v1/push", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if tenant != "" {
			req.Header.Set("X-Scope-OrgID", tenant)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("push to loki: %v", err)
		}
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("push to loki: %s: %s", resp.Status, said)
		}
	}
}

// awaitLoki returns when the server finds as many lines as were pushed.
func awaitLoki(t *testing.T, source *loki.Source, lines []lokiLine) {
	t.Helper()
	first, last := lines[0].at, lines[0].at
	for _, l := range lines {
		if l.at.Before(first) {
			first = l.at
		}
		if l.at.After(last) {
			last = l.at
		}
	}
	signal := analysis.Signal{Name: "logs", Source: "loki", Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}}
	deadline := time.Now().Add(time.Minute)
	for {
		seen, err := source.Seen(t.Context(), analysis.SeenQuery{Signal: signal, From: first.Add(-time.Second), To: last.Add(time.Second)})
		found := 0.0
		for _, release := range seen {
			found += release.Exposure
		}
		if err == nil && int(found) == len(lines) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("loki finds %v of %d lines: %v", found, len(lines), err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
