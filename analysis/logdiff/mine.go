package logdiff

import (
	"cmp"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Bounds of the templates that a validation adds to its plan's. Lines below ERROR cannot
// use up those of the others.
const (
	maxMined      = 1000
	maxMinedQuiet = 750
)

// Add restores a template that Mine found before a restart. One that the tree has is left
// as it is.
func (t *Tree) Add(s analysis.Template) {
	if t.insert(newTemplate(s)) {
		t.mined++
		if s.Severity < analysis.SeverityError {
			t.quiet++
		}
	}
}

// Mine gives the rows that have no template one: of those that the tree knows by now, or
// a new one, which it adds to the tree. A new template is the text of its first row, by
// time, pod and text, and never changes, so that it makes no difference how rows are
// dealt out to calls as long as time goes on from one to the next. Rows come back in
// their order, each with an id; beyond the bound that is Other. New templates come in
// order of appearance.
func (t *Tree) Mine(rows []analysis.LineRow) (mined []analysis.LineRow, found []analysis.Template) {
	mined = slices.Clone(rows)
	var order []*analysis.LineRow
	for i := range mined {
		if mined[i].Template == "" {
			order = append(order, &mined[i])
		}
	}
	slices.SortStableFunc(order, func(a, b *analysis.LineRow) int {
		return cmp.Or(firstTime(a).Compare(firstTime(b)), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Text, b.Text), slices.Compare(a.Values, b.Values), cmp.Compare(b.Severity, a.Severity))
	})
	for _, r := range order {
		text := mask(r.Text, t.masks)
		if known := t.find(text); known != nil {
			r.Template = known.ID
			continue
		}
		if t.mined >= maxMined || t.quiet >= maxMinedQuiet && r.Severity < analysis.SeverityError {
			r.Template = Other
			continue
		}
		s := analysis.Template{ID: idOf(text), Text: text, Severity: r.Severity}
		t.Add(s)
		found = append(found, s)
		r.Template = s.ID
	}
	return mined, found
}

func firstTime(r *analysis.LineRow) time.Time {
	if r.Example == nil {
		return time.Time{}
	}
	return r.Example.Time
}
