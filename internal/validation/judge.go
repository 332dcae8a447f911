package validation

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// actWithin is how long after it was issued a final verdict may be acted on.
const actWithin = 24 * time.Hour

// concludedSeq is the sequence number of the concluded record of a validation;
// pending answers are not records and carry 0.
const concludedSeq = 1

// A Judge is the pure step of the straight line: it takes the looks of one
// validation in, line by line as the spool and the bundle hold them, and answers
// with a verdict after each. The live service and rejudge run this very code, so
// they give the same bytes.
type Judge struct {
	plan       *analysis.Plan
	planDigest string
	state      *analysis.State
	evidence   *bundle.EvidenceDigest // of the look lines so far
	looks      int64
	verdict    verdicts.Verdict
	ripe       bool                // the next look is final, whatever it holds: the plan alone decides
	exemplars  []analysis.Exemplar // that looks told of; nothing is decided by them
}

// NewJudge returns the judge of a plan that has seen nothing.
func NewJudge(plan *analysis.Plan) (*Judge, error) {
	digest, err := plan.Digest()
	if err != nil {
		return nil, fmt.Errorf("plan of %s: %w", plan.Validation, err)
	}
	state, err := analysis.NewState(plan)
	if err != nil {
		return nil, fmt.Errorf("plan of %s: %w", plan.Validation, err)
	}
	j := &Judge{plan: plan, planDigest: digest, state: state, evidence: bundle.NewEvidenceDigest()}
	j.verdict = j.decide(nil)
	return j, nil
}

// Verdict returns the answer after the last look.
func (j *Judge) Verdict() verdicts.Verdict { return j.verdict }

// State returns what was learned so far.
func (j *Judge) State() *analysis.State { return j.state }

// folded is up to where each objective is folded.
func (j *Judge) folded() []time.Time {
	out := make([]time.Time, len(j.plan.Objectives))
	for i := range out {
		next, _ := j.state.Next(i)
		out[i] = next.Start
	}
	return out
}

// Plan returns the plan that is judged by.
func (j *Judge) Plan() *analysis.Plan { return j.plan }

// Look folds one look, given as its line without the line end, and decides. After
// a final verdict there is nothing to look at any more: an error.
func (j *Judge) Look(line []byte) (verdicts.Verdict, error) {
	if j.verdict.Final {
		return j.verdict, fmt.Errorf("validation %s: a look after the final verdict", j.plan.Validation)
	}
	var look analysis.Look
	if err := json.Unmarshal(line, &look); err != nil {
		return j.verdict, fmt.Errorf("validation %s, look %d: %w", j.plan.Validation, j.looks+1, err)
	}
	for _, s := range look.Steps {
		j.state.Step(s)
	}
	if look.Seen != "" {
		j.state.Heard(look.Seen)
	}
	for i := range look.Evidence {
		if err := j.state.Fold(&look.Evidence[i]); err != nil {
			return j.verdict, fmt.Errorf("validation %s, look %d: %w", j.plan.Validation, j.looks+1, err)
		}
	}
	j.exemplars = append(j.exemplars, look.Exemplars...)
	j.evidence.Write(append(line[:len(line):len(line)], '\n'))
	j.looks++
	j.verdict = j.decide(&look)
	return j.verdict, nil
}

// has reports whether a look told of a trace for the given key.
func (j *Judge) has(key string) bool {
	return slices.ContainsFunc(j.exemplars, func(e analysis.Exemplar) bool { return e.For == key })
}

// again takes a look that was spooled before.
func (j *Judge) again(line []byte) error {
	_, err := j.safely(line)
	return err
}

// safely is Look with a panic turned into an error, after which the judge is of no
// further use.
func (j *Judge) safely(line []byte) (v verdicts.Verdict, err error) {
	err = guarded(func() error {
		v, err = j.Look(line)
		return err
	})
	return v, err
}

// decide assesses, checks and decides as of the look. Between looks (nil) nothing is
// final: a verdict is issued by a look, at its time.
func (j *Judge) decide(look *analysis.Look) verdicts.Verdict {
	j.state.Assess()
	checks := j.state.Checks()
	asOf := j.asOf(look)
	findings := j.state.Describe()
	d := verdicts.Weigh(verdicts.Decide(j.plan, checks, nil, asOf), findings)
	j.ripe = look == nil && d.Final()
	switch {
	case j.ripe:
		d.Word = verdicts.Pending
	case look != nil && look.End != nil:
		d = verdicts.Decision{Word: verdicts.Hold, Code: look.End.Code, Reason: verdicts.Line(look.End.Reason), Advice: verdicts.Keep, Rule: "ended"}
	}
	v := verdicts.New(j.plan, d, findings)
	v.Checks, v.AsOf, v.PlanDigest = checks, &asOf, j.planDigest
	v.Coverage = verdicts.Coverage{Baseline: j.coverage(analysis.Baseline), Canary: j.coverage(analysis.Canary)}
	v.Warnings = j.state.Warnings()
	v.Differences, v.NotRead, v.Exemplars = j.state.Differences(), j.state.NotRead(), slices.Clone(j.exemplars)
	if w := analysis.Figure(j.state.Weight()); w == w { // not NaN: declared, or realised
		v.Weight = &w
	}
	v.EvidenceDigest = j.evidence.String()
	if v.Final {
		issued, notAfter := look.Now, look.Now.Add(actWithin)
		v.IssuedAt, v.NotAfter = &issued, &notAfter
		v.Bundle, v.Seq = bundle.Name(j.plan.Validation), concludedSeq
	}
	return v
}

// asOf is the state's, but a plan without folds before its deadline has none: there
// only the look's own time tells that the deadline has come.
func (j *Judge) asOf(look *analysis.Look) time.Time {
	asOf, deadline := j.state.AsOf(), j.plan.Deadline()
	switch {
	case len(j.plan.Objectives) > 0 && (look != nil || asOf.Before(deadline)):
		return asOf
	case look == nil:
		return j.plan.Deployment.StartedAt
	case look.Now.After(deadline):
		return deadline
	}
	return look.Now
}

func (j *Judge) coverage(arm analysis.Arm) verdicts.ArmCoverage {
	expected, received, pods, exposure := j.state.Received(arm)
	return verdicts.ArmCoverage{Expected: expected, Received: received, Pods: pods, Exposure: exposure}
}

// judgeRecord is a Judge as a checkpoint holds it.
type judgeRecord struct {
	Looks    int64
	Evidence []byte // state of the running digest
	State    []byte
	// Exemplars that looks told of.
	Exemplars []analysis.Exemplar
	Sum       []byte // of all that, since a damaged state may well be a state
}

func (r judgeRecord) sum() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %d ", r.Looks, len(r.Evidence))
	h.Write(r.Evidence)
	h.Write(r.State)
	for _, e := range r.Exemplars {
		fmt.Fprintf(h, " %s %s %s", e.For, e.TraceID, e.Digest)
	}
	return h.Sum(nil)
}

// snapshot returns the judge's state for a checkpoint.
func (j *Judge) snapshot() ([]byte, error) {
	state, err := j.state.Snapshot()
	if err != nil {
		return nil, err
	}
	digest, err := j.evidence.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("running digest: %w", err)
	}
	r := judgeRecord{Looks: j.looks, Evidence: digest, State: state, Exemplars: j.exemplars}
	r.Sum = r.sum()
	return json.Marshal(r)
}

// restoreJudge returns the judge that a checkpoint of the same plan holds.
func restoreJudge(plan *analysis.Plan, snapshot []byte) (*Judge, error) {
	var r judgeRecord
	if err := json.Unmarshal(snapshot, &r); err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", plan.Validation, err)
	}
	if !bytes.Equal(r.Sum, r.sum()) {
		return nil, fmt.Errorf("checkpoint of %s is damaged", plan.Validation)
	}
	j, err := NewJudge(plan)
	if err != nil {
		return nil, err
	}
	if err := j.evidence.UnmarshalBinary(r.Evidence); err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", plan.Validation, err)
	}
	if j.state, err = analysis.RestoreState(plan, r.State); err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", plan.Validation, err)
	}
	j.looks, j.exemplars = r.Looks, r.Exemplars
	j.verdict = j.decide(nil)
	return j, nil
}
