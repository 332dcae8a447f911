package gather

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A question is what one request asks of its source: both arms at once where
// their cohorts select on the same attributes, else one arm.
type question struct {
	request  int
	arms     []analysis.Arm
	query    analysis.Query
	requests bool // it asks for the requests of a log signal, the others for its events
}

// ask returns the questions of a request. A query's matches hold together, so one
// on {version} and one on {track} cannot be asked at once: no pod has both. The
// query's own matches on attributes that are in neither cohort hold for both arms.
func ask(r Request) ([]*question, error) {
	b, c := r.Cohorts.Baseline, r.Cohorts.Canary
	if len(b) == 0 || len(c) == 0 {
		return nil, fmt.Errorf("a cohort without attributes would be everybody")
	}
	if requests := requestsOf(r.Query.Signal); requests != nil {
		events, exposure := r, r
		events.Query.Signal, exposure.Query = eventsOf(r.Query.Signal), requestsQuery(r.Query, *requests)
		out, err := ask(events)
		if err != nil {
			return nil, err
		}
		more, err := ask(exposure)
		for _, q := range more {
			q.requests = true
		}
		return append(out, more...), err
	}
	asked := []*question{}
	if slices.Equal(b.Names(), c.Names()) {
		asked = append(asked, pose(r, analysis.Baseline, analysis.Canary))
	} else {
		asked = append(asked, pose(r, analysis.Baseline), pose(r, analysis.Canary))
	}
	if len(r.Cohorts.Control) > 0 { // others than the two versions: what they select on need not be alike
		asked = append(asked, pose(r, analysis.Control))
	}
	return asked, nil
}

// pose returns the question for the given arms, whose cohorts have the same names.
func pose(r Request, arms ...analysis.Arm) *question {
	values := map[string][]string{}
	for _, m := range r.Query.Matches {
		if !has(r.Cohorts.Baseline, m.Name) && !has(r.Cohorts.Canary, m.Name) && !has(r.Cohorts.Control, m.Name) {
			values[m.Name] = union(values[m.Name], m.Values)
		}
	}
	for _, arm := range arms {
		for name, value := range r.Cohorts.Of(arm) {
			values[name] = union(values[name], []string{value})
		}
	}
	q := r.Query
	q.Matches = nil
	for _, name := range slices.Sorted(maps.Keys(values)) {
		q.Matches = append(q.Matches, analysis.Match{Name: name, Values: values[name]})
	}
	return &question{arms: arms, query: q}
}

func has(c analysis.Cohort, name string) bool { _, ok := c[name]; return ok }

// merged is one query for several questions.
type merged struct {
	questions []*question
	query     analysis.Query
}

// many are the attributes whose values may be united, with how many services one
// value of them stands for: a service comes with two versions.
var many = map[string]int{analysis.AttrService: 1, analysis.AttrVersion: 2}

// merge unites the questions that differ only in the values of service and
// version, up to the given number of services and twice as many versions. The
// order of the questions does not matter.
func merge(questions []*question, services int) []*merged {
	groups := map[string][]*question{}
	for _, q := range questions {
		k := key(q.query)
		if q.query.Lines != nil || q.query.Spans != nil { // what is listed is matched against the plan's own
			k = fmt.Sprintf("%s%d %v", k, q.request, q.arms)
		}
		groups[k] = append(groups[k], q)
	}
	var all []*merged
	for _, k := range slices.Sorted(maps.Keys(groups)) {
		// Neighbours share services and versions, so fewer queries hold them all.
		slices.SortStableFunc(groups[k], func(a, b *question) int {
			return slices.CompareFunc(a.query.Matches, b.query.Matches, func(a, b analysis.Match) int { return slices.Compare(a.Values, b.Values) })
		})
		open := &filling{}
		for _, q := range groups[k] {
			if !open.take(q, services) {
				all = append(all, unite(open.questions))
				open = &filling{}
				open.take(q, services)
			}
		}
		all = append(all, unite(open.questions))
	}
	return all
}

// filling is a query that still has room.
type filling struct {
	questions []*question
	values    map[string]map[string]bool // of the attributes in many
}

// take adds a question unless that needs more values than the limit. The first
// question always fits.
func (f *filling) take(q *question, services int) bool {
	if f.values == nil {
		f.values = map[string]map[string]bool{}
	}
	for _, m := range q.query.Matches {
		if n := many[m.Name]; n > 0 && len(f.questions) > 0 {
			further := 0
			for _, v := range m.Values {
				if !f.values[m.Name][v] {
					further++
				}
			}
			if len(f.values[m.Name])+further > n*services {
				return false
			}
		}
	}
	for _, m := range q.query.Matches {
		if many[m.Name] > 0 {
			if f.values[m.Name] == nil {
				f.values[m.Name] = map[string]bool{}
			}
			for _, v := range m.Values {
				f.values[m.Name][v] = true
			}
		}
	}
	f.questions = append(f.questions, q)
	return true
}

// unite returns the query that answers all questions of one key.
func unite(questions []*question) *merged {
	u := &merged{questions: questions, query: questions[0].query}
	u.query.Matches = slices.Clone(u.query.Matches)
	for i := range u.query.Matches {
		var values [][]string
		for _, q := range questions {
			values = append(values, q.query.Matches[i].Values)
		}
		u.query.Matches[i].Values = union(values...)
	}
	for _, q := range questions {
		if q.query.Since.Before(u.query.Since) {
			u.query.Since = q.query.Since
		}
	}
	return u
}

// unitAsked is what the unit of a signal says about what is asked: whether the levels
// of a pod add up, and nothing else.
func unitAsked(s analysis.Signal) string {
	if s.Shape == analysis.ShapeLevel && !s.Adds() {
		return "1"
	}
	return ""
}

// key is the same for questions that may be united. A signal's name says nothing
// about what is asked: the SLOs of two services have two names for one pair of
// counters.
func key(q analysis.Query) string {
	s := q.Signal
	s.Name, s.Unit = "", unitAsked(s)
	var b strings.Builder
	part := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err) // strings and times
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	part(s)
	part([]int64{q.Fold.Start.UnixNano(), q.Fold.End.UnixNano()})
	part(q.Observe)
	part(q.Strata)
	part(q.Bounds)
	for _, m := range q.Matches {
		part(m.Name)
		if many[m.Name] == 0 {
			part(m.Values)
		}
	}
	return b.String()
}

// compareRows orders the rows of evidence.
func compareRows(a, b analysis.ArmRow) int {
	return cmp.Or(cmp.Compare(a.Arm, b.Arm), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Stratum, b.Stratum))
}
