package validation

import (
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"time"

	"github.com/release-assay/assay/analysis"
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

	open map[analysis.ValidationID]*run
	due  dueHeap

	base        context.Context // of questions, which may outlive one Advance
	stop        context.CancelFunc
	answers     chan answer
	outstanding int
	changed     map[analysis.ValidationID]*run
	resumed     bool                           // events of an earlier process may be half applied
	unsealed    map[analysis.ValidationID]wait // final, and the bundle could not be written
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
	checkpoint time.Time // asOf of the last one
	seenAsked  time.Time // asOf when it was last asked what was seen instead
	seen       string
	dueAt      time.Time
	index      int // in the heap, -1: not in it
	latest     verdicts.Verdict
	fault      error // what keeps a resumed validation from being judged on
	dropped    bool  // it has its final verdict; answers still under way are not for it
}

// wait is the patience with a source that cannot answer.
type wait struct {
	until   time.Time // in now; zero: not waiting
	backoff time.Duration
	err     error
}

// Open returns a runner that has resumed every open validation of the store.
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
		open: map[analysis.ValidationID]*run{}, base: base, stop: stop,
		answers: make(chan answer), changed: map[analysis.ValidationID]*run{},
		resumed: true, unsealed: map[analysis.ValidationID]wait{},
	}
	rows, err := c.Store.OpenValidations(ctx)
	if err != nil {
		stop()
		return nil, err
	}
	for _, row := range rows {
		v, err := r.resume(ctx, row)
		if err != nil {
			stop()
			return nil, err
		}
		r.add(v)
	}
	if err := r.findUnsealed(ctx); err != nil {
		stop()
		return nil, err
	}
	return r, nil
}

// Close ends the questions under way and waits for them.
func (r *Runner) Close() {
	r.stop()
	for r.outstanding > 0 {
		<-r.answers
		r.outstanding--
	}
}

// Bundles is the directory of sealed bundles.
func (r *Runner) Bundles() string { return r.bundles }

// OpenCount is the number of validations without a final verdict.
func (r *Runner) OpenCount() int { return len(r.open) }

// Advance brings every validation as far as it can come by now: it goes on until
// nothing is due, or until all that is left waits for a source. What a slow source
// has not answered when ctx ends is collected by a later call. An error is about
// the store or the disk: nothing is lost, call again.
func (r *Runner) Advance(ctx context.Context, now time.Time) error {
	// The end of ctx is the end of patience with sources, never of a write.
	durable := context.WithoutCancel(ctx)
	if err := r.finish(durable, now); err != nil {
		return err
	}
	if err := r.takeEvents(durable, now); err != nil {
		return fmt.Errorf("events: %w", err)
	}
	for {
		r.askPlans(now)
		r.askFolds(now)
		if r.outstanding == 0 {
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

// await returns the next answer, or false when ctx ends first.
func (r *Runner) await(ctx context.Context) (answer, bool) {
	select {
	case a := <-r.answers:
		r.outstanding--
		return a, true
	case <-ctx.Done():
		return answer{}, false
	}
}

// resume rebuilds a validation from the store and its spool. What this version
// cannot judge on is no reason to refuse to start: it is a fault of that validation.
func (r *Runner) resume(ctx context.Context, row store.Validation) (*run, error) {
	v := &run{row: row, index: -1}
	v.latest = waitingVerdict(row.Deployment, analysis.Planning, accepted)
	if row.Plan == nil {
		return v, nil
	}
	var plan analysis.Plan
	if err := json.Unmarshal(row.Plan, &plan); err != nil {
		v.fault = fmt.Errorf("plan: %w", err)
		return v, nil
	}
	judge, err := NewJudge(&plan)
	if err != nil {
		v.fault = err
		return v, nil
	}
	v.start(&plan, judge)
	from, err := r.restore(ctx, v)
	if err != nil {
		return nil, err
	}
	length, err := r.spools.replay(row.ID, from, v.judge.again)
	var bad *badLook
	if errors.As(err, &bad) {
		v.fault = bad
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	v.row.SpoolBytes, v.row.Looks, v.latest = length, v.judge.looks, v.judge.Verdict()
	v.steps = stepsSince(row.Deployment, &plan, v.judge)
	return v, nil
}

// restore starts from the checkpoint, where there is one that the spool still
// covers, and returns the byte from which the spool is folded again.
func (r *Runner) restore(ctx context.Context, v *run) (int64, error) {
	c, err := r.Store.Checkpoint(ctx, v.row.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && c.SpoolBytes > r.spools.size(v.row.ID) {
		return 0, nil // none, or the disk lost what it rests on: fold everything again
	}
	if err != nil {
		return 0, err
	}
	judge, err := restoreJudge(v.plan, c.Snapshot)
	if err != nil {
		r.Log.Warn("checkpoint is not usable, folding the spool again", "validation", v.row.ID, "error", err)
		return 0, nil
	}
	v.judge, v.checkpoint = judge, judge.State().AsOf()
	return c.SpoolBytes, nil
}

// stepsSince are the ramp steps of the deployment that neither the plan nor a look
// has told the judge yet.
func stepsSince(d analysis.Deployment, plan *analysis.Plan, j *Judge) []analysis.Step {
	known := len(plan.Deployment.Steps) + j.State().Steps()
	if known >= len(d.Steps) {
		return nil
	}
	return d.Steps[known:]
}

// start gives a validation its plan and its judge.
func (v *run) start(plan *analysis.Plan, judge *Judge) {
	v.plan, v.judge, v.waits = plan, judge, make([]wait, len(plan.Objectives))
	v.row.Phase, v.latest, v.checkpoint = store.PhaseJudging, judge.Verdict(), plan.Deployment.StartedAt
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

// add puts a validation under the runner's care.
func (r *Runner) add(v *run) {
	r.open[v.row.ID] = v
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
	delete(r.open, v.row.ID)
	delete(r.changed, v.row.ID)
	v.dropped = true
	if v.index >= 0 {
		heap.Remove(&r.due, v.index)
	}
}

// dueHeap orders validations by when they are due, then by id.
type dueHeap []*run

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if !h[i].dueAt.Equal(h[j].dueAt) {
		return h[i].dueAt.Before(h[j].dueAt)
	}
	return h[i].row.ID < h[j].row.ID
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
