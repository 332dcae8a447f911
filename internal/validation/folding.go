package validation

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"runtime/debug"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// take folds an answer and returns the validations that it ended.
func (r *Runner) take(a answer, now time.Time) ([]*run, error) {
	switch {
	case a.plan != nil:
		return r.takePlan(a.plan, now)
	case a.seen != nil:
		a.seen.v.asking--
		a.seen.v.seen = a.seen.text
		r.schedule(a.seen.v)
		return nil, nil
	}
	looks := r.looks(a, now)
	return r.fold(looks)
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
	for k, q := range a.questions {
		q.v.asking--
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
				continue
			}
			evidence = []analysis.Evidence{e}
		}
		l, ok := byRun[q.v]
		if !ok {
			l = &pendingLook{v: q.v, look: analysis.Look{Now: now, Steps: q.v.steps, Seen: q.v.seen}}
			byRun[q.v] = l
			looks = append(looks, l)
		}
		l.look.Evidence = append(l.look.Evidence, evidence...)
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
		}
		r.schedule(l.v)
	}
	return ended, failed
}

// foldOne appends the look to the spool and hands it to the judge. A panic or an
// error of the judge ends this validation with hold(analyzer_fault), never
// another one and never with a word to act on.
func (r *Runner) foldOne(l *pendingLook) (err error) {
	v := l.v
	err = r.judge(v, l.look)
	if err == nil {
		v.steps, v.seen = nil, ""
	}
	return err
}

// judge spools and judges one look.
func (r *Runner) judge(v *run, look analysis.Look) error {
	line, err := json.Marshal(look)
	if err != nil {
		return fmt.Errorf("validation %s: look: %w", v.row.ID, err)
	}
	if err := r.spools.append(v.row.ID, v.row.SpoolBytes, line); err != nil {
		return err
	}
	r.passed("spooled")
	verdict, fault := look1(v.judge, line)
	if fault != nil {
		r.Log.Error("the analyser failed, the validation ends with hold", "validation", v.row.ID, "error", fault)
		return r.endWithFault(v, look.Now, fault)
	}
	v.row.SpoolBytes += int64(len(line)) + 1
	v.row.Looks = v.judge.looks
	v.latest = verdict
	return nil
}

// look1 is Judge.Look with a panic turned into an error.
func look1(j *Judge, line []byte) (v verdicts.Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return j.Look(line)
}

// endWithFault replaces the look that the judge could not take by an end, judged
// by a fresh judge over what was spooled before it.
func (r *Runner) endWithFault(v *run, now time.Time, fault error) error {
	judge, err := NewJudge(v.plan)
	if err != nil {
		return err
	}
	if err := r.spools.truncate(v.row.ID, v.row.SpoolBytes); err != nil {
		return err
	}
	if _, err := r.spools.replay(v.row.ID, 0, func(line []byte) error { _, err := judge.Look(line); return err }); err != nil {
		return err
	}
	v.judge = judge
	reason := verdicts.Line("the analyser failed: " + fault.Error())
	return r.judgeEnd(v, now, analysis.AnalyzerFault, reason)
}

// judgeEnd spools and judges a look that ends the validation.
func (r *Runner) judgeEnd(v *run, now time.Time, code analysis.Code, reason string) error {
	line, err := json.Marshal(analysis.Look{Now: now, Steps: v.steps, Seen: v.seen, End: &analysis.End{Code: code, Reason: reason}})
	if err != nil {
		return err
	}
	if err := r.spools.append(v.row.ID, v.row.SpoolBytes, line); err != nil {
		return err
	}
	verdict, err := v.judge.Look(line)
	if err != nil {
		return err
	}
	v.row.SpoolBytes += int64(len(line)) + 1
	v.row.Looks, v.latest = v.judge.looks, verdict
	return nil
}

func verdictLine(err error) string {
	if err == nil {
		return ""
	}
	return verdicts.Line(err.Error())
}
