package validation

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// take folds an answer and returns the validations that it ended.
func (r *Runner) take(a answer, now time.Time) ([]*run, error) {
	switch {
	case a.plan != nil:
		return nil, r.takePlan(a.plan, now)
	case a.seen != nil:
		v := a.seen.v
		v.asking--
		v.seen = a.seen.text
		r.schedule(v)
		return nil, nil
	case a.fetched != nil:
		return nil, r.takeExemplars(a.fetched, now)
	}
	return r.fold(r.looks(a, now))
}

// pendingLook is a look on its way to its fold worker.
type pendingLook struct {
	v    *run
	look analysis.Look
	err  error
}

// looks gathers the evidence of an answer into one look per validation.
func (r *Runner) looks(a answer, now time.Time) []*pendingLook {
	byRun := map[*run]*pendingLook{}
	var looks []*pendingLook
	var waiting []question
	for k, q := range a.questions {
		q.v.asking--
		if q.v.dropped {
			continue
		}
		var evidence []analysis.Evidence
		switch {
		case q.objective < 0: // a plan without comparison: time has come
		case a.results == nil:
			evidence = q.v.unanswered(q.objective)
		default:
			e, ok := r.evidenceOf(q, a.results[k], now)
			if !ok {
				r.changed[q.v.row.ID] = q.v
				r.schedule(q.v)
				waiting = append(waiting, q)
				continue
			}
			evidence = []analysis.Evidence{e}
		}
		l, ok := byRun[q.v]
		if !ok {
			l = &pendingLook{v: q.v, look: analysis.Look{Now: now, Steps: q.v.steps, Seen: q.v.seen, Exemplars: q.v.exemplars}}
			byRun[q.v] = l
			looks = append(looks, l)
		}
		l.look.Evidence = append(l.look.Evidence, evidence...)
	}
	if len(waiting) > 0 { // one line for all: they may be thousands
		v, w := waiting[0].v, waiting[0].v.waits[waiting[0].objective]
		r.Log.Warn("source cannot answer, folds wait", "source", v.plan.Objectives[waiting[0].objective].Signal.Source,
			"folds", len(waiting), "first", v.row.ID, "again", w.until, "error", w.err)
	}
	return looks
}

// fold hands each look to the worker of its validation: one worker per CPU, and a
// validation always goes to the same one, so its state needs no lock.
func (r *Runner) fold(looks []*pendingLook) ([]*run, error) {
	shares := make([][]*pendingLook, r.workers)
	for _, l := range looks {
		h := fnv.New32a()
		h.Write([]byte(l.v.row.ID))
		k := int(h.Sum32() % uint32(r.workers))
		shares[k] = append(shares[k], l)
	}
	var workers sync.WaitGroup
	for _, share := range shares {
		if len(share) == 0 {
			continue
		}
		workers.Add(1)
		go func() {
			defer workers.Done()
			for _, l := range share {
				l.err = r.foldOne(l)
			}
		}()
	}
	workers.Wait()
	r.passed("folded")
	var ended []*run
	var failed error
	for _, l := range looks {
		if l.err != nil && failed == nil {
			failed = l.err
		}
		r.changed[l.v.row.ID] = l.v
		if l.v.latest.Final {
			ended = append(ended, l.v)
			continue
		}
		if l.err == nil {
			r.askSeen(l.v)
			r.askExemplars(l.v, l.look.Now)
		}
		r.schedule(l.v)
	}
	return ended, failed
}

// foldOne appends the look to the spool and hands it to the judge. A panic or an
// error of the judge ends this validation with hold(analyzer_fault), never
// another one and never with a word to act on.
func (r *Runner) foldOne(l *pendingLook) error {
	fault, err := r.look(l.v, l.look)
	if fault == nil || err != nil {
		return err
	}
	r.Log.Error("the analyser failed, the validation ends with hold", "validation", l.v.row.ID, "error", fault)
	return r.endWithFault(l.v, l.look.Now, fault)
}

// look spools a look and lets the judge take it. A fault is the judge's, an error
// the disk's.
func (r *Runner) look(v *run, look analysis.Look) (fault, err error) {
	line, err := json.Marshal(look)
	if err != nil { // a defect of this validation's evidence must not hold up the others
		return fmt.Errorf("validation %s: look: %w", v.row.ID, err), nil
	}
	if err := r.spools.append(v.row.ID, v.row.SpoolBytes, line); err != nil {
		v.templates = nil // it knows templates that this look would have told
		return nil, err
	}
	r.passed("spooled")
	slot := r.working.begin(v.row.ID, v.row.SpoolBytes)
	defer r.working.end(slot)
	r.taking(v.row.ID, v.row.SpoolBytes)
	verdict, fault := v.judge.safely(line)
	if fault != nil {
		return fault, nil
	}
	v.row.SpoolBytes += int64(len(line)) + 1
	v.row.Looks, v.latest = v.judge.looks, verdict
	v.steps, v.seen, v.exemplars = nil, "", nil
	return nil, nil
}

// maxFault bounds what a bundle keeps of a fault: its text and most of its stack.
const maxFault = 8 << 10

// endWithFault ends a validation that cannot be judged on. What was spooled stays
// its evidence, up to the look that the judge cannot take; where it cannot even judge
// by the plan, a plan that compares nothing takes its place.
func (r *Runner) endWithFault(v *run, now time.Time, fault error) error {
	v.fault = fault
	text := verdicts.Shorten("the analyser failed: "+fault.Error(), maxFault)
	for v.plan != nil {
		again, err := r.endOnEvidence(v, now, text)
		if again == nil || err != nil {
			return err
		}
		r.Log.Error("the analyser cannot judge by the plan", "validation", v.row.ID, "error", again)
		v.unplan()
	}
	if err := r.refuse(v, analysis.AnalyzerFault, verdicts.Line(text)); err != nil {
		return err
	}
	again, err := r.endOnEvidence(v, now, text)
	return errors.Join(again, err)
}

// endOnEvidence judges what was spooled again, as far as that goes, and ends the
// validation. A fault is the judge's, an error the disk's.
func (r *Runner) endOnEvidence(v *run, now time.Time, text string) (fault, err error) {
	fault = guarded(func() error {
		_, err := NewJudge(v.plan)
		return err
	})
	if fault != nil {
		return fault, nil
	}
	judge, length, err := r.refold(v)
	if err != nil {
		return nil, err
	}
	v.judge, v.latest = judge, judge.Verdict()
	v.row.SpoolBytes, v.row.Looks = length, judge.looks
	if v.latest.Final {
		return nil, nil
	}
	return r.look(v, analysis.Look{Now: now, Steps: v.steps, Seen: v.seen, End: &analysis.End{Code: analysis.AnalyzerFault, Reason: text}})
}

// refold judges all that was spooled with a fresh judge. A look that it cannot take
// is cut off, with all that follows.
func (r *Runner) refold(v *run) (*Judge, int64, error) {
	for {
		judge, err := NewJudge(v.plan)
		if err != nil {
			return nil, 0, err
		}
		length, err := r.replay(v.row.ID, 0, judge)
		var bad *badLook
		if !errors.As(err, &bad) {
			return judge, length, err
		}
		if err := r.spools.truncate(v.row.ID, bad.at); err != nil {
			return nil, 0, err
		}
	}
}

// lookLast is the look that ends a validation, whatever the evidence.
func (r *Runner) lookLast(v *run, now time.Time, code analysis.Code, reason string) error {
	fault, err := r.look(v, analysis.Look{Now: now, Steps: v.steps, Seen: v.seen, End: &analysis.End{Code: code, Reason: reason}})
	return errors.Join(fault, err)
}
