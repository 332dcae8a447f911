package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"golang.org/x/sync/errgroup"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/accuracy"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/verdicts"
)

// judgeTraceLots lists what traces show, on all processors, in the order of the lots.
func judgeTraceLots(t *testing.T, lots []accuracy.TraceLot) []accuracy.Naming {
	t.Helper()
	out := make([]accuracy.Naming, len(lots))
	var next atomic.Int64
	var workers errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(lots) {
					return nil
				}
				var err error
				if out[i], err = lots[i].Judge(); err != nil {
					return err
				}
			}
		})
	}
	if err := workers.Wait(); err != nil {
		t.Fatal(err)
	}
	return out
}

// ticketStep is how often the recording is pushed, by its own clock.
const ticketStep = 5 * time.Second

// judgeTicket replays one case of the nezha-trainticket recording through the OTLP
// receiver and lets the line judge every service of it, all by the recording's clock.
func judgeTicket(t *testing.T, c accuracy.TicketCase) accuracy.TicketAnswer {
	t.Helper()
	const name = "otlp"
	source, err := otlp.New(otlp.Config{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	policy := accuracy.TicketPolicy(name)
	var signals []analysis.Signal
	for _, o := range policy.Objectives {
		signals = append(signals, o.Signal)
	}
	if err := source.Track(signals); err != nil {
		t.Fatal(err)
	}
	ctx, dir, started := t.Context(), t.TempDir(), false
	var db *store.Store
	var runner *validation.Runner
	defer func() {
		if runner != nil {
			runner.Close()
		}
		if db != nil {
			db.Close()
		}
	}()
	advance := func(at time.Time) {
		if err := runner.Advance(ctx, at); err != nil {
			t.Fatal(err)
		}
	}
	last := c.StartedAt
	err = c.Export(ticketStep, func(at time.Time, logs plog.Logs, traces ptrace.Traces) error {
		if !started && !at.Before(c.StartedAt) { // what is pushed from here on is of the new versions, too
			started = true
			if db, err = store.Open(ctx, filepath.Join(dir, "assay.db"), at); err != nil {
				return err
			}
			if runner, err = validation.Open(ctx, validation.Config{
				Store: db, Gatherer: gather.New(map[string]sources.Source{name: source}, gather.Options{}), Dir: dir, Engine: "assay accuracy",
				Policy: func(analysis.Release, string) validation.Policy { return validation.Policy{Policy: policy} },
			}); err != nil {
				return err
			}
			acceptTicket(t, db, c, at)
		}
		if err := pushOTLP(source, "/v1/logs", logs.LogRecordCount(), plogotlp.NewExportRequestFromLogs(logs).MarshalProto); err != nil {
			return err
		}
		if err := pushOTLP(source, "/v1/traces", traces.SpanCount(), ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto); err != nil {
			return err
		}
		last = at
		if started {
			advance(at)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for end := last.Add(20 * time.Minute); runner.OpenCount() > 0; advance(last) {
		if last = last.Add(ticketStep); last.After(end) {
			t.Fatalf("%s: %d services have no verdict 20 minutes after the recording ended", c.Name, runner.OpenCount())
		}
	}
	answer := accuracy.TicketAnswer{Case: c, Verdicts: map[string]verdicts.Verdict{}}
	for _, service := range c.Services {
		rows, err := db.ByDeployment(ctx, c.Event(service).DeploymentID)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %s has %d validations, %v", c.Name, service, len(rows), err)
		}
		var v verdicts.Verdict
		if err := json.Unmarshal(rows[0].Latest, &v); err != nil || !v.Final {
			t.Fatalf("%s: %s: not final (%s), %v", c.Name, service, v.Reason, err)
		}
		answer.Verdicts[service] = v
	}
	return answer
}

// acceptTicket puts a deployment of each service into the inbox.
func acceptTicket(t *testing.T, db *store.Store, c accuracy.TicketCase, at time.Time) {
	t.Helper()
	batch := store.Batch{Now: at}
	for _, service := range c.Services {
		e := c.Event(service)
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		batch.Deliveries = append(batch.Deliveries, store.Delivery{Topic: "recordings", Partition: store.PartitionHTTP, Raw: raw, ContentHash: e.ID, Event: e})
	}
	if _, err := db.Accept(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

// pushOTLP sends what there is through the receiver for HTTP.
func pushOTLP(source *otlp.Source, path string, n int, marshal func() ([]byte, error)) error {
	if n == 0 {
		return nil
	}
	body, err := marshal()
	if err != nil {
		return err
	}
	req := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp := httptest.NewRecorder()
	source.Handler().ServeHTTP(resp, req)
	if resp.Code != http.StatusOK {
		return fmt.Errorf("%s: %d: %s", path, resp.Code, resp.Body)
	}
	return nil
}

func judgeTickets(t *testing.T, dir string) []accuracy.TicketAnswer {
	t.Helper()
	days, err := accuracy.ReadTicket(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []accuracy.TicketAnswer
	for _, day := range days {
		for _, c := range day.Cases() {
			out = append(out, judgeTicket(t, c))
		}
	}
	return out
}

// TestTicketAccuracy judges a few requests around one defect of the nezha-trainticket
// recording, of which the answer is known.
func TestTicketAccuracy(t *testing.T) {
	answers := judgeTickets(t, filepath.Join("..", "..", "testdata", "recordings", "nezha-trainticket"))
	for _, missed := range accuracy.MissedTickets(answers) {
		t.Error(missed)
	}
	a := answers[0]
	v := a.Verdicts[a.Case.Service]
	if len(answers) != 1 || v.ReasonCode != analysis.BeforeAfterOnly {
		t.Errorf("%d cases; %s (%s: %s), want a hold because there is only before and after", len(answers), v.Verdict, v.ReasonCode, v.Reason)
	}
	for _, d := range v.Differences[:min(len(v.Differences), 5)] {
		if strings.Contains(d.Template, "No contacts according to contactsId") && d.New && d.Severity == analysis.SeverityError && !d.Found {
			return
		}
	}
	t.Errorf("the new error line is not among the first five: %+v", v.Differences)
}
