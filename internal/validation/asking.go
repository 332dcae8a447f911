package validation

import (
	"container/heap"
	"context"
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
)

// Back-off while a source cannot answer.
const (
	firstBackoff = time.Second
	maxBackoff   = 30 * time.Second
)

// never is later than any due time.
var never = time.Unix(1<<40, 0)

// question is one objective's fold under way.
type question struct {
	v         *run
	objective int
	fold      analysis.Fold
}

// answer is what a goroutine brings back: either to fold questions, or to a plan,
// or to what was seen instead.
type answer struct {
	questions []question
	results   []gather.Result
	plan      *planned
	seen      *seenAnswer
	fetched   *fetched
	more      bool // of the same asker
}

// nextDue is when v can next do something.
func (v *run) nextDue() time.Time {
	switch {
	case v.asking > 0, v.asleep, v.fault != nil:
		return never
	case v.judge == nil:
		return v.planning.until
	case v.latest.Final:
		return never
	case v.judge.ripe:
		return v.plan.Deployment.StartedAt
	}
	due := never
	for i := range v.plan.Objectives {
		if at := v.closes(i); at.Before(due) {
			due = at
		}
	}
	if due.Equal(never) { // no fold ends before the deadline, which alone is waited for
		due = v.plan.Deadline()
	}
	return due
}

// closes is when objective i's next fold can be asked for: its end and lateness,
// later while its source cannot answer; never once none is left before the
// deadline.
func (v *run) closes(i int) time.Time {
	fold, before := v.judge.State().Next(i)
	if !before {
		return never
	}
	at := fold.End.Add(v.plan.Objectives[i].Lateness.D())
	if w := v.waits[i].until; w.After(at) {
		at = w
		if end := v.giveUp(v.plan); end.Before(at) {
			at = end
		}
	}
	return at
}

// giveUp is when a plan waits no longer for a source: when its last fold closes; in
// retrospect, where that is over, the deadline's length after acceptance.
func (v *run) giveUp(plan *analysis.Plan) time.Time {
	end := plan.Deadline()
	if v.row.Deployment.Mode == analysis.Retrospective {
		end = later(end, v.row.AcceptedAt.Add(plan.Window.Deadline.D()))
	}
	for i := range plan.Objectives {
		end = later(end, plan.Deadline().Add(plan.Objectives[i].Lateness.D()))
	}
	return end
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// askDue makes all due validations go on: plans are begun, questions of folds are
// sent, one call a source, and what needs no answer is folded at once.
func (r *Runner) askDue(now time.Time) {
	bySource := map[string][]question{}
	var order []string
	var given []question
	for len(r.due) > 0 && !r.due[0].dueAt.After(now) {
		v := heap.Pop(&r.due).(*run)
		if v.judge == nil {
			v.asking++
			r.toPlan = append(r.toPlan, v)
			continue
		}
		due := v.dueFolds(now)
		if len(due) == 0 { // time has come, with nothing to ask
			given = append(given, question{v: v, objective: -1})
			v.asking++
		}
		for _, q := range due {
			if v.waits[q.objective].err != nil && !now.Before(v.giveUp(v.plan)) {
				given = append(given, q)
				v.asking++
				continue
			}
			source := v.plan.Objectives[q.objective].Signal.Source
			if _, ok := bySource[source]; !ok {
				order = append(order, source)
			}
			bySource[source] = append(bySource[source], q)
			v.asking++
		}
	}
	r.askPlans(now)
	for _, source := range order {
		r.ask(bySource[source])
	}
	if len(given) > 0 {
		r.answer(func(context.Context) answer { return answer{questions: given} })
	}
}

// dueFolds returns the next folds that can be asked for now: of the objectives
// that do not wait those whose fold ends first, so that objectives are folded in
// step, and those that have waited long enough.
func (v *run) dueFolds(now time.Time) []question {
	if v.judge.ripe {
		return nil
	}
	var out []question
	var first time.Time
	for i := range v.plan.Objectives {
		if v.waits[i].err == nil && !v.closes(i).After(now) {
			if f, _ := v.judge.State().Next(i); first.IsZero() || f.End.Before(first) {
				first = f.End
			}
		}
	}
	for i := range v.plan.Objectives {
		if v.closes(i).After(now) {
			continue
		}
		f, _ := v.judge.State().Next(i)
		if v.waits[i].err != nil || f.End.Equal(first) {
			out = append(out, question{v, i, f})
		}
	}
	return out
}

// ask sends questions to one source. Validations go on as they are answered, each
// with all that it asked.
func (r *Runner) ask(questions []question) {
	requests := make([]gather.Request, len(questions))
	for k, q := range questions {
		o := &q.v.plan.Objectives[q.objective]
		requests[k] = gather.Request{
			Validation: q.v.row.ID, Objective: o.Name, Query: q.v.plan.Query(o, q.fold),
			Cohorts: q.v.plan.Cohorts, DeployedAt: q.v.plan.Deployment.StartedAt,
		}
	}
	r.answer(func(ctx context.Context) answer {
		left := make(map[int]bool, len(questions))
		for i := range questions {
			left[i] = true
		}
		fault := guarded(func() error {
			r.Gatherer.Each(ctx, requests, func(answered []int, results []gather.Result) {
				those := make([]question, len(answered))
				for k, i := range answered {
					those[k] = questions[i]
					delete(left, i)
				}
				r.answers <- answer{questions: those, results: results, more: true}
			})
			return nil
		})
		return unasked(questions, left, fault)
	})
}

// unasked is the answer to what a fault of ours has left without one: that is no
// answer of the source, and it is asked again.
func unasked(questions []question, left map[int]bool, fault error) answer {
	var a answer
	for i, q := range questions {
		if left[i] && fault != nil {
			o := &q.v.plan.Objectives[q.objective]
			a.questions = append(a.questions, q)
			a.results = append(a.results, gather.Result{Err: &sources.Error{Kind: sources.Unavailable, Source: o.Signal.Source, Op: "rows", Err: fault}})
		}
	}
	return a
}

// answer runs f beside the line; its answer is taken by this Advance or a later one.
func (r *Runner) answer(f func(context.Context) answer) {
	r.outstanding++
	go func() { r.answers <- f(r.base) }()
}

// evidenceOf turns the result of a question into evidence, or into more patience
// (false): an unavailable source has not said that there is nothing.
func (r *Runner) evidenceOf(q question, res gather.Result, now time.Time) (analysis.Evidence, bool) {
	o := &q.v.plan.Objectives[q.objective]
	e := res.Evidence
	e.Objective, e.Fold, e.Source = o.Name, q.fold, o.Signal.Source
	if q.fold.Start.After(q.v.plan.Deployment.StartedAt) {
		e.Rendered = nil // as in the first fold but for the time
	}
	w, err := &q.v.waits[q.objective], res.Err
	if err == nil {
		err = impossible(o, e.Rows)
	}
	if err == nil {
		if err = q.v.list(o, &e, res.Listed); err != nil {
			e.Logs, e.Spans = nil, nil
			q.v.templates = nil // it knows templates that no look will tell
		}
	}
	switch {
	case err == nil:
		*w = wait{}
		return e, true
	case sources.KindOf(err) == sources.Unavailable:
		w.patience(now, err)
		return e, false
	case sources.KindOf(err) == sources.Rejected:
		e.Missing = analysis.SourceRejected
	default:
		e.Missing = analysis.MisconfiguredQuery
	}
	*w = wait{}
	e.Rows, e.Warnings = nil, append(e.Warnings, verdicts.Line(err.Error()))
	return e, true
}

// impossible returns what nothing can count: an answer that has it misunderstands
// the question, or the question its metrics.
func impossible(o *analysis.PlannedObjective, rows []analysis.ArmRow) error {
	err := analysis.Possible(rows)
	for i := range rows {
		if year := rows[i].PodStart.UTC().Year(); err == nil && (year < 1 || year > 9999) { // which no look can hold
			err = fmt.Errorf("pod %s began in the year %d", rows[i].Pod, year)
		}
	}
	if err != nil {
		return malformed(o, err)
	}
	return nil
}

// malformed is the error of an answer that nobody can have meant.
func malformed(o *analysis.PlannedObjective, err error) error {
	return &sources.Error{Kind: sources.Malformed, Source: o.Signal.Source, Op: "rows", Err: fmt.Errorf("%s: %w", o.Name, err)}
}

// unanswered is the evidence for everything that objective i still lacks before
// the deadline.
func (v *run) unanswered(i int) []analysis.Evidence {
	o := &v.plan.Objectives[i]
	var out []analysis.Evidence
	for fold, _ := v.judge.State().Next(i); !fold.End.After(v.plan.Deadline()); fold = fold.Next() {
		out = append(out, analysis.Evidence{
			Objective: o.Name, Fold: fold, Source: o.Signal.Source, Missing: analysis.SourceUnavailable,
		})
	}
	if len(out) > 0 {
		out[0].Warnings = []string{verdicts.Line(v.waits[i].err.Error())}
	}
	v.waits[i] = wait{}
	return out
}

// patience doubles the back-off, or waits as long as it was told to: by the source
// itself, or by internal/gather, which knows when the source will be probed next.
func (w *wait) patience(now time.Time, err error) {
	w.err = err
	w.backoff = min(maxBackoff, max(firstBackoff, 2*w.backoff))
	w.until = now.Add(w.backoff)
	if after := sources.RetryAfter(err); after > 0 {
		w.until = now.Add(min(after, 5*time.Minute))
	}
}
