package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/verdicts"
)

//go:embed demo.yaml
var demoPolicy []byte

// demoStart is when the demo's deployments start, in the lab's time: fixed, so
// that the same seed gives the same output.
var demoStart = time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC)

func newDemo(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "See Assay judge nine releases of a simulated shop; nothing else needed",
		Long: `Demo starts everything inside one process: an embedded Kafka broker, the OTLP receiver,
the store and the line. A simulated shop pushes three hours of history and then deploys
a new version in nine worlds side by side, unpaced: a healthy release, an error
regression, a bad day of the environment, and a telemetry outage; then defects that metrics
do not show, but log lines, traces, or only a neighbour that fails on the canary's calls;
and healthy releases that word a line of INFO or of ERROR otherwise. A tenth, a canary that
is slow but fails nothing, is played on request. The bundles are kept.`,
		Example: "  assay demo\n  assay demo --scenario error-regression --seed 7\n  assay demo --json | jq '.scenarios[].verdict'",
		Args:    exactArgs(0, "no arguments"),
	}
	f := c.Flags()
	names := lab.Names()
	name := f.String("scenario", "", "play only this scenario: "+strings.Join(names, ", "))
	complete(c, "scenario", names...)
	seed := f.Uint64("seed", 1, "seed of the simulated shop; the same seed gives the same output")
	asJSON := f.Bool("json", false, "print one JSON object instead of the table")
	dir := f.String("dir", "assay-demo", "directory that keeps the bundles")
	quiet := f.BoolP("quiet", "q", false, "no progress")
	c.RunE = func(c *cobra.Command, _ []string) error {
		scenarios := append(lab.Scenarios(), lab.Streams()...)
		if *name != "" {
			one, err := lab.Find(*name)
			if err != nil {
				return usage(err)
			}
			scenarios = []lab.Scenario{one}
		}
		d := &demo{dir: filepath.Join(*dir, fmt.Sprintf("seed-%d", *seed)), seed: *seed, progress: progressOf(s, *quiet), overWire: true}
		results, err := d.play(c.Context(), scenarios)
		d.progress.end()
		if err != nil {
			return internal(err)
		}
		if *asJSON {
			err = json.NewEncoder(s.out).Encode(map[string]any{"scenarios": results})
		} else {
			err = d.show(s, results)
		}
		if err != nil {
			return err
		}
		for _, r := range results {
			if !slices.Contains(r.Expected, r.Verdict) {
				return internal(fmt.Errorf("scenario %s ended in %s, right would have been %s", r.Name, r.Verdict, strings.Join(r.Expected, " or ")))
			}
		}
		return nil
	}
	return c
}

// demoResult is one scenario of --json.
type demoResult struct {
	Name       string        `json:"name"`
	Expected   []string      `json:"expected"`
	Verdict    string        `json:"verdict"`
	ReasonCode analysis.Code `json:"reasonCode"`
	Reason     string        `json:"reason"`
	Seconds    float64       `json:"seconds"` // event time from the deployment to the verdict
	Bundle     string        `json:"bundle"`

	title      string
	deployment analysis.DeploymentID
}

// demo plays scenarios against a server of its own, in the lab's time.
type demo struct {
	dir      string
	seed     uint64
	policy   []byte // nil: the demo's
	progress *progress
	overWire bool // events through Kafka, telemetry through gRPC; else straight in, as the many-seeds test wants it

	server *server
	clock  atomic.Int64 // the lab's time in Unix nanoseconds
	shops  []*lab.Shop
	push   func(context.Context, telemetry) error

	explanations map[string]detail // by scenario, for the page that is shown
}

func (d *demo) now() time.Time { return time.Unix(0, d.clock.Load()).UTC() }

// play runs the scenarios side by side until all are judged.
func (d *demo) play(ctx context.Context, scenarios []lab.Scenario) (results []demoResult, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.clock.Store(demoStart.Add(-lab.HistorySpan).UnixNano())
	if err := d.open(ctx, scenarios); err != nil {
		return nil, err
	}
	running := make(chan error, 1)
	if d.overWire {
		go func() { running <- runAll(ctx, d.server.receive, d.server.consume) }()
	}
	defer func() {
		stop()
		if d.overWire {
			if failed := <-running; failed != nil && err == nil {
				err = failed
			}
		}
		d.server.close()
	}()
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	if err := d.history(ctx); err != nil {
		return nil, err
	}
	if err := d.deploy(ctx, scenarios); err != nil {
		return nil, err
	}
	if err := d.judge(ctx, scenarios); err != nil {
		return nil, err
	}
	return d.results(ctx, scenarios)
}

// open starts the parts in a fresh data directory; bundles of an earlier run with
// the same seed are replaced.
func (d *demo) open(ctx context.Context, scenarios []lab.Scenario) error {
	for _, old := range []string{"assay.db", "assay.db-wal", "assay.db-shm", "assay.db.lock", "spool", "bundles", "kafka"} {
		if err := os.RemoveAll(filepath.Join(d.dir, old)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	policy, text := filepath.Join(d.dir, "policy.yaml"), d.policy
	if text == nil {
		text = demoPolicy
	}
	if err := os.WriteFile(policy, text, 0o644); err != nil {
		return err
	}
	c := config.Defaults()
	c.DataDir, c.Policies = d.dir, []string{policy}
	c.Listeners.Kafka, c.Listeners.OTLP = "127.0.0.1:0", config.OTLPListeners{GRPC: "127.0.0.1:0", HTTP: config.Off}
	if !d.overWire {
		c.Listeners.Kafka = config.Off
	}
	var err error
	if d.server, err = openServer(ctx, c, slog.New(slog.DiscardHandler), d.now, unsynced); err != nil {
		return err
	}
	for _, s := range scenarios {
		d.shops = append(d.shops, lab.NewShop(s, d.seed, demoStart))
	}
	return nil
}

// step moves the lab's time on by one step and pushes what the shops export then.
func (d *demo) step(ctx context.Context) error {
	at := d.now().Add(lab.Step)
	d.clock.Store(at.UnixNano())
	told := telemetryOf(d.shops, at)
	if err := d.push(ctx, told); err != nil {
		return fmt.Errorf("push telemetry of %s: %w", at.Format(time.TimeOnly), err)
	}
	return nil
}

func (d *demo) history(ctx context.Context) error {
	for d.now().Before(demoStart) {
		if done := lab.HistorySpan - demoStart.Sub(d.now()); done%(15*time.Minute) == 0 {
			d.progress.say("history: %v of %v pushed", done, lab.HistorySpan)
		}
		if err := d.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// deploy publishes the deployment events and waits until intake has them.
func (d *demo) deploy(ctx context.Context, scenarios []lab.Scenario) error {
	for _, s := range scenarios {
		id := d.deployment(s)
		m, err := intake.Encode(analysis.Event{
			Source: "/demo", ID: string(id), Time: demoStart, StartedAt: demoStart, Phase: analysis.PhaseStarted, Mode: analysis.Live,
			DeploymentID: id, Strategy: "canary", Step: &analysis.Step{Weight: lab.Weight, At: demoStart},
			Release: analysis.Release{Environment: s.Environment(), Service: lab.Service, Version: lab.CanaryVersion, PreviousVersion: lab.BaselineVersion},
		})
		if err != nil {
			return err
		}
		if d.overWire {
			err = produce(ctx, d.server.broker.Config(), kafka.TopicDeployments, m)
		} else {
			header, body := m.HTTP()
			_, err = d.server.accept(ctx, header, body)
		}
		if err != nil {
			return err
		}
	}
	limit := time.Now().Add(20 * time.Second)
	for {
		rows, err := d.server.store.Unhandled(ctx, len(scenarios))
		if err != nil || len(rows) == len(scenarios) {
			return err
		}
		if time.Now().After(limit) {
			return errors.New("the deployment events did not come back from the embedded broker within 20 s")
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *demo) deployment(s lab.Scenario) analysis.DeploymentID {
	return analysis.DeploymentID(fmt.Sprintf("demo-%s-seed-%d", s.Name, d.seed))
}

// judge plays on until every scenario has its verdict.
func (d *demo) judge(ctx context.Context, scenarios []lab.Scenario) error {
	end := demoStart.Add(time.Hour)
	for {
		if err := d.server.advance(ctx, d.now()); err != nil {
			return err
		}
		if d.overWire {
			if _, err := d.server.deliver(ctx, d.now()); err != nil {
				return err
			}
		}
		open := d.server.runner.OpenCount()
		d.progress.say("minute %.0f after the deployment: %d of %d judged", d.now().Sub(demoStart).Truncate(time.Minute).Minutes(), len(scenarios)-open, len(scenarios))
		if open == 0 {
			return nil
		}
		if d.now().After(end) {
			return errors.New("not every scenario was judged within an hour of the lab's time")
		}
		if err := d.step(ctx); err != nil {
			return err
		}
	}
}

func (d *demo) results(ctx context.Context, scenarios []lab.Scenario) ([]demoResult, error) {
	var out []demoResult
	d.explanations = map[string]detail{}
	for _, s := range scenarios {
		v, plan, err := d.verdict(ctx, d.deployment(s))
		if err != nil {
			return nil, err
		}
		d.explanations[s.Name] = detail{Verdict: &v, Plan: plan}
		out = append(out, demoResult{
			Name: s.Name, Expected: s.Expected, Verdict: v.Verdict.String(), ReasonCode: v.ReasonCode, Reason: v.Reason,
			Seconds: v.IssuedAt.Sub(demoStart).Seconds(), Bundle: filepath.Join(d.server.runner.Bundles(), v.Bundle), title: s.Title, deployment: d.deployment(s),
		})
	}
	return out, nil
}

// verdict reads the newest verdict and plan of a deployment from the store.
func (d *demo) verdict(ctx context.Context, id analysis.DeploymentID) (v verdicts.Verdict, plan *analysis.Plan, err error) {
	rows, err := d.server.store.ByDeployment(ctx, id)
	if err != nil {
		return v, nil, err
	}
	if len(rows) == 0 {
		return v, nil, fmt.Errorf("deployment %s has no validation", id)
	}
	if err := json.Unmarshal(rows[0].Latest, &v); err != nil {
		return v, nil, err
	}
	plan = &analysis.Plan{}
	return v, plan, json.Unmarshal(rows[0].Plan, plan)
}

// show prints the table, the explanation of the rollback and what to do next.
func (d *demo) show(s streams, results []demoResult) error {
	fmt.Fprintf(s.out, "Releases of a simulated shop, judged by Assay (seed %d). Times are the shop's own.\n\n", d.seed)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SCENARIO\tVERDICT\tEXPECTED\tAFTER\tWHY")
	for _, r := range results {
		after := (time.Duration(r.Seconds) * time.Second).String()
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s: %s\n", r.title, strings.ToUpper(r.Verdict), strings.Join(r.Expected, " or "), after, r.ReasonCode, verdicts.Shorten(r.Reason, 90))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if r.Verdict != verdicts.Rollback.String() {
			continue
		}
		fmt.Fprintf(s.out, "\nThe rollback, as 'assay explain' tells it:\n\n")
		if err := explain(s.out, d.explanations[r.Name]); err != nil {
			return err
		}
		break
	}
	fmt.Fprintln(s.out, "\nThe evidence is kept:")
	for _, r := range results {
		fmt.Fprintf(s.out, "  %s\n", r.Bundle)
	}
	last := results[len(results)-1].Bundle
	for _, r := range results {
		if r.Verdict == verdicts.Rollback.String() {
			last = r.Bundle
		}
	}
	name := "assay"
	if filepath.Base(os.Args[0]) == name {
		name = os.Args[0]
	}
	_, err := fmt.Fprintf(s.out, `
Next:
  %[1]s rejudge %[2]s    # the same verdict, offline, byte for byte
  %[1]s serve    # then: assay emit, assay wait, assay explain
`, name, last)
	return err
}
