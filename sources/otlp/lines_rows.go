package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/sources"
)

// podLines are the lines of one pod in one stretch of time: the sum of its tallies, one
// for each set of texts that must appear which they looked for.
type podLines struct {
	tallies map[string]*logdiff.Tally // by mustAppear.key
	lines   float64
	notRead analysis.NotRead
}

func (p *podLines) add(t *lineTick) {
	p.lines += t.lines
	p.notRead.Add(t.notes)
	if t.tally == nil {
		return
	}
	sum := p.tallies[t.must.key]
	if sum == nil {
		sum = logdiff.NewTally(t.must.texts...)
		if p.tallies == nil {
			p.tallies = map[string]*logdiff.Tally{}
		}
		p.tallies[t.must.key] = sum
	}
	sum.Merge(t.tally)
}

// sorted returns the tallies in a fixed order.
func (p *podLines) sorted() (tallies []*logdiff.Tally) {
	for _, key := range slices.Sorted(maps.Keys(p.tallies)) {
		tallies = append(tallies, p.tallies[key])
	}
	return tallies
}

// events is how many requests wrote lines as the signal wants them.
func (p *podLines) events(signal *analysis.LogSignal) (n float64) {
	for _, t := range p.sorted() {
		switch found, looked := t.MustAppear(signal.MustAppear); {
		case signal.MustAppear == "":
			n += t.Events(signal.Severity)
		case looked:
			n += found
		default:
			n += t.Containing(signal.MustAppear)
		}
	}
	return n
}

// rows are the lines by template of the tree, or masked and redacted text.
func (p *podLines) rows(tree *logdiff.Tree, redact func(string) string) []analysis.LineRow {
	if tree == nil {
		tree = noTemplates
	}
	var rows []analysis.LineRow
	for _, t := range p.sorted() {
		rows = append(rows, t.Rows(tree, redact)...)
	}
	slices.SortStableFunc(rows, compareLines)
	if len(p.tallies) < 2 {
		return rows
	}
	var out []analysis.LineRow
	for _, row := range rows {
		if n := len(out); n > 0 && compareLines(out[n-1], row) == 0 {
			addLines(&out[n-1], row)
			continue
		}
		out = append(out, row)
	}
	return out
}

func compareLines(a, b analysis.LineRow) int {
	return cmp.Or(cmp.Compare(a.Template, b.Template), cmp.Compare(a.Text, b.Text))
}

func addLines(sum *analysis.LineRow, row analysis.LineRow) {
	sum.Lines += row.Lines
	sum.Bytes += row.Bytes
	sum.Events += row.Events
	sum.Severity = max(sum.Severity, row.Severity)
	a, b := sum.Example, row.Example
	if a == nil || b != nil && cmp.Or(b.Time.Compare(a.Time), cmp.Compare(b.Text, a.Text)) < 0 {
		sum.Example = b
	}
}

// noTraces reports whether there are lines and none has a trace id.
func (p *podLines) noTraces() bool {
	for _, t := range p.tallies {
		if !t.NoTraces() {
			return false
		}
	}
	return len(p.tallies) > 0
}

// notes says what of the lines was not counted.
func (p *podLines) notes() analysis.NotRead {
	n := p.notRead
	for _, t := range p.sorted() {
		of := t.NotRead()
		n.Dropped += of.Dropped
		n.Truncated += of.Truncated
	}
	return n
}

var noTemplates, _ = logdiff.Compile(nil)

// lineRows answers a question about lines. It has a row for every pod that logged in the
// fold, with the number of its lines as Received, and for those of which anything else
// was heard.
func (s *Source) lineRows(ctx context.Context, q analysis.Query, sel *selection) (analysis.Answer, error) {
	if len(q.Strata) > 0 {
		return analysis.Answer{}, s.fail("rows", sources.Rejected, errors.New("lines are not told apart by strata"))
	}
	var tree *logdiff.Tree
	if q.Lines != nil {
		var err error
		if tree, err = s.trees.compile(q.Lines.Templates); err != nil {
			return analysis.Answer{}, s.fail("rows", sources.Rejected, err)
		}
	}
	start, end := q.Fold.Start.UnixNano(), q.Fold.End.UnixNano()
	// Windows that are there already are asked for the first time; to those that appear
	// from here on, lines of the fold come late.
	if err := s.each(ctx, "rows", q.Matches, func(w *window, _ []string) { s.linesOf(w) }); err != nil {
		return analysis.Answer{}, err
	}
	s.askedLines.add(q.Matches, end)

	answer := analysis.Answer{Rendered: render(sel, q)}
	pods := map[string]*askedPod{}
	err := s.each(ctx, "rows", q.Matches, func(w *window, values []string) {
		observed := observe(w, q.Observe)
		key := strings.Join(values, "\x00") + "\x01" + w.pod + "\x01" + strings.Join(observed, "\x00")
		pod := pods[key]
		if pod == nil {
			pod = &askedPod{row: analysis.Row{Values: values, Observed: observed, Pod: w.pod}}
			pods[key] = pod
		}
		l := s.linesOf(w)
		l.hear(w, start, end)
		if start < l.summed {
			answer.Partial = true
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("pod %s: lines before %s are no longer kept", w.pod, instant(l.summed).Format(time.RFC3339)))
		}
		for tick := tickOf(start) + 1; tick <= tickOf(end); tick++ {
			pod.row.Fresh = pod.row.Fresh || l.alive[tick]
		}
		for _, t := range l.within(start, end) {
			pod.add(t)
		}
	})
	if err != nil {
		return analysis.Answer{}, err
	}
	answer.NoTraces = true
	lines := 0.
	for _, key := range slices.Sorted(maps.Keys(pods)) {
		pod := pods[key]
		answer.NotRead.Add(pod.notes())
		if pod.lines == 0 && !pod.row.Fresh {
			continue
		}
		if pod.row.Pod == "" {
			answer.Warnings = append(answer.Warnings, "some telemetry has neither "+analysis.AttrPod+" nor "+analysis.AttrInstance+": its pods cannot be told apart")
		}
		lines += pod.lines
		answer.NoTraces = answer.NoTraces && (pod.lines == 0 || pod.noTraces())
		pod.row.Received = int(pod.lines)
		if sel.shape == analysis.ShapeRatio {
			pod.row.Bad = pod.events(sel.logs)
		}
		answer.Rows = append(answer.Rows, pod.row)
		if q.Lines == nil {
			continue
		}
		for _, row := range pod.rows(tree, s.redactor.String) {
			row.Values, row.Observed, row.Pod = pod.row.Values, pod.row.Observed, pod.row.Pod
			if row.Example != nil {
				row.Example.Pod = row.Pod
			}
			answer.Lines = append(answer.Lines, row)
		}
	}
	answer.NoTraces = answer.NoTraces && lines > 0
	answer.Rows = sources.AddUp(answer.Rows, q.Signal)
	slices.SortStableFunc(answer.Lines, func(a, b analysis.LineRow) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), compareLines(a, b), slices.Compare(a.Observed, b.Observed))
	})
	slices.Sort(answer.Warnings)
	answer.Warnings = slices.Compact(answer.Warnings)
	return answer, nil
}

// An askedPod is what one pod, perhaps of several resources, logged in a fold.
type askedPod struct {
	podLines
	row analysis.Row
}
