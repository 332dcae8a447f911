package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
)

// eventLine is an event as a line of a file.
func eventLine(t *testing.T, e analysis.Event) string {
	t.Helper()
	m, err := intake.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	event := map[string]any{"datacontenttype": m.ContentType, "data": json.RawMessage(m.Value)}
	for _, h := range m.Headers {
		if name, ok := strings.CutPrefix(h.Key, "ce_"); ok {
			event[name] = string(h.Value)
		}
	}
	line, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

func pastEvent(deployment, phase string, at time.Time) analysis.Event {
	return analysis.Event{
		Source: "/ci", ID: deployment + "-" + phase + at.Format("-150405"), Time: at, StartedAt: at, Phase: analysis.Phase(phase), Mode: analysis.Live, DeploymentID: analysis.DeploymentID(deployment),
		Strategy: "canary", Step: &analysis.Step{Weight: .1, At: at},
		Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
	}
}

// A release is what started it and its ramp; how it ended says nothing about how it would
// be judged, and starting it again is not another release.
func TestReadPastReleases(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	name := writeIn(t, t.TempDir(), "events.jsonl", eventLine(t, pastEvent("d1", "started", at))+"\n"+eventLine(t, pastEvent("d2", "started", at))+
		eventLine(t, pastEvent("d1", "step", at.Add(time.Minute)))+eventLine(t, pastEvent("d1", "aborted", at.Add(2*time.Minute)))+
		eventLine(t, pastEvent("d1", "started", at.Add(time.Hour)))+eventLine(t, pastEvent("d3", "step", at)))
	releases, err := readPastReleases(name)
	if err != nil || len(releases) != 2 {
		t.Fatalf("%+v, %v", releases, err)
	}
	d1, d2 := releases[0], releases[1]
	if d1.from != name+":1" || d2.from != name+":3" || len(d1.ramp) != 1 || len(d2.ramp) != 0 {
		t.Errorf("%+v\n%+v", d1, d2)
	}
	for _, e := range []analysis.Event{d1.started, d1.ramp[0], d2.started} {
		if e.Mode != analysis.Retrospective {
			t.Errorf("%s is judged %s", e.ID, e.Mode)
		}
	}
	if !d1.started.StartedAt.Equal(at) {
		t.Errorf("started at %v", d1.started.StartedAt)
	}
}

func TestPastReleasesThatCannotBeRead(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	line := eventLine(t, pastEvent("d1", "started", at))
	for text, want := range map[string]string{
		"": "holds no event that a deployment was started",
		eventLine(t, pastEvent("d1", "step", at)): "holds no event that a deployment was started",
		line + "{}\n":                       "events.jsonl:2: ",
		line + "not JSON\n":                 "events.jsonl:2: ",
		line + strings.Repeat("x", 300<<10): "events.jsonl:2: ",
	} {
		name := writeIn(t, t.TempDir(), "events.jsonl", text)
		if _, err := readPastReleases(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %s", text, err, want)
		}
	}
	policy := writeIn(t, t.TempDir(), "policy.yaml", string(demoPolicy))
	events := writeIn(t, t.TempDir(), "events.jsonl", line)
	for _, c := range []struct {
		args []string
		code exitCode
		want string
	}{
		{[]string{"--policies", policy, "--against", policy, "nowhere.jsonl"}, exitUsage, "nowhere.jsonl"},
		{[]string{"--policies", policy, "--against", "nowhere.yaml", events}, exitUsage, "nowhere.yaml"},
		{[]string{"--policies", policy, "--against", policy, events}, exitOK, "what was pushed to source otlp is not kept"},
	} {
		if code, out, failed := command(t, append([]string{"backtest"}, c.args...)...); code != c.code || !strings.Contains(out+failed, c.want) {
			t.Errorf("%q: exit code %d: %s %s", c.args, code, out, failed)
		}
	}
}

// A release whose window is not over cannot be judged as the past.
func TestPastReleaseThatIsNotOver(t *testing.T) {
	dir := t.TempDir()
	conf := writeIn(t, dir, "assay.yaml", "sources:\n  prom: {type: prometheus, url: http://127.0.0.1:1}\nbuiltIn: {source: prom}\n")
	c, err := openConfiguration(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	e := pastEvent("d1", "started", at)
	if why := c.cannotTell(e, at.Add(59*time.Minute)); !strings.Contains(why, "its window ends at 2026-03-02T11:00:10Z") {
		t.Errorf("after 59 minutes of an hour: %q", why)
	}
	if why := c.cannotTell(e, at.Add(2*time.Hour)); why != "" {
		t.Errorf("after two hours: %s", why)
	}
	e.MaxDuration = analysis.Duration(3 * time.Hour)
	if why := c.cannotTell(e, at.Add(2*time.Hour)); !strings.Contains(why, "its window ends at 2026-03-02T13:00:10Z") {
		t.Errorf("after two of three hours: %q", why)
	}
}
