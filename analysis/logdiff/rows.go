package logdiff

import (
	"cmp"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// Rows returns the counts by template of the tree, or by redacted masked text where it
// knows none. redact hides secrets in what is retained; nil hides nothing. Values,
// Observed and Pod, also of the examples, are left to the caller. Sorted by template, then
// text.
func (t *Tally) Rows(tree *Tree, redact func(string) string) []analysis.LineRow {
	if tree == nil {
		tree = &Tree{}
	}
	if redact == nil {
		redact = func(s string) string { return s }
	}
	type name struct{ template, text string }
	sums := map[name]*textCount{}
	for _, table := range []*texts{t.loud, t.quiet} {
		for _, e := range table.sorted() {
			var n name
			n.template, n.text = tree.name(e, redact)
			if sums[n] == nil {
				sums[n] = &textCount{}
				sums[n].events.keep = countedEvents
			}
			sums[n].merge(&e.textCount)
		}
	}
	out := make([]analysis.LineRow, 0, len(sums))
	for n, c := range sums {
		out = append(out, analysis.LineRow{
			Template: n.template, Text: n.text, Severity: c.severity, Lines: float64(c.lines), Bytes: float64(c.bytes), Events: c.events.count(),
			Example: &analysis.Line{Time: c.example.at, Severity: c.example.severity, TraceID: traceText(c.example.trace), Text: redact(string(c.example.text))},
		})
	}
	slices.SortFunc(out, func(a, b analysis.LineRow) int {
		return cmp.Or(cmp.Compare(a.Template, b.Template), cmp.Compare(a.Text, b.Text))
	})
	return out
}

// name returns the template of a text, or what the text is called without one. History
// was redacted before templates were learned of it, so that a line with a secret may fit
// only once it is redacted too.
func (t *Tree) name(e *textEntry, redact func(string) string) (template, text string) {
	whole := e.key
	if len(t.masks) > 0 {
		whole = mask(string(e.example.text), t.masks)
	}
	if found := t.find(whole); found != nil {
		return found.ID, ""
	}
	text = mask(redact(string(e.example.text)), t.masks)
	if again := redact(text); again != text {
		text = mask(again, t.masks)
	}
	if text != whole {
		if found := t.find(text); found != nil {
			return found.ID, ""
		}
	}
	return "", text
}
