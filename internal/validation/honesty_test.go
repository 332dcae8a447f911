package validation

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

// A comparison of a version with itself proves nothing, however it comes about.
func TestSameVersionTwice(t *testing.T) {
	for name, change := range map[string]func(*analysis.Event){
		"same version": func(e *analysis.Event) { e.Release.PreviousVersion = e.Release.Version },
		"both select all": func(e *analysis.Event) {
			e.Canary, e.Baseline = map[string]string{analysis.AttrService: "checkout"}, map[string]string{analysis.AttrService: "checkout"}
		},
	} {
		b := newBench(t, mustReplay(t, healthy()))
		e := deployment(analysis.Live)
		change(&e)
		b.deploy(e)
		b.live(0, 25*time.Minute)
		if _, v := b.of("d1"); v.Verdict != verdicts.Hold || v.ReasonCode != analysis.SelectorOverlap {
			t.Errorf("%s: %v %s: %s", name, v.Verdict, v.ReasonCode, v.Reason)
		}
	}
}

// The event names versions that others run, or nobody.
func TestWrongVersions(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*analysis.Event)
		code   analysis.Code
	}{
		"baseline never seen": {func(e *analysis.Event) { e.Release.PreviousVersion = "1.4.8" }, analysis.NoConcurrentBaseline},
		"canary never seen":   {func(e *analysis.Event) { e.Release.Version = "1.6.0" }, analysis.CanaryTelemetryMissing},
		"canary selected by pod runs the baseline's version": {func(e *analysis.Event) {
			e.Canary = map[string]string{analysis.AttrPod: "checkout-1.4.9-0"}
			e.Baseline = map[string]string{analysis.AttrPod: "checkout-1.4.9-1"}
		}, analysis.IdentityMismatch},
		"swapped": {func(e *analysis.Event) {
			e.Canary = map[string]string{analysis.AttrVersion: "1.4.9"}
			e.Baseline = map[string]string{analysis.AttrVersion: "1.5.0"}
		}, analysis.IdentityMismatch},
		"another environment": {func(e *analysis.Event) { e.Release.Environment = "staging" }, analysis.NothingSeen},
		"an unknown policy":   {func(e *analysis.Event) { e.PolicyRef = "typo" }, analysis.NoObjectives},
	} {
		b := newBench(t, mustReplay(t, healthy()))
		b.Runner.Policy = func(_ analysis.Release, ref string) Policy {
			if ref != "" {
				return Policy{Policy: analysis.Policy{Name: ref}}
			}
			return policy()
		}
		e := deployment(analysis.Live)
		c.change(&e)
		b.deploy(e)
		b.live(0, 65*time.Minute)
		if _, v := b.of("d1"); v.Verdict != verdicts.Hold || v.ReasonCode != c.code {
			t.Errorf("%s: %v %s: %s; want %s", name, v.Verdict, v.ReasonCode, v.Reason, c.code)
		}
	}
}

// elsewhere adds a second environment in which the canary is fine while it fails
// in the first, and telemetry that begins only after the event.
func elsewhere(seed uint64) replay.Recording {
	bad := world{baselineRate: .001, canaryRate: .001, rps: 40, history: -time.Minute, span: 30 * time.Minute, noCanary: true}.record(seed)
	good := world{baselineRate: .001, canaryRate: .001, rps: 40, history: -time.Minute, span: 30 * time.Minute}.record(seed + 1)
	for i := range good.Pods {
		good.Pods[i].Attributes[analysis.AttrEnvironment] = "staging"
		good.Pods[i].Attributes[analysis.AttrPod] += "-staging"
	}
	bad.Pods = append(bad.Pods, good.Pods...)
	return bad
}

// Where nothing was heard of the service when the event came, it is not known what
// its telemetry carries: another environment must not be judged in its place.
func TestAnotherEnvironmentIsNotJudgedInItsPlace(t *testing.T) {
	b := newBench(t, mustReplay(t, elsewhere(1)))
	b.deploy(deployment(analysis.Live))
	b.live(0, 25*time.Minute)
	if _, v := b.of("d1"); v.Verdict == verdicts.Promote || v.Coverage.Canary.Exposure > 0 {
		t.Errorf("%v %s: %s; canary requests %v", v.Verdict, v.ReasonCode, v.Reason, v.Coverage.Canary.Exposure)
	}
}

// blind cannot say what it heard of.
type blind struct {
	sources.Source
	kind sources.Kind
}

func (b *blind) Seen(context.Context, analysis.SeenQuery) ([]analysis.Seen, error) {
	return nil, &sources.Error{Kind: b.kind, Source: "replay", Op: "seen", Err: errors.New("no\nidea " + strings.Repeat("at all ", 50))}
}

// A source that is down while the plan is made, or says no, delays it, up to the
// deadline.
func TestSourceDownWhilePlanning(t *testing.T) {
	for _, back := range []bool{false, true} {
		for kind, codes := range map[sources.Kind]struct{ pending, final analysis.Code }{
			sources.Unavailable: {analysis.SourceUnavailable, analysis.TelemetryOutage},
			sources.Rejected:    {analysis.SourceRejected, analysis.SourceRejected},
			sources.Malformed:   {analysis.MisconfiguredQuery, analysis.MisconfiguredQuery},
		} {
			replay := mustReplay(t, healthy())
			b := newBench(t, replay)
			b.source = &blind{replay, kind}
			b.close()
			b.open()
			b.deploy(deployment(analysis.Live))
			b.live(0, 10*time.Minute)
			b.wants("d1", verdicts.Pending, codes.pending)
			if _, v := b.of("d1"); strings.ContainsAny(v.Reason, "\n") || utf8.RuneCountInString(v.Reason) > verdicts.MaxReason {
				t.Errorf("reason %q", v.Reason)
			}
			if back {
				b.source = replay
				b.close()
				b.open()
			}
			b.live(10*time.Minute, 21*time.Minute)
			if _, v := b.of("d1"); back {
				b.wants("d1", verdicts.Promote, analysis.AllSafe)
				if !v.Calibrated {
					t.Error("not calibrated, although history was there when the plan was made")
				}
			} else {
				b.wants("d1", verdicts.Hold, codes.final)
				b.rejudged(v)
			}
		}
	}
}

// resting asks to be left alone for longer than a plan waits.
type resting struct{ sources.Source }

func (resting) Seen(context.Context, analysis.SeenQuery) ([]analysis.Seen, error) {
	return nil, &sources.Error{Kind: sources.Unavailable, Source: "replay", Op: "seen", RetryAfter: time.Hour, Err: errors.New("busy")}
}

// However long a source asks to be left alone, the answer comes in time.
func TestSourceAsksForRestWhilePlanning(t *testing.T) {
	b := newBench(t, resting{mustReplay(t, healthy())})
	b.deploy(deployment(analysis.Live))
	deadline := policy().Window.Deadline.D()
	b.live(70*time.Second, deadline-2*time.Minute) // asked every five minutes it would be late
	b.wants("d1", verdicts.Pending, analysis.SourceUnavailable)
	b.live(deadline-2*time.Minute, deadline+time.Minute)
	b.wants("d1", verdicts.Hold, analysis.TelemetryOutage)
}

// A policy that no plan can be made from ends in hold too.
func TestImpossiblePlanEnds(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	p := policy()
	p.Objectives[0].Margin = &analysis.Bound{Ratio: 1.01}
	b.Runner.Policy = func(analysis.Release, string) Policy { return p }
	b.deploy(deployment(analysis.Live))
	b.advance(start)
	b.wants("d1", verdicts.Pending, analysis.AnalyzerFault)
	b.live(15*time.Minute, 21*time.Minute)
	b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
}

// two is a bench with two sources, of 15 s and 60 s cadence, an objective at each.
func two(t *testing.T, fast, slow sources.Source, role analysis.Role) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), source: fast}
	b.open()
	t.Cleanup(b.close)
	b.Gatherer = gather.New(map[string]sources.Source{"replay": fast, "slow": slow}, gather.Options{})
	p := policy()
	second := objective(0.995)
	second.Name, second.Signal.Name, second.Signal.Source, second.Role = "minutes", "minutes", "slow", role
	p.Objectives = append(p.Objectives, second)
	b.Runner.Policy = func(analysis.Release, string) Policy { return p }
	return b
}

// thinned keeps every fourth sample.
func thinned(rec replay.Recording) replay.Recording {
	for i := range rec.Pods {
		for j := range rec.Pods[i].Series {
			s := &rec.Pods[i].Series[j]
			var kept []analysis.Sample
			for _, sample := range s.Samples {
				if sample.T.Second() == 0 {
					kept = append(kept, sample)
				}
			}
			s.Samples = kept
		}
	}
	return rec
}

// Two critical objectives on two sources: while one source is down the other goes
// on, and harm that it shows rolls back; a promote waits for both.
func TestOneOfTwoSourcesIsDown(t *testing.T) {
	for name, c := range map[string]struct {
		fastDown   bool
		canaryRate float64
		until      time.Duration // of the outage
		word       verdicts.Word
		code       analysis.Code
	}{
		"slow down for a while": {false, .001, 9 * time.Minute, verdicts.Promote, analysis.AllSafe},
		"fast down for a while": {true, .001, 9 * time.Minute, verdicts.Promote, analysis.AllSafe},
		"slow down for ever":    {false, .001, time.Hour, verdicts.Hold, analysis.TelemetryOutage},
		"fast down for ever":    {true, .001, time.Hour, verdicts.Hold, analysis.TelemetryOutage},

		"slow down for ever, harm in the fast": {false, .05, time.Hour, verdicts.Rollback, analysis.HarmShown},
		"fast down for ever, harm in the slow": {true, .05, time.Hour, verdicts.Rollback, analysis.HarmShown},
	} {
		t.Run(name, func(t *testing.T) {
			w := world{baselineRate: .001, canaryRate: c.canaryRate, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}
			fast, slow := &flaky{Source: mustReplay(t, w.record(1))}, &flaky{Source: mustReplay(t, thinned(w.record(2)))}
			down := slow
			if c.fastDown {
				down = fast
			}
			b := two(t, fast, slow, analysis.Critical)
			b.deploy(deployment(analysis.Live))
			for now := start; now.Before(start.Add(25 * time.Minute)); now = now.Add(5 * time.Second) {
				down.set(now.Sub(start) < c.until)
				b.advance(now)
				if _, v := b.of("d1"); now.Sub(start) < c.until && (v.Verdict == verdicts.Promote || v.Advice == verdicts.Increase) {
					t.Fatalf("after %v: %v, %s", now.Sub(start), v.Verdict, v.Advice)
				}
			}
			b.wants("d1", c.word, c.code)
			_, v := b.of("d1")
			if c.word == verdicts.Rollback && v.IssuedAt.After(start.Add(10*time.Minute)) {
				t.Errorf("rolled back only at %v", v.IssuedAt)
			}
			b.rejudged(v)
		})
	}
}

// A source that is down does not hide signs of harm that another has shown.
func TestOutageKeepsTheAdviceToReduce(t *testing.T) {
	v := &run{plan: &analysis.Plan{Objectives: make([]analysis.PlannedObjective, 1)}, waits: []wait{{err: errors.New("down")}}}
	for before, after := range map[verdicts.Advice]verdicts.Advice{
		verdicts.Reduce: verdicts.Reduce, verdicts.Keep: verdicts.Keep, verdicts.Increase: verdicts.Keep,
	} {
		v.latest.Advice = before
		if shown := v.shown(); shown.Advice != after || shown.ReasonCode != analysis.SourceUnavailable {
			t.Errorf("%s becomes %s (%s)", before, shown.Advice, shown.ReasonCode)
		}
	}
	v.latest.Final = true
	if shown := v.shown(); shown.ReasonCode != "" {
		t.Errorf("a final verdict is shown as %s", shown.ReasonCode)
	}
}

// Shares of 0 and 1 leave one arm without traffic.
func TestNoTrafficInOneArm(t *testing.T) {
	for name, change := range map[string]func(*world){
		"none to the canary":   func(w *world) { w.canaryShare = -1 },
		"none to the baseline": func(w *world) { w.baselineShare = -1 },
	} {
		for _, weight := range []float64{-1, 0, .2, 1} {
			w := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}
			change(&w)
			b := newBench(t, mustReplay(t, w.record(1)))
			e := deployment(analysis.Live)
			if weight >= 0 {
				e.Step = &analysis.Step{Weight: weight, At: start}
			}
			b.deploy(e)
			b.live(0, 25*time.Minute)
			_, v := b.of("d1")
			want := verdicts.Hold
			if weight == .2 && w.canaryShare < 0 {
				want = verdicts.Rollback // its pods live and serve nothing of the share that they should
			}
			if v.Verdict != want {
				t.Errorf("%s, weight %v: %v %s: %s", name, weight, v.Verdict, v.ReasonCode, v.Reason)
			}
			b.rejudged(v)
		}
	}
}

// One arm falls silent before the bake is over, and for good.
func TestSilence(t *testing.T) {
	for name, change := range map[string]func(*world){
		"canary":   func(w *world) { w.canarySilent = 4 * time.Minute },
		"baseline": func(w *world) { w.baselineSilent = 4 * time.Minute },
	} {
		w := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}
		change(&w)
		b := newBench(t, mustReplay(t, w.record(1)))
		b.deploy(deployment(analysis.Live))
		b.live(0, 25*time.Minute)
		if _, v := b.of("d1"); v.Verdict != verdicts.Hold {
			t.Errorf("%s: %v %s: %s", name, v.Verdict, v.ReasonCode, v.Reason)
		}
	}
}

// A deployment that starts in five minutes is accepted and judged from then on; a
// later one is quarantined.
func TestStartsInTheFuture(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	far := called(deployment(analysis.Live), "far")
	far.StartedAt = start.Add(time.Second)
	b.deploy(far)
	b.advance(start.Add(-5 * time.Minute))
	if rows, err := b.Store.ByDeployment(t.Context(), "far"); err != nil || len(rows) != 0 {
		t.Error(rows, err)
	}
	if l := b.letters(); len(l) != 1 || l[0] != "quarantined" {
		t.Error(l)
	}
	b.live(-4*time.Minute, 12*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
}

// The queries as the product saw them are kept once.
func TestRenderedIsKeptOnce(t *testing.T) {
	r := &Runner{}
	plan := &analysis.Plan{Deployment: analysis.Deployment{StartedAt: start}, Objectives: make([]analysis.PlannedObjective, 1)}
	v := &run{plan: plan, waits: make([]wait, 1)}
	first := analysis.FoldAt(start.Add(time.Second), time.Minute)
	for fold, want := range map[analysis.Fold]int{first: 1, first.Next(): 0} {
		plan.Deployment.StartedAt = start.Add(time.Second)
		e, ok := r.evidenceOf(question{v: v, fold: fold}, gather.Result{Evidence: analysis.Evidence{Rendered: []string{"sum(x)"}}}, start)
		if !ok || len(e.Rendered) != want {
			t.Errorf("fold %v: %d", fold, len(e.Rendered))
		}
	}
}

// The word that was written first stands, and is counted once.
func TestAnotherVerdictWasWrittenFirst(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	concluded := 0
	b.Runner.Concluded = func(verdicts.Verdict) { concluded++ }
	b.deploy(deployment(analysis.Live))
	b.live(0, 2*time.Minute)
	row, v := b.of("d1")
	v.Verdict, v.Final, v.ReasonCode, v.Seq = verdicts.Hold, true, analysis.Cancelled, 1
	v.IssuedAt = &start
	body, err := verdictBytes(v)
	if err != nil {
		t.Fatal(err)
	}
	final := store.Final{Validation: row.ID, Verdict: body, Word: "hold", Code: "cancelled", VerdictID: v.ID(), Seq: 1, IssuedAt: start, Audit: store.AuditEntry{At: start, Actor: "replica", Action: "verdict.issued"}}
	if _, err := b.Store.Apply(t.Context(), store.Change{Finals: []store.Final{final}, Now: start}); err != nil {
		t.Fatal(err)
	}
	b.live(2*time.Minute, 15*time.Minute)
	b.wants("d1", verdicts.Hold, analysis.Cancelled)
	if concluded != 0 || b.OpenCount() != 0 {
		t.Errorf("%d told of, %d open", concluded, b.OpenCount())
	}
}

// nonsense spoils a row of some folds, such that it counts more bad events than requests
// if it is not told how.
type nonsense struct {
	sources.Source
	from, to time.Duration
	spoil    func(*analysis.Row)
}

func (n *nonsense) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	a, err := n.Source.Rows(ctx, q)
	if at := q.Fold.End.Sub(start); at > n.from && at <= n.to && len(a.Rows) > 0 {
		if n.spoil == nil {
			a.Rows[0].Bad = a.Rows[0].Exposure + 1
		} else {
			n.spoil(&a.Rows[0])
		}
	}
	return a, err
}

// What the analysis refuses, and what no file can hold, is a missing fold too, and does
// not end the validation.
func TestImpossibleRowsEndNothing(t *testing.T) {
	for name, spoil := range map[string]func(*analysis.Row){
		"levels that add up to infinity": func(r *analysis.Row) { r.Level = math.Inf(1) },
		"more than can be counted":       func(r *analysis.Row) { r.Exposure = 1e16 },
		"more above a higher bound":      func(r *analysis.Row) { r.Above = []float64{1, 2} },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, &nonsense{mustReplay(t, healthy()), 2 * time.Minute, 2*time.Minute + 15*time.Second, spoil})
			b.deploy(deployment(analysis.Live))
			b.live(0, 25*time.Minute)
			b.wants("d1", verdicts.Promote, analysis.AllSafe)
		})
	}
}

// Counts that no ratio can have are no evidence and no fault of Assay: that fold is
// missing, and a query that always gives them is named.
func TestImpossibleCounts(t *testing.T) {
	b := newBench(t, &nonsense{mustReplay(t, healthy()), 2 * time.Minute, 2*time.Minute + 15*time.Second, nil})
	b.deploy(deployment(analysis.Live))
	b.live(0, 25*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
	b = newBench(t, &nonsense{mustReplay(t, healthy()), -time.Minute, time.Hour, nil})
	b.deploy(deployment(analysis.Live))
	b.live(0, 25*time.Minute)
	b.wants("d1", verdicts.Hold, analysis.MisconfiguredQuery)
	_, v := b.of("d1")
	b.rejudged(v)
}

// A verdict that cannot be made into a message is written all the same, and holds
// up no other.
func TestVerdictWithoutMessage(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.Runner.Message = func(verdicts.Verdict, []byte, analysis.Deployment) ([]store.OutboxMessage, error) {
		return nil, errors.New("too large")
	}
	b.deploy(deployment(analysis.Live))
	b.live(0, 12*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
}
