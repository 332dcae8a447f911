package accuracy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

func sampleTicket(t *testing.T) TicketDay {
	t.Helper()
	days, err := ReadTicket(filepath.Join(recordings, "nezha-trainticket"))
	if err != nil || len(days) != 1 || len(days[0].Faults) != 1 {
		t.Fatalf("%d days, %v", len(days), err)
	}
	return days[0]
}

func TestReadTicket(t *testing.T) {
	d := sampleTicket(t)
	want := TicketFault{time.Date(2023, 1, 29, 8, 43, 4, 0, time.UTC), "ts-contacts-service", "return", []string{"c.s.ContactsServiceImpl#31", "c.s.ContactsServiceImpl#34"}}
	if fmt.Sprint(d.Faults[0]) != fmt.Sprint(want) {
		t.Errorf("the fault is %v, want %v", d.Faults[0], want)
	}
	if !slices.IsSortedFunc(d.Lines, func(a, b TicketLine) int { return a.At.Compare(b.At) }) {
		t.Error("lines are not in the order of time, which the files are not either")
	}
	errors := 0
	for _, l := range d.Lines {
		if service(l.Pod) == "ts-contacts-service" && strings.Contains(l.Raw, " ERROR ") {
			errors++
		}
		if !strings.HasPrefix(l.Raw, `{"log":"`) || len(l.TraceID) != 32 {
			t.Fatalf("a line is %+v", l)
		}
	}
	if errors != 19 { // as the recording says; a row is there twice
		t.Errorf("%d errors of the service, want 19", errors)
	}
	seen := map[[2]string]bool{}
	for _, s := range d.Spans {
		if key := [2]string{s.TraceID, s.SpanID}; seen[key] {
			t.Fatalf("the span %v is there twice", key)
		} else {
			seen[key] = true
		}
	}
	if n := len(d.Spans); n == 0 || n >= 903+2079+1624-3 {
		t.Errorf("%d spans, want fewer than there are rows: some repeat", n)
	}
}

// Of a case nothing is told after its end, everything once, each pod in the version of the
// time, and callers and called are known by each other.
func TestTicketCase(t *testing.T) {
	c := sampleTicket(t).Cases()[0]
	if c.Truth != Bad || c.Service != "ts-contacts-service" || !c.StartedAt.Equal(time.Date(2023, 1, 29, 8, 43, 4, 0, time.UTC)) || !slices.Contains(c.Services, c.Service) {
		t.Errorf("the case is %+v of %v", c.Case, c.Services)
	}
	lines, spans := 0, 0
	versions := map[string]int{}
	kinds := map[ptrace.SpanKind]int{}
	var last time.Time
	err := c.Export(5*time.Second, func(at time.Time, logs plog.Logs, traces ptrace.Traces) error {
		if !at.After(last) {
			t.Fatalf("%v after %v", at, last)
		}
		last = at
		lines += logs.LogRecordCount()
		spans += traces.SpanCount()
		for _, rl := range logs.ResourceLogs().All() {
			version, _ := rl.Resource().Attributes().Get(analysis.AttrVersion)
			for _, r := range rl.ScopeLogs().At(0).LogRecords().All() {
				when := r.Timestamp().AsTime()
				if (version.AsString() == VersionAfter) == when.Before(c.StartedAt) || !when.Before(at) || when.Before(at.Add(-5*time.Second)) {
					t.Fatalf("a line of %v is told at %v by version %s", when, at, version.AsString())
				}
			}
			versions[version.AsString()]++
		}
		for _, rs := range traces.ResourceSpans().All() {
			for _, s := range rs.ScopeSpans().At(0).Spans().All() {
				kinds[s.Kind()]++
			}
		}
		return nil
	})
	if err != nil || lines != len(c.lines) || spans != len(c.spans) || last.Before(c.Until) || len(versions) != 2 {
		t.Errorf("%v; %d of %d lines, %d of %d spans, until %v, versions %v", err, lines, len(c.lines), spans, len(c.spans), last, versions)
	}
	if kinds[ptrace.SpanKindServer] == 0 || kinds[ptrace.SpanKindClient] == 0 || kinds[ptrace.SpanKindServer] < kinds[ptrace.SpanKindClient] || kinds[ptrace.SpanKindUnspecified] > 0 {
		t.Errorf("kinds: %v", kinds)
	}
}

func TestKindsOf(t *testing.T) {
	kinds := kindsOf([]TicketSpan{
		{SpanID: "1", Pod: "a"},
		{SpanID: "2", ParentID: "1", Pod: "a"},
		{SpanID: "3", ParentID: "2", Pod: "b"},
		{SpanID: "4", ParentID: "3", Pod: "c"},
		{SpanID: "5", ParentID: "0", Pod: "c"},
	})
	want := map[string]ptrace.SpanKind{
		"1": ptrace.SpanKindServer, "2": ptrace.SpanKindClient, "3": ptrace.SpanKindServer, "4": ptrace.SpanKindServer, "5": ptrace.SpanKindInternal,
	}
	if fmt.Sprint(kinds) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", kinds, want)
	}
}

func TestTicketSection(t *testing.T) {
	a := TicketAnswer{
		Case: TicketCase{Case: Case{Name: "a fault", Truth: Bad, Service: "contacts"}, Services: []string{"contacts", "basic"}},
		Verdicts: map[string]verdicts.Verdict{
			"contacts": {Verdict: verdicts.Hold, ReasonCode: analysis.BeforeAfterOnly, Differences: []analysis.Difference{
				{Kind: analysis.DiffVolume, Service: "contacts", What: "more lines"}, {Kind: analysis.DiffTemplate, Service: "contacts", Template: "x", What: "new | line"},
			}},
			"basic": {Verdict: verdicts.Hold},
		},
	}
	if a.Rank() != 2 || len(a.Elsewhere()) != 0 || len(MissedTickets([]TicketAnswer{a})) != 0 {
		t.Errorf("rank %d, elsewhere %v, missed %v", a.Rank(), a.Elsewhere(), MissedTickets([]TicketAnswer{a}))
	}
	if text := TicketSection([]TicketAnswer{a}).Found; !strings.Contains(text, `| a fault | hold | before_after_only | 2.: new \| line | 1 of 1, 0 |`) {
		t.Errorf("the section is %s", text)
	}
	a.Verdicts["basic"] = verdicts.Verdict{Verdict: verdicts.Rollback, Differences: []analysis.Difference{{Found: true}}}
	bad := a.Verdicts["contacts"]
	bad.Differences = nil
	a.Verdicts["contacts"] = bad
	if missed := MissedTickets([]TicketAnswer{a}); len(missed) != 3 {
		t.Errorf("missed: %q, want the rollback, the list and the finding", missed)
	}
}

func TestBrokenTickets(t *testing.T) {
	if _, err := ReadTicket(t.TempDir()); err == nil {
		t.Error("an empty folder is no recording")
	}
	dir := filepath.Join(t.TempDir(), "2023-01-29")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fault_list.json"), []byte(`[{"inject_time":"noon"}]`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadTicket(filepath.Dir(dir)); err == nil || !strings.Contains(err.Error(), "fault 1") {
		t.Errorf("got %v", err)
	}
	if _, err := ticketSpan(map[string]string{"TraceID": "x", "StartTimeUnixNano": "2", "EndTimeUnixNano": "1"}); err == nil {
		t.Error("a span that ends before it starts is one")
	}
}
