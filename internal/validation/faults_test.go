package validation

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

// healthy is a world in which the canary is promoted after some minutes.
func healthy() replay.Recording {
	return world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)
}

// live advances from one instant to another, every 5 s.
func (b *bench) live(from, to time.Duration) {
	b.t.Helper()
	for now := start.Add(from); now.Before(start.Add(to)); now = now.Add(5 * time.Second) {
		b.advance(now)
	}
}

// of returns the newest validation of a deployment, and its verdict.
func (b *bench) of(id analysis.DeploymentID) (store.Validation, verdicts.Verdict) {
	b.t.Helper()
	rows, err := b.Store.ByDeployment(b.t.Context(), id)
	if err != nil || len(rows) == 0 {
		b.t.Fatal(id, rows, err)
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(rows[0].Latest, &v); err != nil {
		b.t.Fatal(err)
	}
	return rows[0], v
}

func (b *bench) wants(id analysis.DeploymentID, word verdicts.Word, code analysis.Code) {
	b.t.Helper()
	if _, v := b.of(id); v.Verdict != word || v.ReasonCode != code || v.Final != (word != verdicts.Pending) {
		b.t.Fatalf("deployment %s: %v %s (final %v): %s; want %v %s", id, v.Verdict, v.ReasonCode, v.Final, v.Reason, word, code)
	}
}

func (b *bench) letters() (reasons []string) {
	b.t.Helper()
	letters, err := b.Store.DeadLetters(b.t.Context(), 100, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, l := range letters {
		reasons = append(reasons, l.Reason)
	}
	return reasons
}

// event is a later event of deployment d1, minutes after its start.
func event(id string, phase analysis.Phase, minutes float64) analysis.Event {
	at := start.Add(time.Duration(minutes * float64(time.Minute)))
	return analysis.Event{Source: "/ci", ID: id, DeploymentID: "d1", Phase: phase, Time: at, StartedAt: at, Type: "test", Release: deployment("").Release}
}

func called(e analysis.Event, id string) analysis.Event {
	e.ID, e.DeploymentID = id, analysis.DeploymentID(id)
	return e
}

// refuseWrites lets every write to a table of the store fail, as a full disk would,
// until the function that it returns is called.
func (b *bench) refuseWrites(table string) (allow func()) {
	b.t.Helper()
	db, err := sql.Open("sqlite", b.Store.Path())
	if err != nil {
		b.t.Fatal(err)
	}
	exec := func(statement string) {
		if _, err := db.Exec(statement); err != nil {
			b.t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON "` + table + `" BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	return func() { exec(`DROP TRIGGER refuse`); db.Close() }
}

// A deployment whose time is over before anything could be measured ends with hold,
// and stands in nobody's way.
func TestDeadlineBeforeTheFirstFold(t *testing.T) {
	for _, mode := range []analysis.Mode{analysis.Live, analysis.Retrospective} {
		b := newBench(t, mustReplay(t, healthy()))
		e := deployment(mode)
		e.MaxDuration = analysis.Duration(10 * time.Second)
		b.deploy(e)
		b.advance(start)
		b.advance(start.Add(9 * time.Second))
		b.wants("d1", verdicts.Pending, analysis.Underpowered)
		b.close()
		b.open()
		b.advance(start.Add(11 * time.Second))
		_, v := b.of("d1")
		if v.Verdict != verdicts.Hold || !v.IssuedAt.Equal(start.Add(11*time.Second)) {
			t.Fatalf("%s: %v %s, issued at %v", mode, v.Verdict, v.ReasonCode, v.IssuedAt)
		}
		b.rejudged(v)
	}
}

// window.onUnderpowered: hold ends at once where traffic cannot decide, also when
// the process dies between the plan and the verdict.
func TestUnderpoweredMayEndAtOnce(t *testing.T) {
	for _, dies := range []bool{false, true} {
		b := newBench(t, mustReplay(t, world{baselineRate: .001, canaryRate: .001, rps: .5, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)))
		p := policy()
		p.Objectives = []analysis.Objective{objective(0)}
		p.Window.OnUnderpowered = analysis.HoldUnderpowered
		b.Runner.Policy = func(analysis.Release, string) Policy { return p }
		b.deploy(deployment(analysis.Live))
		if dies {
			b.dieAt("planned", func() { b.advance(start) })
		}
		b.advance(start.Add(time.Second))
		b.wants("d1", verdicts.Hold, analysis.Underpowered)
		_, v := b.of("d1")
		b.rejudged(v)
	}
}

// errDied is the panic of a simulated death of the process.
var errDied = errors.New("died")

// dieAt calls f, which ends when the line has passed the step, and starts anew from
// what is on the disk.
func (b *bench) dieAt(step string, f func()) {
	b.t.Helper()
	b.Runner.Passed = func(s string) {
		if s == step {
			panic(errDied)
		}
	}
	func() {
		defer func() {
			if p := recover(); p != errDied {
				b.t.Fatalf("step %q was not passed: %v", step, p)
			}
		}()
		f()
	}()
	b.close()
	b.open()
}

// A deployment in retrospect that is not over yet and has nothing to compare with is
// planned again, and not looked at again and again.
func TestRecentRetrospectiveWithoutBaseline(t *testing.T) {
	b := newBench(t, &late{Source: mustReplay(t, healthy())})
	e := deployment(analysis.Retrospective)
	e.Release.PreviousVersion = ""
	b.deploy(e)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := b.Advance(ctx, start.Add(time.Minute)); err != nil || ctx.Err() != nil {
		t.Fatal(err, ctx.Err())
	}
	b.wants("d1", verdicts.Pending, analysis.NoBaseline)
	b.advance(start.Add(21 * time.Minute))
	b.wants("d1", verdicts.Hold, analysis.NoBaseline)
	if row, _ := b.of("d1"); row.Looks != 1 {
		t.Errorf("%d looks", row.Looks)
	}
}

// gated answers only what it is let through.
type gated struct {
	sources.Source
	rows, seen chan struct{}
}

func pass(ctx context.Context, gate chan struct{}) {
	if gate == nil {
		return
	}
	select {
	case <-gate:
	case <-ctx.Done():
	}
}

func (g *gated) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	pass(ctx, g.rows)
	return g.Source.Rows(ctx, q)
}

func (g *gated) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	pass(ctx, g.seen)
	return g.Source.Seen(ctx, q)
}

// briefly advances with a context that ends before a gated source answers.
func (b *bench) briefly(now time.Time) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := b.Advance(ctx, now); err != nil {
		b.t.Fatal(err)
	}
}

// What was cancelled while a question was under way stays as it is when the answer
// comes: no further look, no spool, no plan.
func TestCancelledWhileAQuestionIsUnderWay(t *testing.T) {
	for _, planning := range []bool{true, false} {
		g := &gated{Source: mustReplay(t, healthy())}
		gate := make(chan struct{})
		if planning {
			g.seen = gate
		} else {
			g.rows = gate
		}
		b := newBench(t, g)
		b.deploy(deployment(analysis.Live))
		b.briefly(start)
		b.briefly(start.Add(2 * time.Minute))
		if b.outstanding != 1 {
			t.Fatalf("%d questions under way", b.outstanding)
		}
		if err := b.Cancel(t.Context(), deployment("").Deployment(1).Validation(), "anna", start.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		row, before := b.of("d1")
		close(gate)
		b.live(3*time.Minute, 4*time.Minute)
		again, after := b.of("d1")
		if !bytes.Equal(row.Latest, again.Latest) || !bytes.Equal(row.Plan, again.Plan) || before.ReasonCode != analysis.Cancelled {
			t.Errorf("%v %s, then %v %s", before.Verdict, before.ReasonCode, after.Verdict, after.ReasonCode)
		}
		if left, err := b.spools.ids(); err != nil || len(left) > 0 || b.OpenCount() != 0 || len(b.due) != 0 || len(b.changed) != 0 || len(b.unsealed) != 0 {
			t.Errorf("left behind: spools %v %v, %d open, %d due, %d changed, %d unsealed", left, err, b.OpenCount(), len(b.due), len(b.changed), len(b.unsealed))
		}
		b.rejudged(after)
	}
}

// Steps may come in while the plan is being made (the race detector looks at this).
func TestStepWhilePlanning(t *testing.T) {
	gate := make(chan struct{})
	b := newBench(t, &gated{Source: mustReplay(t, healthy()), seen: gate})
	b.deploy(deployment(analysis.Live))
	b.briefly(start)
	for i := range 3 {
		step := event("s"+string(rune('1'+i)), analysis.PhaseStep, float64(i)/10)
		step.Step = &analysis.Step{Index: i + 1, Total: 3, Weight: .2, At: step.Time}
		b.deploy(step)
		b.briefly(start.Add(time.Duration(i+1) * time.Second))
	}
	close(gate)
	b.live(time.Minute, 10*time.Minute)
	row, v := b.of("d1")
	if len(row.Deployment.Steps) != 3 || v.Weight == nil || *v.Weight != .2 {
		t.Errorf("%d steps, weight %v", len(row.Deployment.Steps), v.Weight)
	}
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
}

// A store that refuses a write for a while loses nothing and does nothing twice.
func TestStoreRefusesWrites(t *testing.T) {
	for _, table := range []string{"plan", "latest", "final", "checkpoint", "audit"} {
		t.Run(table, func(t *testing.T) {
			b := newBench(t, mustReplay(t, healthy()))
			concluded := 0
			b.Runner.Concluded = func(verdicts.Verdict) { concluded++ }
			b.Runner.Message = func(v verdicts.Verdict, body []byte, _ analysis.Deployment) ([]store.OutboxMessage, error) {
				return []store.OutboxMessage{{Sink: "test", MessageID: v.ID(), Payload: body}}, nil
			}
			b.deploy(deployment(analysis.Live))
			step := event("s1", analysis.PhaseStep, .05)
			step.Step = &analysis.Step{Weight: .2, At: step.Time}
			b.deploy(step)
			refused := 0
			for i, from := range []time.Duration{0, 30 * time.Second, 3 * time.Minute, 5 * time.Minute} {
				if i > 0 {
					b.live(from-time.Minute, from)
				}
				allow := b.refuseWrites(table)
				for now := start.Add(from); now.Before(start.Add(from + 30*time.Second + from/4)); now = now.Add(10 * time.Second) {
					if b.Advance(t.Context(), now) != nil {
						refused++
					}
				}
				allow()
			}
			b.live(7*time.Minute, 22*time.Minute)
			row, v := b.of("d1")
			if len(row.Deployment.Steps) != 1 {
				t.Errorf("%d steps", len(row.Deployment.Steps))
			}
			if concluded != 1 {
				t.Errorf("%d final verdicts were told of", concluded)
			}
			if refused == 0 && table != "checkpoint" { // written every ten minutes only
				t.Error("nothing was refused")
			}
			b.wants("d1", verdicts.Promote, analysis.AllSafe)
			b.rejudged(v)
		})
	}
}

// The process may die after any step: deployments that were superseded, aborted or
// too old are so afterwards, and there is one verdict of each.
func TestDiesAfterAnyStep(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .05, rps: 40, history: 3 * time.Hour, span: 30 * time.Minute}.record(1)
	for _, step := range []string{"opened", "accepted", "planned", "folded", "committed", "before final", "final", "sealed"} {
		for nth := 1; nth <= 3 || step == "opened" && nth <= 6; nth++ {
			t.Run(fmt.Sprint(step, " ", nth), func(t *testing.T) {
				b := newBench(t, mustReplay(t, rec))
				seen := 0
				arm := func() {
					b.Runner.Passed = func(s string) {
						if s == step {
							if seen++; seen == nth {
								panic(errDied)
							}
						}
					}
				}
				arm()
				events := map[time.Duration][]analysis.Event{}
				tell := func(at time.Duration, e analysis.Event) { events[at] = append(events[at], e) }
				tell(0, deployment(analysis.Live))
				newer := called(deployment(analysis.Live), "newer")
				newer.StartedAt = start.Add(30 * time.Second)
				tell(30*time.Second, newer)
				older := called(deployment(analysis.Live), "older")
				older.StartedAt = start.Add(-time.Minute)
				tell(40*time.Second, older)
				old := called(deployment(analysis.Live), "old")
				old.StartedAt, old.Release.Environment = start.Add(-25*time.Hour), "test"
				tell(40*time.Second, old)
				elsewhere := called(deployment(analysis.Live), "aborted")
				elsewhere.Release.Environment = "elsewhere"
				tell(0, elsewhere)
				abort := event("abort", analysis.PhaseAborted, .75)
				abort.DeploymentID, abort.Release.Environment = "aborted", "elsewhere"
				tell(45*time.Second, abort)
				for at := time.Duration(0); at < 15*time.Minute; at += 5 * time.Second {
					for _, e := range events[at] {
						b.deploy(e)
					}
					func() {
						defer func() {
							if p := recover(); p != nil {
								if p != errDied {
									panic(p)
								}
								b.close()
								b.open()
							}
						}()
						b.advance(start.Add(at))
					}()
				}
				for id, code := range map[analysis.DeploymentID]analysis.Code{"d1": analysis.Superseded, "older": analysis.Superseded, "old": analysis.Expired, "aborted": analysis.Cancelled} {
					b.wants(id, verdicts.Hold, code)
					_, v := b.of(id)
					b.rejudged(v)
				}
				b.wants("newer", verdicts.Rollback, analysis.HarmShown)
				_, v := b.of("newer")
				b.rejudged(v)
				if left, err := b.spools.ids(); err != nil || len(left) > 0 {
					t.Errorf("spools left: %v %v", left, err)
				}
				if l := b.letters(); len(l) > 0 {
					t.Errorf("dead letters: %v", l)
				}
			})
		}
	}
}

// Of two live deployments of one service the one that started later is judged,
// whichever comes first; of two that started at once the one that came later.
// Retrospective and shadow ones neither supersede nor are superseded.
func TestWhoSupersedesWhom(t *testing.T) {
	for _, c := range []struct {
		name       string
		modes      [2]analysis.Mode
		after      time.Duration // the second one's start after the first's
		superseded string
	}{
		{"in order", [2]analysis.Mode{analysis.Live, analysis.Live}, time.Second, "d1"},
		{"the newer came first", [2]analysis.Mode{analysis.Live, analysis.Live}, -time.Second, "d2"},
		{"at once", [2]analysis.Mode{analysis.Live, analysis.Live}, 0, "d1"},
		{"retrospective after live", [2]analysis.Mode{analysis.Live, analysis.Retrospective}, time.Second, ""},
		{"live after retrospective", [2]analysis.Mode{analysis.Retrospective, analysis.Live}, time.Second, ""},
		{"shadow after live", [2]analysis.Mode{analysis.Live, analysis.Shadow}, time.Second, ""},
		{"live after shadow", [2]analysis.Mode{analysis.Shadow, analysis.Live}, time.Second, ""},
	} {
		for _, restart := range []bool{false, true} {
			b := newBench(t, mustReplay(t, healthy()))
			b.deploy(deployment(c.modes[0]))
			second := called(deployment(c.modes[1]), "d2")
			second.StartedAt = start.Add(c.after)
			b.deploy(second)
			b.advance(start.Add(2 * time.Second))
			if restart {
				b.close()
				b.open()
				b.advance(start.Add(3 * time.Second))
			}
			for _, id := range []string{"d1", "d2"} {
				if _, v := b.of(analysis.DeploymentID(id)); v.Final != (id == c.superseded) {
					t.Errorf("%s (restart %v): %s is %v %s", c.name, restart, id, v.Verdict, v.ReasonCode)
				}
			}
		}
	}
}

// One deployment id may be used for several services: what is told of one does not
// touch the other.
func TestAbortOfOneServiceOnly(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	cart := deployment(analysis.Live)
	cart.ID, cart.Release.Service, cart.StartedAt = "e2", "cart", start.Add(time.Second)
	b.deploy(cart)
	b.advance(start.Add(time.Second))
	b.deploy(event("a1", analysis.PhaseAborted, .5))
	b.advance(start.Add(time.Minute))
	rows, err := b.Store.ByDeployment(t.Context(), "d1")
	if err != nil || len(rows) != 2 {
		t.Fatal(rows, err)
	}
	for _, row := range rows {
		if ended := row.Word == "hold"; ended != (row.Deployment.Release.Service == "checkout") {
			t.Errorf("%s: %s", row.Deployment.Release.Service, row.Word)
		}
	}
}

// A rollout goes on after its verdict. What it tells then is no orphan, and ends
// neither the next attempt nor the next deployment of the same artifact.
func TestEventsAfterTheVerdict(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .05, rps: 40, history: 3 * time.Hour, span: 40 * time.Minute}.record(1)
	b := newBench(t, mustReplay(t, rec))
	b.deploy(deployment(analysis.Live))
	b.live(0, 10*time.Minute)
	b.wants("d1", verdicts.Rollback, analysis.HarmShown)
	b.deploy(event("rolled back", analysis.PhaseAborted, 10))
	unnamed := event("told without an id", analysis.PhaseFinished, 10)
	unnamed.DeploymentID = ""
	b.deploy(unnamed)
	b.live(10*time.Minute, 11*time.Minute)
	again := deployment(analysis.Live)
	again.ID, again.StartedAt, again.Time = "e2", start.Add(11*time.Minute), start.Add(11*time.Minute)
	b.deploy(again)
	b.live(11*time.Minute, 12*time.Minute)
	if row, v := b.of("d1"); row.Deployment.Attempt != 2 || v.Final {
		t.Fatalf("attempt %d: %v %s: %s", row.Deployment.Attempt, v.Verdict, v.ReasonCode, v.Reason)
	}
	b.live(12*time.Minute, 25*time.Minute)
	b.wants("d1", verdicts.Rollback, analysis.HarmShown)
	if l := b.letters(); len(l) > 0 {
		t.Errorf("dead letters: %v", l)
	}
	b.deploy(event("really the second", analysis.PhaseAborted, 26))
	b.live(26*time.Minute, 40*time.Minute)
	if l := b.letters(); len(l) > 0 {
		t.Errorf("dead letters: %v", l)
	}
}

// A phase that this version does not know, in a store that a newer one has written,
// does not stop the line.
func TestUnknownPhase(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(event("p1", "paused", 0))
	b.deploy(deployment(analysis.Live))
	b.advance(start)
	b.wants("d1", verdicts.Pending, analysis.Collecting)
	if l := b.letters(); len(l) != 1 || l[0] != "unsupported_schema" {
		t.Errorf("dead letters: %v", l)
	}
}

// A bundle that cannot be written is written when it can.
func TestBundleIsSealedLater(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	if err := os.WriteFile(b.Bundles(), nil, 0o600); err != nil { // where the directory should be
		t.Fatal(err)
	}
	b.deploy(deployment(analysis.Retrospective))
	b.advance(start.Add(time.Hour))
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
	if err := os.Remove(b.Bundles()); err != nil {
		t.Fatal(err)
	}
	b.advance(start.Add(time.Hour + 2*sealAgain))
	_, v := b.of("d1")
	b.rejudged(v)
	if left, err := b.spools.ids(); err != nil || len(left) > 0 {
		t.Errorf("spools left: %v %v", left, err)
	}
}

// Only live verdicts go to sinks.
func TestOnlyLiveVerdictsFeedSinks(t *testing.T) {
	for mode, want := range map[analysis.Mode]int{analysis.Live: 1, "": 1, analysis.Shadow: 0, analysis.Retrospective: 0} {
		b := newBench(t, mustReplay(t, healthy()))
		b.Runner.Message = func(v verdicts.Verdict, body []byte, _ analysis.Deployment) ([]store.OutboxMessage, error) {
			return []store.OutboxMessage{{Sink: "test", MessageID: v.ID(), Payload: body}}, nil
		}
		b.deploy(deployment(mode))
		b.advance(start.Add(time.Hour))
		b.wants("d1", verdicts.Promote, analysis.AllSafe)
		pending, err := b.Store.PendingOutbox(t.Context(), "test", 10)
		if err != nil || len(pending) != want {
			t.Errorf("mode %q: %d messages, %v", mode, len(pending), err)
		}
	}
}

// Close ends what is under way and leaves no goroutine behind.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	b := newBench(t, &gated{Source: mustReplay(t, healthy()), rows: make(chan struct{})})
	b.deploy(deployment(analysis.Live))
	b.briefly(start.Add(2 * time.Minute))
	b.briefly(start.Add(3 * time.Minute))
	b.close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

// A sink that refuses one message for good does not keep those behind it; any other
// failure does, for the order is a promise.
func TestPublisherPassesOverWhatNobodyTakes(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	for _, id := range []string{"m1", "m2", "m3"} {
		if _, err := b.Store.Apply(t.Context(), store.Change{Outbox: []store.OutboxMessage{{Sink: "test", MessageID: id}}, Now: start}); err != nil {
			t.Fatal(err)
		}
	}
	sink := &picky{refuse: map[string]error{"m1": verdicts.Permanent(errors.New("too large")), "m2": errors.New("away")}}
	p := Publisher{Store: b.Store, Sinks: []verdicts.Sink{sink}}
	if n, err := p.Publish(t.Context(), start); n != 0 || err == nil || sink.calls.Load() != 2 {
		t.Errorf("%d sent, %v, %d calls", n, err, sink.calls.Load())
	}
	delete(sink.refuse, "m2")
	if n, err := p.Publish(t.Context(), start); n != 2 || err == nil {
		t.Errorf("%d sent, %v", n, err)
	}
	if left, err := b.Store.PendingOutbox(t.Context(), "test", 10); err != nil || len(left) != 1 || left[0].Attempts != 2 {
		t.Errorf("%+v %v", left, err)
	}
}

type picky struct {
	refuse map[string]error
	calls  atomic.Int64
}

func (p *picky) Name() string { return "test" }

func (p *picky) Publish(_ context.Context, m verdicts.Message) error {
	p.calls.Add(1)
	return p.refuse[m.ID]
}
