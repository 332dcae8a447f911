package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/lokimirror"
)

// TestLokiMirror writes verdicts to a real Loki and reads them back as dashboards do; then
// the server is paused, and stopped, and nobody waits for it.
func TestLokiMirror(t *testing.T) {
	t.Parallel()
	server := backends.StartLoki(t, backends.LokiConfig{})
	c := lokimirror.DefaultConfig()
	c.URL, c.Queue, c.Labels = server.URL, 50, map[string]string{"cluster": "test"}
	m, err := lokimirror.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- m.Pump() }()

	issued := time.Now().UTC().Truncate(time.Second)
	verdict := func(service string) verdicts.Verdict {
		return verdicts.Verdict{
			Final: true, IssuedAt: &issued, Verdict: verdicts.Rollback, Service: service, Environment: "production", Version: "2.0", BaselineVersion: "1.0", Reason: `errors "rose"`,
			Findings: []analysis.Finding{{Objective: "errors", State: analysis.FindingBreached, Reason: "5 times as many"}},
		}
	}
	m.Put(verdict("checkout"))
	m.Put(verdict("cart"))
	eventually(t, time.Minute, "the lines are in Loki", func() error {
		got := queryLoki(t, server.URL, `{app="assay", cluster="test", environment="production", verdict="rollback", kind="verdict"} | json | line_format "{{.text}}"`, issued)
		want := []string{`rollback cart 2.0: errors "rose"`, `rollback checkout 2.0: errors "rose"`}
		if !slices.Equal(got, want) {
			return fmt.Errorf("got %q, want %q", got, want)
		}
		return nil
	})
	if got := queryLoki(t, server.URL, `{app="assay", kind="finding", service="checkout"} | json | line_format "{{.objective}}: {{.text}}"`, issued); len(got) != 1 || got[0] != "errors: checkout 2.0: 5 times as many" {
		t.Errorf("findings: %q", got)
	}

	server.Pause()
	began := time.Now()
	for i := range 1000 {
		m.Put(verdict(fmt.Sprint("paused-", i)))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("putting verdicts took %v while the server was paused", took)
	}
	if s := m.Stats(); s.Dropped == 0 || s.Waiting > 50 {
		t.Errorf("%+v: the queue has no bound, or nothing is counted", s)
	}
	server.Resume()
	server.Stop()
	began = time.Now()
	m.Put(verdict("stopped"))
	m.Close()
	if took := time.Since(began); took > time.Second {
		t.Errorf("closing took %v while the server was stopped", took)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(90 * time.Second):
		t.Error("the pump does not end though every attempt has an end")
	}
	if s := m.Stats(); s.Failed == 0 {
		t.Errorf("%+v: nothing was given up", s)
	}
}

// TestServeMirrorsToLoki runs a process with two sinks of type loki: a real one, and one
// that takes connections and never answers. Verdicts come as ever, the first gets its
// line, and the process stops in time.
func TestServeMirrorsToLoki(t *testing.T) {
	t.Parallel()
	server := backends.StartLoki(t, backends.LokiConfig{})
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	a := prepare(t, setup{noKafka: true})
	process, err := os.ReadFile(filepath.Join(a.dir, "assay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	a.write("assay.yaml", string(process)+fmt.Sprintf("sinks:\n  - {type: loki, url: %s}\n  - {type: loki, url: 'http://%s'}\nsources:\n  logs: {type: loki, url: %s}\n", server.URL, mute.Addr(), server.URL))
	a.start()
	a.awaitReady()
	w := worldOf(t, 12*time.Minute, "error-regression")
	w.push(a)
	a.post(started("error-regression", w.deployed))
	final, _ := a.final("error-regression", 20*time.Second)
	eventually(t, time.Minute, "the line is in Loki", func() error {
		got := queryLoki(t, server.URL, `{app="assay", kind="verdict", service="checkout"} | json | line_format "{{.validationId}}"`, *final.IssuedAt)
		if len(got) != 1 || got[0] != string(final.ValidationID) {
			return fmt.Errorf("got %q, want %s", got, final.ValidationID)
		}
		return nil
	})
	if o := command(t, nil, "config", "print", "--config", filepath.Join(a.dir, "assay.yaml")); o.code != 0 || !strings.Contains(o.out, "queue: 1000") || !strings.Contains(o.out, "pageLines: 5000") {
		t.Error(o)
	}
	a.stop()
}

// queryLoki returns the lines that a query finds, sorted.
func queryLoki(t *testing.T, root, query string, around time.Time) []string {
	t.Helper()
	resp, err := http.Get(root + "/loki/api/v1/query_range?" + url.Values{
		"query": {query}, "start": {fmt.Sprint(around.Add(-time.Minute).UnixNano())}, "end": {fmt.Sprint(around.Add(time.Minute).UnixNano())},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Result []struct{ Values [][2]string }
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	var lines []string
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			lines = append(lines, strings.TrimSpace(value[1]))
		}
	}
	slices.Sort(lines)
	return lines
}
