package analysis

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis/stats"
)

// minWithoutWorst is what the harm evidence must still be without its worst fold
// (statistics 1.1), where a rollback does not need less altogether.
const minWithoutWorst = 30

// A State is everything that a validation has learned so far. It is updated in
// place by Fold and read by Assess, Checks and Describe; it is not safe for
// concurrent use. All of it follows from the plan and the evidence folded.
type State struct {
	plan       *Plan
	objectives []objectiveState
	steps      []Step      // ramp steps that came after the plan
	first      Fold        // first fold with canary exposure
	share      stats.Share // whether the canary gets the declared share of the traffic
	seen       string      // what sources heard of instead, where an arm is not heard of

	findings []Finding // of Assess, reused
	logHarm  []float64
	weights  []float64
	total    float64 // ln R of the last Assess
	rough    bool    // total is but an upper bound, below 1/alpha_hold
	logBar   float64 // ln of the harm evidence that a rollback needs
	leader   int     // objective with the largest weighted harm
	taken    taken   // of the fold that is being folded, reused
}

// objectiveState is the part of the state that belongs to one objective.
type objectiveState struct {
	o      *PlannedObjective
	acc    accumulator
	env    environment
	next   Fold // the fold to be folded next
	folds  int  // folded so far
	unripe int  // newest folds in a row in which both arms sent samples, all of pods that warm up
	last   evidence

	coverage [2]armCoverage // baseline, canary
	missing  Code           // why the newest fold taught nothing
	why      string         // the same in the source's words
	skew     Duration       // of the source's clock, at the newest fold
	crowded  bool           // of lines without trace ids: too many seconds of the newest fold have one
	identity identity
	recent   recent
}

// NewState returns the state of a plan of which nothing was seen yet.
func NewState(p *Plan) (*State, error) {
	s := &State{plan: p, logBar: p.FalseAlarms.LogBar(p.AlphaRollback)}
	for i := range p.Objectives {
		o := &p.Objectives[i]
		m, err := methodFor(&o.Objective)
		if err != nil {
			return nil, err
		}
		if m.ID() != o.Method {
			return nil, fmt.Errorf("objective %q was planned with method %s, this version has %s", o.Name, o.Method, m.ID())
		}
		acc, err := m.newAccumulator(p, o)
		if err != nil {
			return nil, fmt.Errorf("objective %q: %w", o.Name, err)
		}
		env, err := newEnvironment(p, o)
		if err != nil {
			return nil, fmt.Errorf("objective %q: %w", o.Name, err)
		}
		s.objectives = append(s.objectives, objectiveState{
			o: o, acc: acc, env: env, next: FoldAt(p.Deployment.StartedAt, o.Cadence.D()), last: acc.evidence(),
			coverage: [2]armCoverage{newArmCoverage(o), newArmCoverage(o)}, identity: newIdentity(p), recent: newRecent(o.Cadence.D()),
		})
		s.findings = append(s.findings, Finding{Objective: o.Name, Role: o.Role, Method: o.Method, State: FindingUndecided, Strength: "exact", Evidence: BesideBaseline})
		s.logHarm = append(s.logHarm, 0)
		s.weights = append(s.weights, o.Weight)
	}
	s.Assess()
	return s, nil
}

// Plan returns the plan of s.
func (s *State) Plan() *Plan { return s.plan }

// Next returns the fold of the i-th objective that is folded next, and whether it
// still lies before the deadline.
func (s *State) Next(i int) (Fold, bool) {
	f := s.objectives[i].next
	return f, !f.End.After(s.plan.Deadline())
}

// AsOf is the latest instant up to which every fold of every objective is folded;
// the deployment's start before there is one, the deadline once no fold is left
// before it.
func (s *State) AsOf() time.Time {
	asOf, open := s.plan.Deployment.StartedAt, false
	next := s.plan.Deadline()
	for i := range s.objectives {
		if f, before := s.Next(i); before {
			open = true
			if f.End.Before(next) {
				next = f.End
			}
		}
	}
	if !open {
		return s.plan.Deadline()
	}
	for i := range s.objectives {
		done, cadence := s.objectives[i].next.Start, s.objectives[i].o.Cadence.D()
		if !done.Before(next) { // ahead of the slowest: its last fold that ends before next
			done = done.Add(-cadence * (1 + done.Sub(next)/cadence))
		}
		if s.objectives[i].folds > 0 && done.After(asOf) {
			asOf = done
		}
	}
	return asOf
}

// Step records a ramp step.
func (s *State) Step(step Step) {
	before, _ := s.weightAt(step.At)
	s.steps = append(s.steps, step)
	for i := range s.objectives {
		s.objectives[i].acc.step(step.At)
		s.objectives[i].coverage[0].ramp(1-before, 1-step.Weight)
	}
}

// Heard records what sources heard of, for the reason where an arm is silent.
func (s *State) Heard(seen string) { s.seen = seen }

// Fold takes in the evidence of one objective's next fold. Evidence of another
// fold is an error: folds are folded once and in order. Evidence that is missing
// or partial advances the fold and counts against coverage; nothing else. With an
// error the state is unchanged.
func (s *State) Fold(e *Evidence) error {
	i := s.index(e.Objective)
	if i < 0 {
		return fmt.Errorf("evidence for %q, which the plan does not name", e.Objective)
	}
	o := &s.objectives[i]
	if !e.Fold.End.Equal(o.next.End) || !e.Fold.Start.Equal(o.next.Start) {
		return fmt.Errorf("objective %q: evidence for the fold ending %s, but the next one ends %s",
			e.Objective, e.Fold.End.Format(time.RFC3339), o.next.End.Format(time.RFC3339))
	}
	if err := e.validateTallies(); err != nil {
		return fmt.Errorf("objective %q, fold ending %s: %w", e.Objective, e.Fold.End.Format(time.RFC3339), err)
	}
	rows := o.spoken(o.o.testable(e.Rows))
	tail := e.Missing == "" && o.o.Signal.Spans != nil && !o.o.Signal.Listed() && e.Spans != nil && e.Spans.Tail != ""
	otherLayout := !o.sameLayout(rows)
	uncountable := o.uncountable(e)
	if e.Missing != "" || e.Partial || e.skewed() || otherLayout || tail || uncountable {
		rows = nil
	}
	t := &s.taken
	var err error
	*t, err = splitArms(rows)
	if err != nil {
		return fmt.Errorf("objective %q, fold ending %s: %w", e.Objective, e.Fold.End.Format(time.RFC3339), err)
	}
	if s.plan.Comparison == PreviousWindow { // whom its cohort selects now is not the baseline
		t.Baseline, t.xB, t.nB = nil, 0, 0
	}
	if !s.plan.beforeAfter() { // a control tells what else changed since then
		t.Control = nil
	}
	o.folds++
	o.next = o.next.Next()
	o.missing, o.why = e.Missing, ""
	switch {
	case e.Missing != "":
	case tail:
		o.missing = TailSampled
	case e.skewed():
		o.missing = ClockSkew
	case e.Partial:
		o.missing = TelemetryPartial
	case otherLayout:
		o.missing = LayoutChanged
	case uncountable:
		o.missing = NotTestable
	}
	if o.o.untraced(e) {
		o.crowded = o.o.crowds(e.Rows)
	}
	switch {
	case o.missing == TailSampled && e.Spans != nil:
		o.why = e.Spans.Tail
	case o.missing != "" && len(e.Warnings) > 0:
		o.why = e.Warnings[0]
	}
	if o.o.Signal.Listed() && (e.Missing == "" || e.Missing == TailSampled) {
		t.Logs, t.Spans = e.Logs, e.Spans
	}
	o.skew = e.Skew
	arms := [2][]ArmRow{t.Baseline, t.Canary}
	for a := range arms {
		o.coverage[a].fold(o.folds, arms[a], s.plan.Deployment.StartedAt)
	}
	o.identity.fold(arms, t.Control)
	o.recent.add(recentFold{foldCounts: t.foldCounts, End: e.Fold.End, CanaryAlive: alive(arms[1]), BaselineIn: o.coverage[0].LastFold == o.folds})
	exposed := t.nC > 0 || !s.countsExposure() && measured(t.Canary)
	if exposed && (s.first.End.IsZero() || e.Fold.End.Before(s.first.End)) {
		s.first = e.Fold
	}
	t.Fold = e.Fold
	if err := s.watchShare(o, t); err != nil {
		return err
	}
	if err := o.env.fold(t.foldCounts, o.last.phi); err != nil {
		return err
	}
	if o.o.warmsUp() {
		sent := s.comparable(t)
		t.settle(s.plan, &o.coverage)
		o.ripen(sent, s.comparable(t))
	}
	if err := o.acc.fold(t); err != nil {
		return err
	}
	o.last = o.acc.evidence()
	return nil
}

// warmsUp reports whether pods that just began are left out of the counts of o.
func (o *PlannedObjective) warmsUp() bool {
	return o.Signal.Shape == ShapeDistribution || o.Signal.Shape == ShapeLevel
}

// testable are the rows that o is judged by: of log lines no more events than requests,
// since what is written outside of requests is none of theirs. Rows stays as it is.
func (o *PlannedObjective) testable(rows []ArmRow) []ArmRow {
	outside := func(r ArmRow) bool { return r.Bad > r.Exposure }
	if o.Signal.Logs == nil || !slices.ContainsFunc(rows, outside) {
		return rows
	}
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Bad = min(rows[i].Bad, rows[i].Exposure)
	}
	return rows
}

// maxCount is the largest exposure of an arm in one fold; no service reaches it,
// and the kernel refuses more.
const maxCount = 1e15

// splitArms cuts the rows, sorted by arm, into those of each arm, and adds up the
// counts. Impossible rows are an error.
func splitArms(rows []ArmRow) (t taken, err error) {
	from, arm := 0, Arm(0)
	cut := func(to int) {
		switch arm {
		case Baseline:
			t.Baseline = rows[from:to]
		case Canary:
			t.Canary = rows[from:to]
		case Control:
			t.Control = rows[from:to]
		}
		from = to
	}
	for i := range rows {
		r := &rows[i]
		if err := r.possible(); err != nil {
			return t, err
		}
		if r.Arm < arm {
			return t, fmt.Errorf("rows are not sorted by arm")
		}
		if r.Arm != arm {
			cut(i)
			arm = r.Arm
		}
		switch arm {
		case Baseline:
			t.xB += r.Bad
			t.nB += r.Exposure
		case Canary:
			t.xC += r.Bad
			t.nC += r.Exposure
		}
	}
	cut(len(rows))
	if !(t.nB <= maxCount && t.nC <= maxCount) {
		return t, fmt.Errorf("the exposures add up to %v and %v, more than %v", t.nB, t.nC, float64(maxCount))
	}
	return t, nil
}

// Possible returns why no source can have meant rows, which [State.Fold] refuses: a
// pod that counts more bad events than exposures, a level that is no number.
func Possible(rows []ArmRow) error {
	_, err := splitArms(rows)
	return err
}

// possible returns why no pod can have counted what r says.
func (r *ArmRow) possible() error {
	switch {
	case !(r.Bad >= 0 && r.Bad <= r.Exposure):
		return fmt.Errorf("pod %s counts %v bad of %v: bad events must be among the exposures", r.Pod, r.Bad, r.Exposure)
	case r.Received < 0:
		return fmt.Errorf("pod %s has %d samples", r.Pod, r.Received)
	case math.IsNaN(r.Level) || math.IsInf(r.Level, 0):
		return fmt.Errorf("pod %s has the level %v", r.Pod, r.Level)
	case r.Arm < Baseline || r.Arm > Control:
		return fmt.Errorf("pod %s plays no arm", r.Pod)
	}
	least := r.Exposure
	for _, n := range r.Above {
		if !(n >= 0 && n <= least) {
			return fmt.Errorf("pod %s counts %v of %v above its bounds: there must be fewer above a higher bound", r.Pod, r.Above, r.Exposure)
		}
		least = n
	}
	return nil
}

// comparable reports whether there are samples of every arm that is compared.
func (s *State) comparable(t *taken) bool {
	return measured(t.Canary) && (measured(t.Baseline) || s.plan.Comparison == PreviousWindow)
}

// ripen notes whether samples were sent in a fold, and whether any were compared.
// Silence changes nothing: coverage tells of it.
func (o *objectiveState) ripen(sent, compared bool) {
	switch {
	case compared:
		o.unripe = 0
	case sent:
		o.unripe++
	}
}

// sameLayout reports whether all rows count above the bounds of the plan.
func (o *objectiveState) sameLayout(rows []ArmRow) bool {
	if o.o.Latency == nil {
		return true
	}
	for i := range rows {
		if r := &rows[i]; r.Received > 0 && len(r.Above) != len(o.o.Latency.Bounds) {
			return false
		}
	}
	return true
}

// countsExposure reports whether some critical objective tells when the canary served.
// Levels do not: pods have one from their start, long before they get requests.
func (s *State) countsExposure() bool {
	for i := range s.objectives {
		if o := s.objectives[i].o; o.Role == Critical && o.countsExposure() {
			return true
		}
	}
	return false
}

// measured reports whether any pod sent a sample.
func measured(rows []ArmRow) bool {
	for i := range rows {
		if rows[i].Received > 0 {
			return true
		}
	}
	return false
}

// alive reports whether there are pods and every one of them is fresh.
func alive(rows []ArmRow) bool {
	for i := range rows {
		if rows[i].Received == 0 && !rows[i].Fresh {
			return false
		}
	}
	return len(rows) > 0
}

func (s *State) index(objective string) int {
	for i := range s.objectives {
		if s.objectives[i].o.Name == objective {
			return i
		}
	}
	return -1
}

// Steps returns how many ramp steps were recorded.
func (s *State) Steps() int { return len(s.steps) }
