package gather

import (
	"cmp"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A part is the answer to one question of a request.
type part struct {
	*question
	answer analysis.Answer
	byWho  byWho
	err    error
}

// byWho finds the rows of one cohort in an answer for many: they are kept by the
// value of the first attribute that may have many values.
type byWho struct {
	name string
	rows map[string][]analysis.Row
}

func sortByWho(q analysis.Query, rows []analysis.Row) byWho {
	for i, m := range q.Matches {
		if many[m.Name] == 0 {
			continue
		}
		b := byWho{m.Name, map[string][]analysis.Row{}}
		for _, row := range rows {
			if len(row.Values) == len(q.Matches) {
				b.rows[row.Values[i]] = append(b.rows[row.Values[i]], row)
			}
		}
		return b
	}
	return byWho{}
}

// candidates returns the rows among which those of a cohort are.
func (p part) candidates(cohort analysis.Cohort) []analysis.Row {
	if value, ok := cohort[p.byWho.name]; ok {
		return p.byWho.rows[value]
	}
	return p.answer.Rows
}

// join makes the result of a request from the answers to its questions. Where one
// arm failed nothing was learned: half a comparison is none.
func join(r Request, parts []part) Result {
	e := analysis.Evidence{Objective: r.Objective, Fold: r.Query.Fold, Source: r.Query.Signal.Source, Rows: []analysis.ArmRow{}}
	slices.SortFunc(parts, func(a, b part) int { return int(a.arms[0]) - int(b.arms[0]) }) // they came in any order
	for _, p := range parts {
		if p.err != nil {
			return Result{Err: p.err}
		}
	}
	var listed Listed
	var requests []analysis.ArmRow
	for _, p := range parts {
		for _, arm := range p.arms {
			if p.requests {
				requests = append(requests, p.rows(arm, r)...)
				continue
			}
			e.Rows = append(e.Rows, p.rows(arm, r)...)
			listed.take(p, arm, r)
		}
		if !p.requests {
			listed.NotRead.Add(p.answer.NotRead)
			listed.Tail = cmp.Or(listed.Tail, p.answer.Tail)
			listed.NoTraces = listed.NoTraces || p.answer.NoTraces
		}
		e.Partial = e.Partial || p.answer.Partial
		if p.answer.Skew.D().Abs() > e.Skew.D().Abs() {
			e.Skew = p.answer.Skew
		}
		e.Warnings = append(e.Warnings, p.answer.Warnings...)
		e.Rendered = append(e.Rendered, p.answer.Rendered...)
	}
	if len(e.Warnings) > 0 {
		e.Warnings = union(e.Warnings)
	}
	slices.SortFunc(e.Rows, compareRows)
	if requestsOf(r.Query.Signal) != nil {
		e.Rows = joinRows(r.Query.Signal.Logs, e.Rows, requests)
	}
	return Result{Evidence: e, Listed: listed}
}

// take adds what one arm of an answer lists.
func (l *Listed) take(p part, arm analysis.Arm, r Request) {
	cohort := r.Cohorts.Of(arm)
	for _, row := range p.answer.Lines {
		if belongs(row.Values, p.query.Matches, cohort) {
			l.Lines = append(l.Lines, ArmLine{arm, row})
		}
	}
	for _, row := range p.answer.Spans {
		if belongs(row.Values, p.query.Matches, cohort) {
			l.Spans = append(l.Spans, ArmSpan{arm, row})
		}
	}
}

// rows returns the rows that belong to an arm. A row that belongs to both is in
// both: analysis finds the overlap.
func (p part) rows(arm analysis.Arm, r Request) []analysis.ArmRow {
	cohort := r.Cohorts.Of(arm)
	version := slices.Index(p.query.Observe, analysis.AttrVersion)
	var rows []analysis.ArmRow
	for _, row := range p.candidates(cohort) {
		if !belongs(row.Values, p.query.Matches, cohort) {
			continue
		}
		bad, exposure := row.Counted(arm, r.DeployedAt)
		a := analysis.ArmRow{
			Arm: arm, Stratum: strings.Join(row.Stratum, " / "), Pod: row.Pod, PodStart: row.PodStart, Bad: bad, Exposure: exposure,
			Above: row.CountedAbove(arm, r.DeployedAt), Level: row.Level, Received: row.Received, Fresh: row.Fresh,
		}
		if version >= 0 && version < len(row.Observed) {
			a.Version = row.Observed[version]
		}
		rows = append(rows, a)
	}
	return rows
}

// belongs reports whether a row of a merged answer, known by its values, is one that
// the question of its own, with these matches, would have got for a cohort.
func belongs(values []string, own []analysis.Match, cohort analysis.Cohort) bool {
	if len(values) != len(own) {
		return false
	}
	for i, m := range own {
		if want, ok := cohort[m.Name]; ok {
			if values[i] != want {
				return false
			}
		} else if !slices.Contains(m.Values, values[i]) {
			return false
		}
	}
	return true
}
