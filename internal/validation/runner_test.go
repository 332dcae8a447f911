package validation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

const scrape = 15 * time.Second

// world is a recording with two versions of checkout.
type world struct {
	baselineRate, canaryRate float64 // error rates
	rps                      float64 // of each of the 4 + 1 pods
	history, span            time.Duration
	silentFrom, silentTo     time.Duration // after the start, both arms
	noBaseline               bool          // the baseline stops at the start
	noCanary                 bool

	canaryShare, baselineShare   float64       // negative: no traffic after the start, the series stay as they are
	canarySilent, baselineSilent time.Duration // after the start no sample comes of the arm
}

func (w world) record(seed uint64) replay.Recording {
	rng := rand.New(rand.NewPCG(seed, 7))
	var rec replay.Recording
	pod := func(version string, i int, from, to time.Duration, rate, share float64, silent time.Duration) {
		began := start.Add(from)
		ok := replay.Series{Metric: "requests", Attributes: map[string]string{"code": "200"}}
		bad := replay.Series{Metric: "requests", Attributes: map[string]string{"code": "500"}}
		var nOK, nBad float64
		for at := from + scrape; at <= to; at += scrape {
			if share >= 0 || at <= 0 {
				n := distuv.Poisson{Lambda: w.rps * scrape.Seconds(), Src: rng}.Rand()
				x := distuv.Binomial{N: n, P: rate, Src: rng}.Rand()
				nOK, nBad = nOK+n-x, nBad+x
			}
			if silent > 0 && at > silent {
				continue
			}
			if w.silentTo > 0 && at > w.silentFrom && at <= w.silentTo {
				continue
			}
			ok.Samples = append(ok.Samples, analysis.Sample{T: start.Add(at), V: nOK})
			if nBad > 0 {
				bad.Samples = append(bad.Samples, analysis.Sample{T: start.Add(at), V: nBad})
			}
		}
		rec.Pods = append(rec.Pods, replay.Pod{
			Attributes: map[string]string{
				analysis.AttrService: "checkout", analysis.AttrVersion: version, analysis.AttrEnvironment: "prod",
				analysis.AttrPod: fmt.Sprintf("checkout-%s-%d", version, i),
			},
			Starts: []time.Time{began}, Series: []replay.Series{ok, bad},
		})
	}
	baselineEnd := w.span
	if w.noBaseline {
		baselineEnd = 0
	}
	for i := range 4 {
		pod("1.4.9", i, -w.history, baselineEnd, w.baselineRate, w.baselineShare, w.baselineSilent)
	}
	if !w.noCanary {
		pod("1.5.0", 0, max(0, -w.history), w.span, w.canaryRate, w.canaryShare, w.canarySilent)
	}
	return rec
}

func objective(target float64) analysis.Objective {
	return analysis.Objective{
		Name: "errors", Role: analysis.Critical, Target: target,
		Signal: analysis.Signal{
			Name: "errors", Source: "replay", Unit: "1", Shape: analysis.ShapeRatio,
			Bad:   &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpIn, Values: []string{"5xx"}}}},
			Total: &analysis.Selector{Metric: "requests"},
		},
	}
}

func policy() Policy {
	return Policy{Policy: analysis.Policy{
		Name: "test", Objectives: []analysis.Objective{objective(0.995)}, AlphaRollback: 0.01, AlphaPromote: 0.05,
		Window: analysis.Window{Warmup: analysis.Duration(3 * time.Minute), MinBake: analysis.Duration(5 * time.Minute), Deadline: analysis.Duration(20 * time.Minute), OnUnderpowered: analysis.WaitUnderpowered},
	}}
}

// bench is a runner over a recording, with a store of its own.
type bench struct {
	*Runner
	t         testing.TB
	dir       string
	source    sources.Source
	policy    func() Policy                     // nil: that of the function of the same name
	exemplars map[string]sources.ExemplarSource // nil: none
}

func newBench(t *testing.T, source sources.Source) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), source: source}
	b.open()
	t.Cleanup(func() { b.close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	st, err := store.Open(b.t.Context(), filepath.Join(b.dir, "assay.db"), start)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.Runner, err = Open(b.t.Context(), b.config(st)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) config(st *store.Store) Config {
	chosen := policy
	if b.policy != nil {
		chosen = b.policy
	}
	return Config{
		Store: st, Gatherer: gather.New(map[string]sources.Source{"replay": b.source}, gather.Options{Exemplars: b.exemplars}),
		Policy: func(analysis.Release, string) Policy { return chosen() }, Dir: b.dir, Engine: "test",
	}
}

func (b *bench) close() {
	if b.Runner != nil {
		b.Runner.Close()
		b.Store.Close()
		b.Runner = nil
	}
}

func (b *bench) deploy(e analysis.Event) {
	b.t.Helper()
	if _, err := b.Store.Accept(b.t.Context(), store.Batch{
		Deliveries: []store.Delivery{{Topic: store.TopicHTTP, Partition: store.PartitionHTTP, Raw: []byte("{}"), ContentHash: e.ID, Event: e}}, Now: start,
	}); err != nil {
		b.t.Fatal(err)
	}
}

func deployment(mode analysis.Mode) analysis.Event {
	return analysis.Event{
		Source: "/ci", ID: "d1", DeploymentID: "d1", Phase: analysis.PhaseStarted, Time: start, StartedAt: start, Mode: mode,
		Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9"},
	}
}

func (b *bench) advance(now time.Time) {
	b.t.Helper()
	if err := b.Advance(b.t.Context(), now); err != nil {
		b.t.Fatal(err)
	}
}

// verdict returns the newest verdict of the deployment.
func (b *bench) verdict() verdicts.Verdict {
	b.t.Helper()
	rows, err := b.Store.ByDeployment(b.t.Context(), "d1")
	if err != nil || len(rows) == 0 {
		b.t.Fatal(rows, err)
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(rows[0].Latest, &v); err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *bench) rejudged(v verdicts.Verdict) {
	b.t.Helper()
	if err := b.proved(v); err != nil {
		b.t.Fatal(err)
	}
}

// proved judges the bundle of a verdict again: nil where that gives the same bytes.
func (b *bench) proved(v verdicts.Verdict) error {
	sealed, err := bundle.Open(filepath.Join(b.Bundles(), v.Bundle))
	if err != nil {
		return err
	}
	defer sealed.Close()
	again, same, err := Rejudge(sealed)
	if err != nil || !same {
		return fmt.Errorf("rejudge: same %v, %w: %s instead of %s", same, err, again.Verdict, v.Verdict)
	}
	return nil
}

func mustReplay(t *testing.T, rec replay.Recording) sources.Source {
	t.Helper()
	s, err := replay.New(rec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVerdicts(t *testing.T) {
	steady := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}
	for name, c := range map[string]struct {
		change func(*world)
		word   verdicts.Word
		code   analysis.Code
	}{
		"healthy":     {func(*world) {}, verdicts.Promote, analysis.AllSafe},
		"regression":  {func(w *world) { w.canaryRate = .02 }, verdicts.Rollback, analysis.HarmShown},
		"outage":      {func(w *world) { w.silentFrom, w.silentTo = 2*time.Minute, time.Hour }, verdicts.Hold, analysis.TelemetryOutage},
		"no baseline": {func(w *world) { w.noBaseline = true }, verdicts.Hold, analysis.NoConcurrentBaseline},
	} {
		for _, mode := range []analysis.Mode{analysis.Live, analysis.Retrospective} {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				w := steady
				c.change(&w)
				b := newBench(t, mustReplay(t, w.record(1)))
				b.deploy(deployment(mode))
				if mode == analysis.Retrospective {
					b.advance(start.Add(24 * time.Hour))
				} else {
					for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(5 * time.Second) {
						b.advance(now)
					}
				}
				v := b.verdict()
				if v.Verdict != c.word || v.ReasonCode != c.code || !v.Final {
					t.Fatalf("%v %s (final %v): %s\nchecks %+v", v.Verdict, v.ReasonCode, v.Final, v.Reason, v.Checks)
				}
				if !v.Calibrated {
					t.Error("three hours of history, and not calibrated")
				}
				b.rejudged(v)
			})
		}
	}
}

// The past, judged at full speed, and the same deployment judged while it
// happened come to the same findings.
func TestRetrospectiveEqualsLive(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .004, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(3)
	var got [2][]byte
	for i, mode := range []analysis.Mode{analysis.Live, analysis.Retrospective} {
		b := newBench(t, mustReplay(t, rec))
		b.deploy(deployment(mode))
		if mode == analysis.Live {
			for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(time.Second) {
				b.advance(now)
			}
		} else {
			b.advance(start.Add(time.Hour))
		}
		v := b.verdict()
		if !v.Final {
			t.Fatal(mode, "not final")
		}
		got[i], _ = json.Marshal([]any{v.Verdict, v.ReasonCode, v.AsOf, v.Findings, v.Checks})
	}
	if !bytes.Equal(got[0], got[1]) {
		t.Errorf("live          %s\nretrospective %s", got[0], got[1])
	}
}

// flaky answers only outside an outage in now.
type flaky struct {
	sources.Source
	mu   sync.Mutex
	down bool
}

func (f *flaky) set(down bool) { f.mu.Lock(); f.down = down; f.mu.Unlock() }

func (f *flaky) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return analysis.Answer{}, &sources.Error{Kind: sources.Unavailable, Source: "replay", Op: "rows", Err: errors.New("connection refused")}
	}
	return f.Source.Rows(ctx, q)
}

// A source that is down for a while delays the verdict and changes nothing else.
func TestOutageOfTheSourceOnlyDelays(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)
	var got [2]verdicts.Verdict
	for i, outage := range []bool{false, true} {
		source := &flaky{Source: mustReplay(t, rec)}
		b := newBench(t, source)
		b.deploy(deployment(analysis.Live))
		for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(5 * time.Second) {
			since := now.Sub(start)
			source.set(outage && since > 2*time.Minute && since < 9*time.Minute)
			b.advance(now)
			if outage && since == 5*time.Minute {
				if v := b.verdict(); v.Verdict != verdicts.Pending || v.ReasonCode != analysis.SourceUnavailable || v.Advice != verdicts.Keep {
					t.Fatalf("during the outage: %v %s %s", v.Verdict, v.ReasonCode, v.Advice)
				}
			}
		}
		got[i] = b.verdict()
	}
	if got[0].Verdict != verdicts.Promote || got[1].Verdict != verdicts.Promote {
		t.Fatal(got[0].Verdict, got[1].Verdict, got[1].Reason)
	}
	if !got[1].AsOf.Equal(*got[0].AsOf) {
		t.Errorf("judged as of %v with the outage, %v without", got[1].AsOf, got[0].AsOf)
	}
	a, _ := json.Marshal(got[0].Findings)
	z, _ := json.Marshal(got[1].Findings)
	if !bytes.Equal(a, z) {
		t.Errorf("findings differ: %s %s", a, z)
	}
}

// A source that is down for the whole run ends in hold(telemetry_outage).
func TestSourceDownForEver(t *testing.T) {
	source := &flaky{Source: mustReplay(t, world{rps: 1, history: time.Hour, span: time.Hour}.record(1)), down: true}
	b := newBench(t, source)
	b.deploy(deployment(analysis.Live))
	for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(5 * time.Second) {
		b.advance(now)
	}
	if v := b.verdict(); v.Verdict != verdicts.Hold || v.ReasonCode != analysis.TelemetryOutage {
		t.Fatalf("%v %s: %s", v.Verdict, v.ReasonCode, v.Reason)
	}
	b.rejudged(b.verdict())
}

// A process that dies between any two looks goes on where it was, with the same
// verdict in the end.
func TestRestartAtEveryMinute(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .003, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(5)
	run := func(restarts bool) verdicts.Verdict {
		b := newBench(t, mustReplay(t, rec))
		b.deploy(deployment(analysis.Live))
		for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(5 * time.Second) {
			b.advance(now)
			if restarts && now.Second() == 30 {
				b.close()
				b.open()
			}
		}
		v := b.verdict()
		if !v.Final {
			t.Fatal("not final")
		}
		b.rejudged(v)
		return v
	}
	without, with := run(false), run(true)
	a, _ := json.Marshal(without)
	z, _ := json.Marshal(with)
	if !bytes.Equal(a, z) {
		t.Errorf("without restarts %s\nwith            %s", a, z)
	}
}

func TestSupersededExpiredCancelled(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)
	b := newBench(t, mustReplay(t, rec))
	b.deploy(deployment(analysis.Live))
	b.advance(start)
	newer := deployment(analysis.Live)
	newer.ID, newer.DeploymentID, newer.StartedAt = "d2", "d2", start.Add(time.Minute)
	b.deploy(newer)
	b.advance(start.Add(time.Minute))
	if v := b.verdict(); v.Verdict != verdicts.Hold || v.ReasonCode != analysis.Superseded {
		t.Fatalf("older deployment: %v %s", v.Verdict, v.ReasonCode)
	}
	b.rejudged(b.verdict())
	if err := b.Cancel(t.Context(), newer.Deployment(1).Validation(), "anna", start.Add(2*time.Minute)); err != nil {
		t.Fatal(err)
	}
	row, err := b.Store.Validation(t.Context(), newer.Deployment(1).Validation())
	if err != nil || row.Word != "hold" || !strings.Contains(string(row.Latest), "cancelled by anna") {
		t.Fatal(row.Word, string(row.Latest), err)
	}
	old := deployment(analysis.Live)
	old.ID, old.DeploymentID = "d3", "d3"
	b.deploy(old)
	b.advance(start.Add(48 * time.Hour))
	row, err = b.Store.Validation(t.Context(), old.Deployment(1).Validation())
	if err != nil || !strings.Contains(string(row.Latest), `"expired"`) {
		t.Fatal(string(row.Latest), err)
	}
	if err := b.Cancel(t.Context(), "nobody", "anna", start); !errors.Is(err, ErrNotOpen) {
		t.Error(err)
	}
}

// A starting event of an open deployment changes nothing; after the final verdict
// it is a new attempt, and the old verdict stays what it was.
func TestAttempts(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .02, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)
	b := newBench(t, mustReplay(t, rec))
	b.deploy(deployment(analysis.Retrospective))
	again := deployment(analysis.Retrospective)
	again.ID = "e2"
	b.deploy(again)
	b.advance(start.Add(time.Hour))
	rows, _ := b.Store.ByDeployment(t.Context(), "d1")
	if len(rows) != 1 {
		t.Fatalf("%d attempts", len(rows))
	}
	third := deployment(analysis.Retrospective)
	third.ID = "e3"
	b.deploy(third)
	b.advance(start.Add(2 * time.Hour))
	rows, _ = b.Store.ByDeployment(t.Context(), "d1")
	if len(rows) != 2 || rows[0].Deployment.Attempt != 2 || rows[1].Word != "rollback" {
		t.Fatalf("%d attempts, %+v", len(rows), rows)
	}
}

// Steps and ends of a deployment that is not there yet wait for it, and are buried
// when it does not come.
func TestOrphans(t *testing.T) {
	b := newBench(t, mustReplay(t, world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)))
	step := analysis.Event{
		Source: "/ci", ID: "s1", DeploymentID: "d1", Phase: analysis.PhaseStep, Time: start, Step: &analysis.Step{Index: 1, Total: 3, Weight: 0.2},
		Release: deployment("").Release,
	}
	b.deploy(step)
	lost := step
	lost.ID, lost.DeploymentID = "s2", "nobody"
	b.deploy(lost)
	b.advance(start)
	b.deploy(deployment(analysis.Live))
	b.advance(start.Add(time.Minute))
	b.advance(start.Add(time.Minute + 5*time.Second))
	rows, _ := b.Store.ByDeployment(t.Context(), "d1")
	if len(rows) != 1 || len(rows[0].Deployment.Steps) != 1 {
		t.Fatalf("%+v", rows)
	}
	b.advance(start.Add(11 * time.Minute))
	letters, err := b.Store.DeadLetters(t.Context(), 10, 0)
	if err != nil || len(letters) != 1 || letters[0].Reason != "orphan" || letters[0].EventID != "s2" {
		t.Fatal(letters, err)
	}
}

// Where nothing matches the event, the reason says what was seen instead.
func TestNothingSeenSaysWhatWas(t *testing.T) {
	b := newBench(t, mustReplay(t, world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)))
	e := deployment(analysis.Retrospective)
	e.Release.Version, e.Release.Environment = "9.9.9", "prod-eu1"
	b.deploy(e)
	b.advance(start.Add(time.Hour))
	v := b.verdict()
	if v.Verdict != verdicts.Hold || !strings.Contains(v.Reason, "1.4.9") || !strings.Contains(v.Reason, "prod-eu1") {
		t.Fatalf("%v %s: %s", v.Verdict, v.ReasonCode, v.Reason)
	}
}

// Telemetry that begins only after the event is judged all the same.
func TestPlansAgainWhenTelemetryBeginsLater(t *testing.T) {
	source := &late{Source: mustReplay(t, world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1))}
	b := newBench(t, source)
	e := deployment(analysis.Live)
	e.Release.PreviousVersion = ""
	b.deploy(e)
	b.advance(start)
	if v := b.verdict(); v.Verdict != verdicts.Pending || v.ReasonCode != analysis.NoBaseline {
		t.Fatalf("%v %s", v.Verdict, v.ReasonCode)
	}
	source.begun = true
	for now := start.Add(time.Minute); now.Before(start.Add(25 * time.Minute)); now = now.Add(15 * time.Second) {
		b.advance(now)
	}
	if v := b.verdict(); v.Verdict != verdicts.Promote || v.BaselineVersion != "1.4.9" {
		t.Fatalf("%v %s, baseline %q", v.Verdict, v.ReasonCode, v.BaselineVersion)
	}
}

// late hears of nothing until it has begun.
type late struct {
	sources.Source
	begun bool
}

func (l *late) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	if !l.begun {
		return nil, nil
	}
	return l.Source.Seen(ctx, q)
}

// Where nothing can be compared until the deadline, the answer is hold with the
// reason, never a word to act on.
func TestRefusedPlanHoldsAtTheDeadline(t *testing.T) {
	b := newBench(t, &late{Source: mustReplay(t, world{rps: 1, history: time.Hour, span: time.Hour}.record(1))})
	e := deployment(analysis.Live)
	e.Release.PreviousVersion = ""
	b.deploy(e)
	for now := start; now.Before(start.Add(21 * time.Minute)); now = now.Add(15 * time.Second) {
		b.advance(now)
	}
	v := b.verdict()
	if v.Verdict != verdicts.Hold || v.ReasonCode != analysis.NoBaseline || !v.Final {
		t.Fatalf("%v %s: %s", v.Verdict, v.ReasonCode, v.Reason)
	}
	b.rejudged(v)
}

// Where traffic cannot decide the margins, the first look says so, and which SLO
// would.
func TestUnderpoweredIsSaidAtOnce(t *testing.T) {
	b := newBench(t, mustReplay(t, world{baselineRate: .001, canaryRate: .001, rps: .5, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)))
	withoutSLO := policy()
	withoutSLO.Objectives = []analysis.Objective{objective(0)}
	b.Runner.Policy = func(analysis.Release, string) Policy { return withoutSLO }
	b.deploy(deployment(analysis.Live))
	for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(15 * time.Second) {
		b.advance(now)
		v := b.verdict()
		if v.ReasonCode != analysis.Underpowered && v.Verdict != verdicts.Hold {
			t.Fatalf("after %v: %v %s: %s", now.Sub(start), v.Verdict, v.ReasonCode, v.Reason)
		}
		if now.Equal(start) && (!strings.Contains(v.Reason, "target: 0.99") || !strings.Contains(v.Reason, "minutes")) {
			t.Fatalf("the first reason is %q", v.Reason)
		}
	}
	if v := b.verdict(); v.Verdict != verdicts.Hold {
		t.Fatalf("%v %s", v.Verdict, v.ReasonCode)
	}
}
