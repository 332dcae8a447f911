package logdiff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// Bounds of a plan's templates. Those of ERROR and above have room of their own.
const (
	maxLearned      = 2000
	maxLearnedQuiet = 1500
	learnTexts      = 8192    // distinct masked texts that are looked at,
	learnBytes      = 8 << 20 // and their bytes
)

// Learn makes the templates of a plan of bounded history. It gives the same set for the
// same lines in any order: distinct masked texts are taken the most frequent ones first.
// The lines are redacted; masks are patterns of the user of what is hidden before lines
// are compared. Of more distinct texts than it can hold it looks at a sample by their
// hash.
func Learn(lines []analysis.Line, masks []string) (*analysis.TemplateSet, error) {
	patterns, err := compileMasks(masks)
	if err != nil {
		return nil, err
	}
	loud, quiet := newTexts(limits{texts: learnTexts / 2, bytes: learnBytes / 2}), newTexts(limits{texts: learnTexts / 2, bytes: learnBytes / 2})
	var scratch []byte
	for _, l := range lines {
		text := l.Text
		for _, m := range patterns {
			text = m.ReplaceAllLiteralString(text, wildcard)
		}
		scratch = appendMasked(scratch[:0], []byte(text))
		table := quiet
		if l.Severity >= analysis.SeverityError {
			table = loud
		}
		if e := table.entry(scratch); e != nil {
			e.lines++
			e.severity = max(e.severity, l.Severity)
		}
	}
	set := &analysis.TemplateSet{Masks: slices.Clone(masks)}
	set.Templates = grow(append(loud.sorted(), quiet.sorted()...))
	return set, nil
}

// grow makes templates of texts, the most frequent first: a text joins the template that
// fits best, whose words become parameters where the two differ, as long as at least half
// of them stay.
func grow(texts []*textEntry) []analysis.Template {
	slices.SortFunc(texts, func(a, b *textEntry) int {
		return cmp.Or(cmp.Compare(b.lines, a.lines), cmp.Compare(a.key, b.key), cmp.Compare(b.severity, a.severity))
	})
	var tree Tree
	var all []*template
	quiet := 0
	for _, e := range texts {
		words := strings.Split(e.key, " ")
		strict := strictWords(words)
		if t := tree.nearest(words, strict); t != nil && t.absorb(words) {
			t.Lines += float64(e.lines)
			t.Severity = max(t.Severity, e.severity)
			continue
		}
		low := e.severity < analysis.SeverityError
		if len(all) >= maxLearned || low && quiet >= maxLearnedQuiet {
			continue
		}
		t := newTemplate(analysis.Template{Text: e.key, Severity: e.severity, Lines: float64(e.lines)})
		if tree.insert(t) {
			all = append(all, t)
			if low {
				quiet++
			}
		}
	}
	return distinctTemplates(all)
}

// absorb makes parameters of the words in which a line differs; false: too few would stay.
func (t *template) absorb(words []string) bool {
	constants, differ := 0, false
	for i, w := range t.words {
		if w == words[i] && w != wildcard {
			constants++
		} else if w != wildcard {
			differ = true
		}
	}
	if !differ {
		return true
	}
	if 2*constants < len(words) {
		return false
	}
	for i, w := range words {
		if t.words[i] != w {
			t.words[i], t.strict[i] = wildcard, false
		}
	}
	t.Text = strings.Join(t.words, " ")
	return true
}

// distinctTemplates names the templates by what their text has become; equal ones are one.
func distinctTemplates(all []*template) []analysis.Template {
	byID := map[string]analysis.Template{}
	for _, t := range all {
		t.ID = idOf(t.Text)
		if same, ok := byID[t.ID]; ok {
			t.Lines += same.Lines
			t.Severity = max(t.Severity, same.Severity)
		}
		byID[t.ID] = t.Template
	}
	var out []analysis.Template
	for _, t := range byID {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b analysis.Template) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
