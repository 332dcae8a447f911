package validation

import (
	"container/heap"
	"context"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/sources"
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
}

// nextDue is when v can next do something.
func (v *run) nextDue() time.Time {
	switch {
	case v.asking > 0:
		return never
	case v.judge == nil:
		return never // askPlans looks after it
	case v.latest.Final:
		return never
	}
	due := never
	for i := range v.plan.Objectives {
		if at := v.closes(i); at.Before(due) {
			due = at
		}
	}
	if len(v.plan.Objectives) == 0 {
		due = v.giveUp()
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
		if end := v.giveUp(); end.Before(at) {
			at = end
		}
	}
	return at
}

// giveUp is when what is still unanswered becomes missing: when the last fold
// closes, live; the deadline's length after acceptance, in retrospect. A plan
// without comparison ends then too: a retrospective one at once.
func (v *run) giveUp() time.Time {
	if v.row.Deployment.Mode == analysis.Retrospective {
		if len(v.plan.Objectives) == 0 {
			return v.row.AcceptedAt
		}
		return v.row.AcceptedAt.Add(v.plan.Window.Deadline.D())
	}
	end := v.plan.Deadline()
	for i := range v.plan.Objectives {
		if last := v.plan.Deadline().Add(v.plan.Objectives[i].Lateness.D()); last.After(end) {
			end = last
		}
	}
	return end
}

// askFolds sends the questions of all due validations, one call a source, and
// folds at once what needs no answer.
func (r *Runner) askFolds(now time.Time) {
	bySource := map[string][]question{}
	var order []string
	var given []question
	for len(r.due) > 0 && !r.due[0].dueAt.After(now) {
		v := heap.Pop(&r.due).(*run)
		for _, q := range v.dueFolds(now) {
			if v.waits[q.objective].err != nil && !now.Before(v.giveUp()) {
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
		if len(v.plan.Objectives) == 0 {
			given = append(given, question{v: v, objective: -1})
			v.asking++
		}
		if v.asking == 0 {
			r.schedule(v)
		}
	}
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

// ask sends questions to one source.
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
		return answer{questions: questions, results: r.Gatherer.Rows(ctx, requests)}
	})
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
	w := &q.v.waits[q.objective]
	if res.Err == nil {
		*w = wait{}
		return e, true
	}
	switch sources.KindOf(res.Err) {
	case sources.Unavailable:
		w.patience(now, res.Err)
		r.Log.Warn("source cannot answer, the fold waits", "validation", q.v.row.ID, "objective", o.Name, "fold", q.fold.End, "again", w.until, "error", res.Err)
		return e, false
	case sources.Rejected:
		e.Missing = analysis.SourceRejected
	default:
		e.Missing = analysis.MisconfiguredQuery
	}
	*w = wait{}
	e.Rows, e.Warnings = nil, append(e.Warnings, verdictLine(res.Err))
	return e, true
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
		out[0].Warnings = []string{verdictLine(v.waits[i].err)}
	}
	v.waits[i] = wait{}
	return out
}

// patience doubles the back-off, honouring what the source asked for.
func (w *wait) patience(now time.Time, err error) {
	w.err = err
	w.backoff = min(maxBackoff, max(firstBackoff, 2*w.backoff))
	w.until = now.Add(w.backoff)
	if after := sources.RetryAfter(err); after > w.backoff {
		w.until = now.Add(min(after, 5*time.Minute))
	}
}
