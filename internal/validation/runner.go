package validation

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// Config is what a Runner needs.
type Config struct {
	Store    *store.Store
	Gatherer *gather.Gatherer
	// Policy returns how releases of a service are compared, and the signals that
	// the built-in plan may choose from, per source.
	Policy func(release analysis.Release, policyRef string) Policy
	Dir    string // spools and bundles live below it
	// Message returns the outbox rows of a final verdict. It may be called again for
	// the same verdict.
	Message func(v verdicts.Verdict, body []byte, d analysis.Deployment) ([]store.OutboxMessage, error)
	// Concluded is told of every final verdict that was written, once. May be nil.
	Concluded func(v verdicts.Verdict)
	Log       *slog.Logger
	// Engine names this version of Assay in bundles.
	Engine string
	// Passed is called when a step of the line is done, with its name; tests kill
	// the process there. Nil in production.
	Passed func(step string)
}

// Policy is a policy, or the built-in candidates of which planning keeps the
// objectives that the service's telemetry knows.
type Policy struct {
	analysis.Policy
	// Candidates are set for the built-in plan: an objective for each built-in
	// signal, of which those that were seen are judged.
	Candidates bool
}

// A Runner drives every open validation. Its methods must not be called
// concurrently with each other.
type Runner struct {
	Config
	spools  spools
	bundles string
	workers int
	working *working

	last time.Time // now of the last Advance

	open   map[analysis.ValidationID]*run
	places map[place][]*run // the open ones of each service
	due    dueHeap
	asleep []*run // left by an earlier process and not resumed yet, in the order of acceptance
	toPlan []*run // in this order, when there is room

	base        context.Context // of questions, which may outlive one Advance
	stop        context.CancelFunc
	answers     chan answer
	outstanding int
	fetches     int  // of exemplars under way
	planning    int  // plans being made
	alone       bool // the plan that is being made is of a suspect
	changed     map[analysis.ValidationID]*run
	unsealed    map[analysis.ValidationID]wait // final, and the bundle could not be written, or waits for exemplars
	sealing     map[analysis.ValidationID]*sealing
}

// run is one open validation.
type run struct {
	row        store.Validation
	plan       *analysis.Plan // nil while planning
	judge      *Judge
	waits      []wait // one per objective
	planning   wait
	asking     int // questions under way
	steps      []analysis.Step
	checkpoint []time.Time // up to where each objective was folded at the last one
	seenAsked  time.Time   // asOf when it was last asked what was seen instead
	seen       string
	exemplars  []analysis.Exemplar  // that came since the last look
	wanted     map[string]time.Time // when the exemplars of these keys were last asked for
	templates  *logdiff.Tree        // of the plan and of what was mined since; nil until lines are asked for
	dueAt      time.Time
	index      int // in the heap, -1: not in it
	latest     verdicts.Verdict
	asleep     bool  // open in the store, and not resumed yet
	fault      error // what keeps a resumed validation from being judged on
	dropped    bool  // it has its final verdict; answers still under way are not for it
}

// wait is the patience with a source that cannot answer.
type wait struct {
	until   time.Time // in now; zero: not waiting
	backoff time.Duration
	err     error
}

// Open returns a runner that knows every open validation of the store. They are
// resumed by Advance, a thousand at a time, so that the first goes on before the
// last has been read.
func Open(ctx context.Context, c Config) (*Runner, error) {
	sp, err := openSpools(filepath.Join(c.Dir, "spool"))
	if err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	base, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &Runner{
		Config: c, spools: sp, bundles: filepath.Join(c.Dir, "bundles"), workers: runtime.GOMAXPROCS(0),
		open: map[analysis.ValidationID]*run{}, places: map[place][]*run{}, base: base, stop: stop,
		answers: make(chan answer, answersAhead), changed: map[analysis.ValidationID]*run{},
		unsealed: map[analysis.ValidationID]wait{}, sealing: map[analysis.ValidationID]*sealing{},
	}
	var underWay map[analysis.ValidationID]int64
	if r.working, underWay, err = openWorking(filepath.Join(c.Dir, "working")); err != nil {
		stop()
		return nil, err
	}
	if err := r.findOpen(ctx, underWay); err != nil {
		stop()
		return nil, errors.Join(err, r.working.close())
	}
	return r, nil
}

// Close ends the questions under way and waits for them.
func (r *Runner) Close() {
	r.stop()
	for r.outstanding > 0 {
		r.took(<-r.answers)
	}
	_ = r.working.close() // what it held is done
}

// Bundles is the directory of sealed bundles.
func (r *Runner) Bundles() string { return r.bundles }

// OpenCount is the number of validations without a final verdict.
func (r *Runner) OpenCount() int { return len(r.open) }

// Advance brings every validation as far as it can come by now: it goes on until
// nothing is due, or until all that is left waits for a source. What a slow source
// has not answered when ctx ends is collected by a later call. An error is about
// the store or the disk: nothing is lost, call again; after [store.ErrIO] only in a
// new process. now may go back: what was folded stays, and nothing is folded twice.
// It must not run ahead: a fold that closes before its time has no data yet.
func (r *Runner) Advance(ctx context.Context, now time.Time) error {
	r.turnBack(now)
	err := r.advance(ctx, now)
	if errors.Is(err, store.ErrFull) { // of a spool: with the reserve, the next call can go on
		err = errors.Join(err, r.Store.Spend(context.WithoutCancel(ctx)))
	}
	return err
}

func (r *Runner) advance(ctx context.Context, now time.Time) error {
	// The end of ctx is the end of patience with sources, never of a write.
	durable := context.WithoutCancel(ctx)
	r.Gatherer.Advance(now)
	if err := r.finish(durable, now); err != nil {
		return err
	}
	if err := r.takeEvents(durable, now); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	for {
		if err := r.wake(durable, now); err != nil {
			return fmt.Errorf("resume: %w", err)
		}
		r.askDue(now)
		if r.outstanding == 0 && len(r.asleep) == 0 {
			break
		}
		a, ok := r.await(ctx)
		if !ok {
			break
		}
		ended, err := r.take(a, now)
		if err == nil {
			err = r.conclude(durable, ended, store.Change{Now: now})
		}
		if err != nil {
			return err
		}
	}
	return r.commit(durable, now)
}

// await returns the next answer, or false when ctx ends first. While there is
// somebody to wake it does not wait: an empty answer is what is there.
func (r *Runner) await(ctx context.Context) (answer, bool) {
	if len(r.asleep) > 0 && len(r.answers) == 0 {
		return answer{more: true}, ctx.Err() == nil
	}
	select {
	case a := <-r.answers:
		return r.took(a), true
	case <-ctx.Done():
		return answer{}, false
	}
}

// took notes that an answer has come.
func (r *Runner) took(a answer) answer {
	if !a.more {
		r.outstanding--
	}
	return a
}

// answersAhead is how many answers may come while others are folded.
const answersAhead = 64

// start gives a validation its plan and its judge.
func (v *run) start(plan *analysis.Plan, judge *Judge) {
	v.plan, v.judge, v.waits = plan, judge, make([]wait, len(plan.Objectives))
	v.row.Phase, v.latest, v.checkpoint = store.PhaseJudging, judge.Verdict(), judge.folded()
}

// unplan takes back a plan that is not committed.
func (v *run) unplan() {
	v.plan, v.judge, v.waits, v.row.Plan = nil, nil, nil, nil
	v.row.Phase, v.latest = store.PhasePlanning, waitingVerdict(v.row.Deployment, analysis.Planning, accepted)
}

func (r *Runner) passed(step string) {
	if r.Passed != nil {
		r.Passed(step)
	}
}

// A place is where validations may concern each other: a service in an environment.
type place struct{ environment, service string }

func placeOf(release analysis.Release) place { return place{release.Environment, release.Service} }

// add puts a validation under the runner's care.
func (r *Runner) add(v *run) {
	at := placeOf(v.row.Deployment.Release)
	r.open[v.row.ID] = v
	r.places[at] = append(r.places[at], v)
	r.schedule(v)
}

// schedule works out when v is due next.
func (r *Runner) schedule(v *run) {
	due := v.nextDue()
	if v.index >= 0 {
		v.dueAt = due
		heap.Fix(&r.due, v.index)
		return
	}
	v.dueAt = due
	heap.Push(&r.due, v)
}

// drop takes a validation out of the runner's care.
func (r *Runner) drop(v *run) {
	at := placeOf(v.row.Deployment.Release)
	if r.places[at] = slices.DeleteFunc(r.places[at], func(w *run) bool { return w == v }); len(r.places[at]) == 0 {
		delete(r.places, at)
	}
	delete(r.open, v.row.ID)
	delete(r.changed, v.row.ID)
	v.dropped = true
	if v.index >= 0 {
		heap.Remove(&r.due, v.index)
	}
}

// dueHeap orders validations by when they are due, then by when they came.
type dueHeap []*run

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if !h[i].dueAt.Equal(h[j].dueAt) {
		return h[i].dueAt.Before(h[j].dueAt)
	}
	return h[i].row.InboxID < h[j].row.InboxID
}

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	v := x.(*run)
	v.index = len(*h)
	*h = append(*h, v)
}

func (h *dueHeap) Pop() any {
	old := *h
	v := old[len(old)-1]
	*h = old[:len(old)-1]
	v.index = -1
	return v
}
