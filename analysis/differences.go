package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Differences lists what logs and traces show to differ between the arms as of the last
// fold, at most 40: findings by their evidence; then what is not proven, the worst kind
// first and the most telling of a kind; what is muted or expected is last. Keys are
// stable over looks.
func (s *State) Differences() []Difference {
	var all []telling
	for i := range s.objectives {
		if l, ok := s.objectives[i].acc.(lister); ok {
			all = append(all, l.tell(s.objectives[i].coverage[1].Now)...)
		}
	}
	slices.SortStableFunc(all, func(a, b telling) int {
		return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(b.evidence(), a.evidence()),
			cmp.Compare(b.class, a.class), newFirst(a.New, b.New), cmp.Compare(b.size, a.size), strings.Compare(a.Key, b.Key))
	})
	out := make([]Difference, 0, min(len(all), maxDifferences))
	for i := range all[:min(len(all), maxDifferences)] {
		if all[i].complete != nil {
			all[i].complete(&all[i].Difference)
		}
		out = append(out, all[i].Difference)
	}
	return out
}

// rank orders findings before what is not proven, and that before what is muted.
func (t *telling) rank() int {
	switch {
	case t.Muted:
		return 2
	case t.Found:
		return 0
	}
	return 1
}

// evidence is what findings are ordered by, to the digits that a verdict shows: what is
// not proven has none.
func (t *telling) evidence() float64 {
	if e := float64(t.E); t.rank() == 0 && !math.IsNaN(e) {
		return Round6(e)
	}
	return 0
}

func newFirst(a, b bool) int {
	switch {
	case a && !b:
		return -1
	case b && !a:
		return 1
	}
	return 0
}

// NewTemplates are the templates that the plan lacks and the folds so far told of, in
// order of appearance: what a reader of lines must know beside the plan's, so that the
// same lines get the same ids after a restart.
func (s *State) NewTemplates() []Template {
	var out []Template
	for i := range s.objectives {
		if t, ok := s.objectives[i].acc.(*templates); ok {
			out = append(out, t.newTemplates()...)
		}
	}
	return out
}

// WithoutTold takes from a tally of an objective what the folds before have told and is
// told once: examples and pods of templates. Otherwise each look would hold them again.
func (s *State) WithoutTold(objective string, l *LogTally) {
	i := s.index(objective)
	if i < 0 {
		return
	}
	t, ok := s.objectives[i].acc.(*templates)
	if !ok {
		return
	}
	for k := range l.Templates {
		tally := &l.Templates[k]
		at, known := t.of[tally.Template]
		if !known {
			continue
		}
		seen := &t.Seen[at]
		if seen.Example != nil {
			tally.CanaryExample = nil
		}
		if len(seen.Pods) >= maxShownPods || !slices.ContainsFunc(tally.CanaryPods, func(pod string) bool { return !slices.Contains(seen.Pods, pod) }) {
			tally.CanaryPods = nil
		}
	}
}

// NotRead adds up what of logs and spans was not counted.
func (s *State) NotRead() NotRead {
	var out NotRead
	for i := range s.objectives {
		if l, ok := s.objectives[i].acc.(lister); ok {
			out.Add(l.notRead())
		}
	}
	return out
}

// newError says that new lines of ERROR or above are a finding, and that the rate of
// requests with such lines is not shown within its margin: rewording costs nothing where
// there is traffic, and a person's look where there is not (statistics 10.1). Good: there
// is nothing of the kind.
func (s *State) newError() Check {
	for i := range s.objectives {
		t, ok := s.objectives[i].acc.(*templates)
		if !ok {
			continue
		}
		found := t.newError()
		if found == nil || !t.silent() && s.severityShown(found.Worst) {
			continue
		}
		return Check{Undecided, NewErrorTemplate, fmt.Sprintf("%s: new %s line %s (%.0f of the canary, %.0f of the baseline), and the rate of such lines is not shown within its margin",
			s.objectives[i].o.Name, found.Worst, quote(found.Text), found.Events[1], found.Events[0])}
	}
	return Check{State: Good}
}

// severityShown reports whether requests with lines of a severity are shown now to be no
// more than their margin allows: by a rate that is still counted, and did not break of
// late.
func (s *State) severityShown(severity Severity) bool {
	for i := range s.objectives {
		o := &s.objectives[i]
		l := o.o.Signal.Logs
		if l == nil || o.o.Signal.Listed() || o.o.Signal.untested() || l.Severity == SeverityUnknown || l.Severity > severity {
			continue
		}
		if o.missing != "" || o.last.barred.Code != "" || !(o.last.logSafety >= math.Log(1/s.plan.AlphaPromote)) {
			continue
		}
		if _, broke := o.acc.lateBreak(&o.recent); !broke {
			return true
		}
	}
	return false
}
