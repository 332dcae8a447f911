package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/internal/liar"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// deployedAt is when every canary is deployed, in the shop's time.
var deployedAt = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

const (
	deadline = 20 * time.Minute
	minBake  = 5 * time.Minute
	played   = deadline + 3*time.Minute // after the deployment
)

// next returns when the line is advanced next: every 5 s while much happens, then
// once a fold, just when it closes.
func next(now time.Time) time.Time {
	if now.Before(deployedAt.Add(5 * time.Minute)) {
		return now.Add(5 * time.Second)
	}
	return now.Truncate(lab.Step).Add(lab.Step + 10*time.Second)
}

// A line is Assay, as one process has it, judging one deployment.
type line struct {
	*validation.Runner
	store  *store.Store
	source sources.Source

	clock  atomic.Int64                                   // Unix nanoseconds
	step   func(ctx context.Context, now time.Time) error // before every advance
	obeyed func() []int
	close  []func() error
}

const sourceName = "telemetry"

// open starts a line whose telemetry comes as the fault says.
func open(ctx context.Context, dir string, f *fault, t *liar.Telemetry, script liar.Script) (l *line, err error) {
	l = &line{}
	l.clock.Store(deployedAt.UnixNano())
	defer func() {
		if err != nil {
			err = errors.Join(err, l.end())
		}
	}()
	if f.push {
		err = l.push(ctx, t, script)
	} else {
		err = l.pull(f, t, script)
	}
	if err != nil {
		return l, err
	}
	if l.store, err = store.Open(ctx, filepath.Join(dir, "assay.db"), deployedAt); err != nil {
		return l, err
	}
	l.close = append(l.close, l.store.Close)
	l.Runner, err = validation.Open(ctx, validation.Config{
		Store: l.store, Gatherer: gather.New(map[string]sources.Source{sourceName: l.source}, gather.Options{}), Dir: dir, Engine: "test",
		Policy: func(analysis.Release, string) validation.Policy { return validation.Policy{Policy: f.policy()} },
		Message: func(v verdicts.Verdict, body []byte, _ analysis.Deployment) ([]store.OutboxMessage, error) {
			return []store.OutboxMessage{{Sink: "test", MessageID: v.ID(), Payload: body}}, nil
		},
	})
	if err != nil {
		return l, err
	}
	l.close = append(l.close, func() error { l.Runner.Close(); return nil })
	return l, nil
}

// now is the line's time.
func (l *line) now() time.Time { return time.Unix(0, l.clock.Load()).UTC() }

// pull asks the lying server over a socket.
func (l *line) pull(f *fault, t *liar.Telemetry, script liar.Script) error {
	liar := liar.NewServer(t, script, l.now)
	server := httptest.NewServer(liar)
	c := prometheus.DefaultConfig()
	c.URL, c.Now = server.URL, l.now
	c.MaxBytes, c.MaxSeries = 1<<20, 1000 // small, so that to reach them is cheap
	if f.timeout > 0 {
		c.Timeout = analysis.Duration(f.timeout)
	}
	source, err := prometheus.Open(sourceName, c)
	if err != nil {
		server.Close()
		return err
	}
	l.source, l.obeyed = source, liar.Obeyed
	l.step = func(context.Context, time.Time) error { return nil }
	l.close = append(l.close, func() error { server.CloseClientConnections(); server.Close(); return nil }, source.Close)
	return nil
}

// push hands the source what the lying collector delivers, after the history.
func (l *line) push(ctx context.Context, t *liar.Telemetry, script liar.Script) error {
	source, err := otlp.New(otlp.Config{Name: sourceName})
	if err != nil {
		return err
	}
	if err := source.Track([]analysis.Signal{pushedErrors}); err != nil {
		return err
	}
	collector := liar.NewCollector(t, script)
	l.source, l.obeyed = source, collector.Obeyed
	l.step = func(ctx context.Context, now time.Time) error {
		for _, m := range collector.Until(now) {
			if _, err := source.Consume(ctx, m); err != nil {
				return err
			}
		}
		return nil
	}
	return l.step(ctx, deployedAt)
}

func (l *line) end() error {
	var errs []error
	for _, c := range slices.Backward(l.close) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// The signal, as each source knows it.
var (
	pulledErrors = analysis.Signal{
		Name: "errors", Source: sourceName, Unit: "1", Shape: analysis.ShapeRatio,
		Bad:   &analysis.Selector{Metric: liar.Requests, Conditions: []analysis.Condition{{Name: liar.StatusCode, Op: analysis.OpRegexp, Values: []string{"5.."}}}},
		Total: &analysis.Selector{Metric: liar.Requests},
	}
	pushedErrors = analysis.Signal{
		Name: "errors", Source: sourceName, Unit: "1", Shape: analysis.ShapeRatio,
		Bad: &analysis.Selector{Metric: "http.server.request.duration", Field: analysis.FieldCount, Conditions: []analysis.Condition{
			{Name: "http.response.status_code", Op: analysis.OpIn, Values: []string{"5xx"}},
		}},
		Total: &analysis.Selector{Metric: "http.server.request.duration", Field: analysis.FieldCount},
	}
)

func (f *fault) policy() analysis.Policy {
	signal := pulledErrors
	if f.push {
		signal = pushedErrors
	}
	return analysis.Policy{
		Name: "faults", AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		Objectives: []analysis.Objective{{Name: "errors", Role: analysis.Critical, Target: 0.995, Signal: signal}},
		Window: analysis.Window{
			Warmup: analysis.Duration(3 * time.Minute), MinBake: analysis.Duration(minBake), Deadline: analysis.Duration(deadline),
			OnUnderpowered: analysis.WaitUnderpowered,
		},
		Baseline: f.baseline, Canary: f.canary,
	}
}

const deployment analysis.DeploymentID = "d1"

// deploy hands in the event that starts the deployment.
func (l *line) deploy(ctx context.Context, f *fault, environment string) error {
	e := analysis.Event{
		Source: "/ci", ID: "d1", DeploymentID: deployment, Phase: analysis.PhaseStarted, Mode: analysis.Live, Strategy: "canary",
		Time: deployedAt, StartedAt: deployedAt,
		Release: analysis.Release{Environment: environment, Service: lab.Service, Version: lab.CanaryVersion, PreviousVersion: lab.BaselineVersion},
	}
	if !f.undeclared {
		e.Step = &analysis.Step{Weight: lab.Weight, At: deployedAt}
	}
	_, err := l.store.Accept(ctx, store.Batch{
		Deliveries: []store.Delivery{{Topic: store.TopicHTTP, Partition: store.PartitionHTTP, Raw: []byte("{}"), ContentHash: e.ID, Event: e}}, Now: deployedAt,
	})
	return err
}

// A run is how one deployment was judged.
type run struct {
	verdict verdicts.Verdict
	pending map[analysis.Code]bool // reasons of the pending answers before it
	body    []byte
	wrong   int // answers, series and samples that the script changed
}

// judge plays the shop until some time after the final verdict.
func (l *line) judge(ctx context.Context) (r run, err error) {
	r.pending = map[analysis.Code]bool{}
	left := 3 // advances after the final verdict, which must stay
	for now := deployedAt; !now.After(deployedAt.Add(played)) && left > 0; now = next(now) {
		l.clock.Store(now.UnixNano())
		if err := l.step(ctx, now); err != nil {
			return r, err
		}
		if err := l.Advance(ctx, now); err != nil {
			return r, err
		}
		if final := l.OpenCount() == 0; !final && now.Second()%15 != 10 {
			continue
		}
		v, body, err := l.latest(ctx)
		if err != nil {
			return r, err
		}
		switch {
		case r.body != nil && !bytes.Equal(r.body, body):
			return r, fmt.Errorf("the final verdict changed from %s to %s", r.body, body)
		case v.Final:
			r.verdict, r.body = v, body
			left--
		default:
			r.pending[v.ReasonCode] = true
		}
	}
	return r, nil
}

func (l *line) latest(ctx context.Context) (v verdicts.Verdict, body []byte, err error) {
	rows, err := l.store.ByDeployment(ctx, deployment)
	if err != nil || len(rows) != 1 {
		return v, nil, fmt.Errorf("%d validations of one deployment: %w", len(rows), err)
	}
	return v, rows[0].Latest, json.Unmarshal(rows[0].Latest, &v)
}

// invariants checks what must hold after every run, whatever the fault.
func (l *line) invariants(ctx context.Context, r run) error {
	if r.body == nil {
		return fmt.Errorf("no final verdict %v after the deadline; pending with %v", played-deadline, r.pending)
	}
	v := r.verdict
	final, ok, err := l.store.FinalVerdict(ctx, analysis.ValidationID(v.ValidationID))
	if err != nil || !ok || !bytes.Equal(final, r.body) {
		return fmt.Errorf("the stored final verdict is %s (%v, %w), answered was %s", final, ok, err, r.body)
	}
	outbox, err := l.store.PendingOutbox(ctx, "test", 10)
	if err != nil || len(outbox) != 1 || !bytes.Equal(outbox[0].Payload, r.body) {
		return fmt.Errorf("%d messages are published, want the one verdict (%w)", len(outbox), err)
	}
	if err := rejudged(filepath.Join(l.Bundles(), v.Bundle), v); err != nil {
		return err
	}
	if err := l.store.VerifyAudit(ctx); err != nil {
		return err
	}
	c := v.Checks
	switch v.Verdict {
	case verdicts.Promote:
		for _, check := range []analysis.Check{c.Harm, c.Safety, c.Coverage, c.Identity, c.Serving, c.Environment} {
			if check.State != analysis.Good && check.State != analysis.NotRequired {
				return fmt.Errorf("promoted with %+v", check)
			}
		}
	case verdicts.Rollback:
		if c.Harm.State != analysis.Bad && c.Serving.State != analysis.Bad || c.Identity.State != analysis.Good {
			return fmt.Errorf("rolled back with harm %+v, serving %+v, identity %+v", c.Harm, c.Serving, c.Identity)
		}
	}
	return nil
}

// rejudged judges the bundle again, offline.
func rejudged(path string, v verdicts.Verdict) error {
	sealed, err := bundle.Open(path)
	if err != nil {
		return err
	}
	defer sealed.Close()
	again, same, err := validation.Rejudge(sealed)
	if err == nil && !same {
		err = fmt.Errorf("it comes out as %v %s", again.Verdict, again.ReasonCode)
	}
	if err != nil {
		return fmt.Errorf("judge the bundle again (%v %s): %w", v.Verdict, v.ReasonCode, err)
	}
	return nil
}

// play runs one fault in one world.
func (f *fault) play(t *testing.T, world *liar.Telemetry, script liar.Script) run {
	t.Helper()
	ctx := t.Context()
	l, err := open(ctx, t.TempDir(), f, world, script)
	if err != nil {
		t.Fatal(err)
	}
	defer l.end()
	if err := l.deploy(ctx, f, world.Environment); err != nil {
		t.Fatal(err)
	}
	r, err := l.judge(ctx)
	if err == nil {
		err = l.invariants(ctx, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range l.obeyed() {
		r.wrong += n
		if n == 0 {
			t.Fatalf("rule %d (%s) was never obeyed: the fault did not happen", k+1, script[k].Do)
		}
	}
	return r
}
