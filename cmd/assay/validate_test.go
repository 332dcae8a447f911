package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/verdicts"
)

func TestParseObjective(t *testing.T) {
	for _, test := range []struct {
		text, name, events, total string
		good                      bool
	}{
		{`errors=http_requests_total{code=~"5.."} / http_requests_total`, "errors", `http_requests_total =~ 5..`, "http_requests_total", false},
		{`http_requests_total{code="500"} / http_requests_total`, "http_requests_total", `http_requests_total = 500`, "http_requests_total", false},
		{`up-time=good:ok_total / all_total`, "up-time", "ok_total", "all_total", true},
		{`good:ok_total / all_total`, "all_total", "ok_total", "all_total", true},
		{" slow.p99 =\n sum(rate(slow_total[5m]))\n / sum(rate(all_total[5m]))", "slow.p99", "slow_total", "all_total", false},
	} {
		o, err := parseObjective(test.text)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
			continue
		}
		s := o.Signal
		events := s.Bad
		if test.good {
			events = s.Good
		}
		if o.Name != test.name || o.Role != analysis.Critical || s.Source != promSource || s.Total.Metric != test.total || events == nil {
			t.Errorf("%s: %+v", test.text, o)
			continue
		}
		got := events.Metric
		for _, c := range events.Conditions {
			got += fmt.Sprintf(" %s %s", c.Op, c.Values[0])
		}
		if got != test.events {
			t.Errorf("%s: events %s, want %s", test.text, got, test.events)
		}
	}
	for _, text := range []string{"", "errors=", "errors", "a_total", "a_total == b_total", "errors=a_total * b_total", "good:a_total", "bad:a_total / b_total", "x=a:b / c_total"} {
		if o, err := parseObjective(text); err == nil {
			t.Errorf("%q: %+v", text, o)
		}
	}
}

func TestParseObjectiveOfOtherShapes(t *testing.T) {
	for text, want := range map[string]analysis.Objective{
		`histogram:sum by (le) (rate(took_seconds_bucket{job="shop"}[5m]))`: {Name: "took_seconds", Role: analysis.Critical, Signal: analysis.Signal{
			Name: "took_seconds", Source: promSource, Unit: "s", Shape: analysis.ShapeDistribution,
			Histogram: &analysis.Selector{Metric: "took_seconds", Conditions: []analysis.Condition{{Name: "job", Op: analysis.OpEqual, Values: []string{"shop"}}}},
		}},
		`memory= gauge:resident_bytes`: {Name: "memory", Role: analysis.Secondary, Signal: analysis.Signal{
			Name: "memory", Source: promSource, Unit: "By", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "resident_bytes"},
		}},
	} {
		if got, err := parseObjective(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"histogram:", "gauge:rate(a_total[5m])", "histogram:a / b", "good:histogram:a", "histogram:a_count"} {
		if o, err := parseObjective(text); err == nil {
			t.Errorf("%q: %+v", text, o)
		}
	}
}

var whole = []string{"--prometheus", "http://p:9090", "--service", "checkout", "--canary", "2", "--baseline", "1"}

func TestValidateFlags(t *testing.T) {
	whole := slices.Clip(whole)
	for says, args := range map[string][]string{
		"--prometheus is required":                  {"--service", "s", "--canary", "2", "--since", "30m"},
		"--service is required":                     {"--prometheus", "http://p", "--canary", "2", "--since", "30m"},
		"--canary is required":                      {"--prometheus", "http://p", "--service", "s", "--since", "30m"},
		"is no address":                             {"--prometheus", "p:9090", "--service", "s", "--canary", "2", "--since", "30m"},
		"there is nothing to compare":               append(whole, "--baseline", "2", "--since", "30m"),
		"when did the deployment start":             whole,
		"either --since":                            append(whole, "--since", "30m", "--start", "2026-01-01T00:00:00Z"),
		"which is positive":                         append(whole, "--since", "-30m"),
		`--start "monday" is no time`:               append(whole, "--start", "monday"),
		"is in the future":                          append(whole, "--start", "2999-01-01T00:00:00Z"),
		"is not after the start":                    append(whole, "--start", "2026-01-01T00:00:00Z", "--until", "2026-01-01T00:00:00Z"),
		"--until ends in the past":                  append(whole, "--since", "30m", "--follow", "--until", "2026-01-01T00:00:00Z"),
		"deadline of 20m0s after the start is over": append(whole, "--since", "30m", "--follow", "--deadline", "20m"),
		"--deadline 0s must be positive":            append(whole, "--follow", "--deadline", "0"),
		"--min-bake -1m0s must be positive":         append(whole, "--follow", "--min-bake", "-1m"),
		"--objective \"a\": is no quotient":         append(whole, "--follow", "--objective", "a"),
		"another one is called b_total":             append(whole, "--follow", "--objective", "a_total / b_total", "--objective", "c_total / b_total"),
		"no --objective is called \"x\"":            append(whole, "--follow", "--slo", "x=99%"),
		"--slo \"150%\" is no target":               append(whole, "--follow", "--slo", "150%"),
		"--slo \"=99%\" is no target":               append(whole, "--follow", "--slo", "=99%"),
		"there is a target already":                 append(whole, "--follow", "--slo", "99%", "--slo", "98%"),
		"--label \"version=v\" must be ATTRIBUTE":   append(whole, "--follow", "--label", "version=v"),
		"--label \"service.version=\" must be":      append(whole, "--follow", "--label", "service.version="),
		"--weight \"2\" is no share":                append(whole, "--follow", "--weight", "2"),
		"--header must be NAME: VALUE":              append(whole, "--follow", "--header", "secret"),
		"Authorization must be TYPE CREDENTIALS":    append(whole, "--follow", "--header", "Authorization: secret"),
		"setting header \"Host\" is not allowed":    append(whole, "--follow", "--header", "Host: h"),
		"--http-config nothing.yaml: open":          append(whole, "--follow", "--http-config", "nothing.yaml"),
		"must be table or json":                     append(whole, "--follow", "-o", "yaml"),
		"takes no arguments":                        append(whole, "--follow", "now"),
		"credentials in the address":                append(whole, "--follow", "--prometheus", "http://a:b@p"),
	} {
		code, out, failed := command(t, append([]string{"validate"}, args...)...)
		if code != exitUsage || out != "" || !strings.Contains(failed, says) || !strings.Contains(failed, "assay validate --help") {
			t.Errorf("%v: exit code %d, %q%q, want %q", args, code, out, failed, says)
		}
		if strings.Contains(failed, "secret") {
			t.Errorf("%v: what may be a secret is repeated: %s", args, failed)
		}
	}
}

func TestValidateReadsItsFlags(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 500, time.UTC)
	noon := now.Truncate(time.Second)
	read := func(args ...string) comparison {
		t.Helper()
		c := &cobra.Command{}
		v := addValidateFlags(c)
		if err := c.ParseFlags(append(slices.Clip(whole), args...)); err != nil {
			t.Fatal(err)
		}
		read, err := v.comparison(now)
		if err != nil {
			t.Fatal(err)
		}
		return read
	}

	c := read("--since", "30m", "--weight", "10%", "--warmup", "1m", "--min-bake", "5m")
	if !c.start.Equal(noon.Add(-30*time.Minute)) || !c.until.IsZero() || c.follow || c.weight.Weight != 0.1 || !c.weight.At.Equal(c.start) {
		t.Errorf("since: %+v", c)
	}
	if w := c.policy.Window; w.Warmup.D() != time.Minute || w.MinBake.D() != 5*time.Minute {
		t.Errorf("window: %+v", w)
	}
	if c := read("--start", "2026-11-23T09:00:00+01:00", "--until", "2026-11-23T10:00:00Z"); !c.start.Equal(noon.Add(-4*time.Hour)) || !c.until.Equal(noon.Add(-2*time.Hour)) {
		t.Errorf("start and until: %v, %v", c.start, c.until)
	}
	if c := read("--follow", "--deadline", "20m"); !c.start.Equal(noon) || !c.follow || c.policy.Window.Deadline.D() != 20*time.Minute {
		t.Errorf("follow: %+v", c)
	}

	c = read("--follow")
	if !c.policy.Candidates || !c.policy.BuiltIn || len(c.policy.Objectives) != len(config.BuiltinPolicy(promSource).Objectives) || c.policy.Objectives[0].Target != 0 {
		t.Errorf("built-in: %+v", c.policy)
	}
	for _, o := range read("--follow", "--slo", "99.9%").policy.Objectives {
		if o.Signal.Shape != analysis.ShapeRatio {
			if o.Target != 0 {
				t.Errorf("built-in without requests, and with a target: %+v", o)
			}
			continue
		}
		if o.Target != 0.999 || o.Tolerance != nil || o.Margin != nil {
			t.Errorf("built-in with a target: %+v", o)
		}
	}
	c = read("--follow", "--objective", "a=a_total / t_total", "--objective", "b=good:b_total / t_total", "--slo", "99%", "--slo", "b=0.9")
	if o := c.policy.Objectives; c.policy.Candidates || c.policy.BuiltIn || len(o) != 2 || o[0].Target != 0.99 || o[1].Target != 0.9 || o[1].Signal.Good == nil {
		t.Errorf("objectives: %+v", c.policy)
	}

	c = read("--follow", "--label", "service.version=version", "--header", "X-Scope-OrgID: a", "--header", "authorization: Bearer b")
	if c.server.Labels[analysis.AttrVersion] != "version" || c.server.HTTP.HTTPHeaders.Headers["X-Scope-OrgID"].Secrets[0] != "a" ||
		c.server.HTTP.Authorization.Type != "Bearer" || c.server.HTTP.Authorization.Credentials != "b" {
		t.Errorf("server: %+v", c.server)
	}
}

// The exit code of a server that gives no answers says whose turn it is.
func TestValidateTellsTroubleApart(t *testing.T) {
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, test := range []struct {
		url, says string
		code      exitCode
	}{
		{closed.URL, "no answer from " + closed.URL, exitInternal},
		{answer(401, "who are you"), "wants other credentials", exitAuth},
		{answer(403, "{}"), "wants other credentials", exitAuth},
		{answer(200, "<html>sign in</html>"), "not as the API of Prometheus", exitUsage},
		{answer(404, "page not found"), "not as the API of Prometheus", exitUsage},
		{answer(503, "no backend"), "no answer from", exitInternal},
	} {
		code, out, failed := command(t, "validate", "--prometheus", test.url, "--service", "s", "--canary", "2", "--since", "30m", "-q")
		if code != test.code || out != "" || !strings.Contains(failed, test.says) {
			t.Errorf("%s: exit code %d, want %d and %q: %s", test.url, code, test.code, test.says, failed)
		}
	}
}

// A silentProm is a Prometheus that answers every query with nothing, and knows
// some names.
func silentProm(t *testing.T, values map[string][]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var data any
		label, isLabel := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/values"), "/api/v1/label/")
		switch {
		case isLabel:
			data = slices.Concat([]string{}, values[label])
		case r.URL.Path == "/api/v1/labels":
			data = slices.Concat([]string{}, values["labels"])
		case r.FormValue("query") == "vector(1)":
			data = map[string]any{"resultType": "vector", "result": []any{}}
		default:
			data = map[string]any{"resultType": "matrix", "result": []any{}}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": data}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestValidateSaysWhatThereIsInstead(t *testing.T) {
	versions := []string{"1", "2"}
	for what, test := range map[string]struct {
		values map[string][]string
		says   []string
	}{
		"nothing at all":     {nil, []string{`no label names a service "checkout"`, "is it the right Prometheus"}},
		"another service":    {map[string][]string{"job": {"chekout", "basket"}}, []string{"the nearest names: chekout, basket"}},
		"no counter":         {map[string][]string{"app": {"checkout"}, "__name__": {"up"}}, []string{`no counter of app="checkout"`}},
		"no version":         {map[string][]string{"app": {"checkout"}, "__name__": {"r_total"}, "labels": {"code"}, "code": {"200"}}, []string{"no label of a version", "a label that tells two versions apart"}},
		"no status":          {map[string][]string{"app": {"checkout"}, "__name__": {"r_total"}, "labels": {"version"}, "version": versions}, []string{"r_total  version: 1, 2  -", "--objective 'errors=EVENTS / TOTAL'"}},
		"another version":    {map[string][]string{"app": {"checkout"}, "__name__": {"r_total"}, "labels": {"version", "code"}, "version": {"1"}, "code": {"200"}}, []string{"version 2 is not among those of r_total"}},
		"names of their own": {map[string][]string{"app": {"checkout"}, "__name__": {"r_total"}, "labels": {"version", "code"}, "version": versions, "code": {"200"}}, []string{"code: 200", "this would judge the first of them"}},
	} {
		url := silentProm(t, test.values)
		code, out, failed := command(t, "validate", "--prometheus", url, "--service", "checkout", "--canary", "2", "--baseline", "1", "--since", "30m", "--header", "Authorization: Bearer secret", "-q")
		if code != exitUsage || out != "" || strings.Contains(failed, "secret") {
			t.Errorf("%s: exit code %d: %s%s", what, code, out, failed)
		}
		for _, says := range append(test.says, "has none of the built-in signals of checkout") {
			if !strings.Contains(failed, says) {
				t.Errorf("%s: want %q: %s", what, says, failed)
			}
		}
	}
	url := silentProm(t, map[string][]string{"app": {"checkout"}, "__name__": {"r_total"}, "labels": {"version", "code"}, "version": versions, "code": {"200"}})
	_, _, failed := command(t, "validate", "--prometheus", url, "--service", "checkout", "--canary", "2", "--baseline", "1", "--since", "30m", "--objective", "mine=x_total / y_total", "--label", "service.version=v", "--slo", "99%", "-q")
	want := "assay validate --prometheus " + url + ` --service checkout --canary 2 --baseline 1 --since 30m0s --slo 99% --quiet=true --label service.name=app --label service.version=version --objective 'errors=r_total{code=~"5.."} / r_total'`
	if !strings.HasSuffix(strings.TrimSpace(failed), want) {
		t.Errorf("the command line is\n%s\nwant\n%s", failed, want)
	}
}

// What is quoted, a shell reads as it was.
func TestShellQuote(t *testing.T) {
	for _, word := range []string{"", "a", `a{b=~"5.."} / c`, "it's", "$HOME `x` \\ *", "é", "a\nb"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q: %q %v", word, out, err)
		}
	}
}

// A failingProm is a Prometheus that knows both versions of checkout, and goes away as
// soon as it is asked for what is judged.
func failingProm(t *testing.T) string {
	t.Helper()
	instants := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result := []any{}
		switch query := r.FormValue("query"); {
		case query == "vector(1)":
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
			return
		case r.URL.Path == "/api/v1/query":
			if instants++; instants > 2 { // how far samples are apart was asked, for ten minutes and for an hour
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		default:
			now := float64(time.Now().Unix())
			for _, version := range []string{"1", "2"} {
				result = append(result, map[string]any{
					"metric": map[string]string{"__name__": "r_total", "service_name": "checkout", "service_version": version, "instance": "pod-" + version},
					"values": [][]any{{now - 3600, "1"}, {now - 2400, "2"}, {now - 600, "3"}},
				})
			}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "matrix", "result": result}}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A server that goes away while it is asked leaves the verdict pending: exit code 5,
// and no word to act on.
func TestValidateGivesUp(t *testing.T) {
	url := failingProm(t)
	kept := t.TempDir()
	code, out, failed := command(t, "validate", "--prometheus", url, "--service", "checkout", "--canary", "2", "--baseline", "1", "--since", "30m",
		"--objective", `errors=r_total{code="500"} / r_total`, "--timeout", "1s", "--bundle", kept)
	if code != exitTimeout || !strings.HasPrefix(out, "PENDING, not final") || !strings.Contains(failed, "has brought nothing new for 1s") || !strings.Contains(failed, "there is no bundle") {
		t.Errorf("exit code %d: %s%s", code, out, failed)
	}
	if files, err := os.ReadDir(kept); err != nil || len(files) > 0 {
		t.Errorf("kept: %v %v", files, err)
	}
}

// Who is interrupted has no answer either, and is told what is known.
func TestValidateIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	var out, failed bytes.Buffer
	code := run(ctx, []string{
		"validate", "--prometheus", failingProm(t), "--service", "checkout", "--canary", "2", "--baseline", "1", "--since", "30m", "--follow",
		"--objective", `errors=r_total{code="500"} / r_total`, "-q", "-o", "json",
	}, streams{strings.NewReader(""), &out, &failed})
	var v verdicts.Verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil || code != exitTimeout || v.Final || v.Verdict != verdicts.Pending || !strings.Contains(failed.String(), "stopped; the verdict is still pending") {
		t.Errorf("exit code %d, %v: %s%s", code, err, out.String(), failed.String())
	}
}

// What keeps a verdict from being more than a hold is said before it is one.
func TestValidateRemarks(t *testing.T) {
	seen := func(version string, pods int) analysis.Seen {
		return analysis.Seen{Service: "checkout", Version: version, Pods: pods, Exposure: 1}
	}
	o := &oneShot{comparison: comparison{release: analysis.Release{Service: "checkout", Version: "2", PreviousVersion: "1"}}, cadence: time.Minute}
	o.policy.Window = analysis.Window{MinBake: analysis.Duration(10 * time.Minute), Deadline: analysis.Duration(20 * time.Minute)}
	both := []analysis.Seen{seen("1", 4), seen("2", 1)}
	for what, test := range map[string]struct {
		window time.Duration
		heard  heard
		says   []string
	}{
		"well":            {20 * time.Minute, heard{since: both}, nil},
		"a short time":    {9 * time.Minute, heard{since: both}, []string{"nothing is promoted within --min-bake 10m0s"}},
		"few samples":     {7 * time.Minute, heard{since: both}, []string{"--min-bake", "7 samples of --canary 2, 1m0s apart, can come within 7m0s; 8 are needed"}},
		"no canary":       {20 * time.Minute, heard{before: both[:1], since: both[:1]}, []string{"no sample of --canary 2 since the start: seen since then 1; in the hour before 1"}},
		"no baseline":     {20 * time.Minute, heard{before: both[:1], since: both[1:]}, []string{"no sample of --baseline 1 since the start: seen since then 2; in the hour before 1; two versions are compared side by side"}},
		"nothing at last": {20 * time.Minute, heard{before: both[:1]}, []string{"--canary 2 since the start: seen since then nothing", "--baseline 1 since the start: seen since then nothing"}},
	} {
		o.policy.Window.Deadline = analysis.Duration(test.window)
		got := o.remarks(test.heard)
		if len(got) != len(test.says) {
			t.Errorf("%s: %q", what, got)
			continue
		}
		for i, says := range test.says {
			if !strings.Contains(got[i], says) {
				t.Errorf("%s: %q, want %q", what, got[i], says)
			}
		}
	}

	in := func(environments ...string) (h heard) {
		for _, e := range environments {
			h.since = append(h.since, analysis.Seen{Version: "2", Environment: e})
		}
		return h
	}
	if err := o.settleEnvironment(in("prod", "staging")); err == nil || !strings.Contains(err.Error(), "prod, staging") {
		t.Errorf("two environments: %v", err)
	}
	if err := o.settleEnvironment(in("", "")); err != nil || o.release.Environment != "" {
		t.Errorf("no environment: %q, %v", o.release.Environment, err)
	}
	if err := o.settleEnvironment(in("prod", "")); err != nil || o.release.Environment != "prod" {
		t.Errorf("one environment: %q, %v", o.release.Environment, err)
	}
}
