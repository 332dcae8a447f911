package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/accuracy"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts"
)

var (
	accuracyData = flag.String("accuracy.data", "", "folder of the recordings; TestAccuracy writes what it finds there to -accuracy.report")
	accuracyDoc  = flag.String("accuracy.report", filepath.Join("..", "..", "docs", "accuracy.md"), "file that the report is written to")
)

// TestAccuracy judges all cases of the recordings in -accuracy.data, the points of time
// from a real Prometheus, and writes the report. Without the flag it does the same with
// a few cases of testdata/recordings, of which it knows the answers.
func TestAccuracy(t *testing.T) {
	if *accuracyData == "" {
		sampleOfAccuracy(t)
		return
	}
	delag, err := accuracy.NewDelagSection(filepath.Join(*accuracyData, "delag-trainticket"))
	if err != nil {
		t.Fatal(err)
	}
	boutique, err := accuracy.ReadBoutique(filepath.Join(*accuracyData, "nezha-onlineboutique"))
	if err != nil {
		t.Fatal(err)
	}
	issues, quiet, err := accuracy.ReadPetshop(filepath.Join(*accuracyData, "petshop"))
	if err != nil {
		t.Fatal(err)
	}
	delag.Judged(judgeLots(t, delag.Lots))
	shop := accuracy.BoutiqueSection(boutique)
	pets := accuracy.PetshopSection(issues, quiet)
	for _, s := range []*accuracy.RecordedSection{&shop, &pets} {
		s.Judged(judgeRecorded(t, s.Cases))
	}
	lots, err := accuracy.TraceLots(filepath.Join(*accuracyData, "delag-trainticket"))
	if err != nil {
		t.Fatal(err)
	}
	named := judgeTraceLots(t, lots)
	tickets := judgeTickets(t, filepath.Join(*accuracyData, "nezha-trainticket-slice"))
	logs, err := accuracy.NewCiDiffSection(filepath.Join(*accuracyData, "cidiff"))
	if err != nil {
		t.Fatal(err)
	}
	report := accuracy.Report([]accuracy.Section{delag.Section, shop.Section, pets.Section, accuracy.TraceSection(named), accuracy.TicketSection(tickets)})
	report += "\n" + logs.Markdown()
	if err := os.WriteFile(*accuracyDoc, []byte(report), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("written to %s", *accuracyDoc)
	for _, missed := range slices.Concat(accuracy.Missed(delag.Table, shop.Table, pets.Table), accuracy.MissedNames(named), accuracy.MissedTickets(tickets), logs.Missed()) {
		t.Error(missed)
	}
}

// sampleOfAccuracy judges a few cases, twice: two runs give the same answers.
func sampleOfAccuracy(t *testing.T) {
	folder := filepath.Join("..", "..", "testdata", "recordings")
	day, err := accuracy.ReadDay("2022-08-22", filepath.Join(folder, "nezha-onlineboutique"), "frontend.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	issue, err := accuracy.ReadIssue(filepath.Join(folder, "petshop"))
	if err != nil {
		t.Fatal(err)
	}
	cases := []accuracy.Recorded{issue.Recorded("petshop-issue")}
	want := map[string]string{
		"issue": "hold canary_telemetry_missing",
		"2022-08-22 05:01:13 exception checkoutservice": "rollback harm_shown",
		"2022-08-22 05:09:50 return checkoutservice":    "rollback harm_shown",
		"2022-08-22 06:09:19 placebo":                   "hold before_after_only",
		"2022-08-22 06:12:19 placebo":                   "hold before_after_only",
	}
	for _, c := range day.Recorded() {
		if want[c.Name] != "" {
			cases = append(cases, c)
		}
	}
	cases[0].Name = "issue"
	if len(cases) != len(want) {
		t.Fatalf("%d cases, want %d", len(cases), len(want))
	}
	first, again := judgeRecorded(t, cases), judgeRecorded(t, cases)
	for i, a := range first {
		if got := fmt.Sprint(a.Word, " ", a.Code); got != want[a.Name] {
			t.Errorf("%s: %s (%s), want %s", a.Name, got, a.Why, want[a.Name])
		}
		if again[i] != a {
			t.Errorf("%s: the first run says %+v, the second %+v", a.Name, a, again[i])
		}
	}
}

// judgeLots lets the library judge releases, on all processors. Answers come in the
// order of the lots.
func judgeLots(t *testing.T, lots []accuracy.Lot) []accuracy.Pair {
	t.Helper()
	out := make([]accuracy.Pair, len(lots))
	var next, done atomic.Int64
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
				if n := done.Add(1); n%500 == 0 {
					t.Logf("%d of %d releases judged", n, len(lots))
				}
			}
		})
	}
	if err := workers.Wait(); err != nil {
		t.Fatal(err)
	}
	return out
}

// judgeRecorded lets the line judge recorded releases in retrospect, from a Prometheus
// that holds what a scrape would have seen of them. Answers come in the order of the
// cases.
func judgeRecorded(t *testing.T, cases []accuracy.Recorded) []accuracy.Answer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recordings.txt")
	var series []accuracy.Series
	for _, c := range cases {
		series = append(series, c.Series...)
	}
	if err := accuracy.WriteOpenMetrics(file, series); err != nil {
		t.Fatal(err)
	}
	const source = "prometheus"
	prom := openPrometheus(t, backends.StartPrometheus(t, backends.PrometheusConfig{Backfill: []string{file}}).URL)
	ctx, dir := t.Context(), t.TempDir()
	db, err := store.Open(ctx, filepath.Join(dir, "assay.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	policies := map[string]analysis.Policy{}
	for _, c := range cases {
		policies[c.Service] = c.Policy(source)
	}
	runner, err := validation.Open(ctx, validation.Config{
		Store: db, Gatherer: gather.New(map[string]sources.Source{source: prom}, gather.Options{}), Dir: dir, Engine: "assay accuracy",
		Policy: func(r analysis.Release, _ string) validation.Policy {
			return validation.Policy{Policy: policies[r.Service]}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	accept(t, db, cases)
	told := time.Now()
	for {
		if err := runner.Advance(ctx, time.Now()); err != nil {
			t.Fatal(err)
		}
		open := runner.OpenCount()
		if open == 0 {
			break
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			t.Logf("%d of %d cases judged", len(cases)-open, len(cases))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("no end")
		}
	}
	out := make([]accuracy.Answer, len(cases))
	for i, c := range cases {
		v := answerOf(t, db, c)
		out[i] = accuracy.Answer{Case: c.Case, Word: v.Verdict, Code: v.ReasonCode, At: *v.AsOf, Why: v.Reason}
	}
	return out
}

// accept puts the deployments into the inbox, as events would.
func accept(t *testing.T, db *store.Store, cases []accuracy.Recorded) {
	t.Helper()
	batch := store.Batch{Now: time.Now()}
	for _, c := range cases {
		e := c.Event()
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

func answerOf(t *testing.T, db *store.Store, c accuracy.Recorded) (v verdicts.Verdict) {
	t.Helper()
	rows, err := db.ByDeployment(context.WithoutCancel(t.Context()), c.Event().DeploymentID)
	if err == nil && len(rows) != 1 {
		err = fmt.Errorf("%d validations", len(rows))
	}
	if err == nil {
		err = json.Unmarshal(rows[0].Latest, &v)
	}
	if err == nil && (!v.Final || v.AsOf == nil) {
		err = fmt.Errorf("not final: %s (%s)", v.Verdict, v.Reason)
	}
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return v
}
