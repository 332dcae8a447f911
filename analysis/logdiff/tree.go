package logdiff

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// Other is the id of lines that would need more new templates than a validation keeps.
const Other = "_other"

// A Tree finds the template of a line. The zero value knows none. Templates never change
// and never merge; the best of those that fit is found whatever the order in which they
// were added, as long as no node has too many branches.
type Tree struct {
	masks   []*regexp.Regexp
	lengths map[int]*node // by number of words
	ids     map[string]*template
	mined   int // templates that came after the plan,
	quiet   int // of these those below ERROR
}

// A node branches by one of the first words of a line, or holds templates.
type node struct {
	branches  map[string]*node
	templates []*template
}

const (
	prefixWords = 2   // of which the tree branches: depth 4 with root and length
	maxBranches = 100 // of a node; further words share one
)

// A template is what lines have in common.
type template struct {
	analysis.Template
	words  []string
	strict []bool // words of failure
}

// Compile makes a tree of a plan's templates; nil gives an empty tree. An error names a
// mask that is no regular expression.
func Compile(set *analysis.TemplateSet) (*Tree, error) {
	t := &Tree{}
	if set == nil {
		return t, nil
	}
	var err error
	if t.masks, err = compileMasks(set.Masks); err != nil {
		return nil, err
	}
	for _, s := range set.Templates {
		t.insert(newTemplate(s))
	}
	return t, nil
}

func compileMasks(patterns []string) ([]*regexp.Regexp, error) {
	var out []*regexp.Regexp
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("mask %q: %w", p, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("mask %q matches empty text", p)
		}
		out = append(out, re)
	}
	return out, nil
}

// mask hides what the user names, then what has the look of a parameter.
func mask(text string, masks []*regexp.Regexp) string {
	for _, m := range masks {
		text = m.ReplaceAllLiteralString(text, wildcard)
	}
	return string(appendMasked(nil, []byte(text)))
}

// newTemplate completes a template by its words, and its id where it has none.
func newTemplate(s analysis.Template) *template {
	if s.ID == "" {
		s.ID = idOf(s.Text)
	}
	t := &template{Template: s, words: strings.Split(s.Text, " ")}
	t.strict = strictWords(t.words)
	return t
}

// idOf is the name of a template, of its text alone.
func idOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// Match returns the id of the template that the message belongs to. The text may be
// masked already.
func (t *Tree) Match(text string) (id string, ok bool) {
	if found := t.find(mask(text, t.masks)); found != nil {
		return found.ID, true
	}
	return "", false
}

// find returns the template of a masked text; nil: there is none.
func (t *Tree) find(text string) *template {
	words := strings.Split(text, " ")
	return t.nearest(words, strictWords(words))
}

// nearest returns the template that fits best: the one with all its words in place,
// then the one with more words in common, then with fewer of its own to spare; of equals
// the one whose text comes first.
func (t *Tree) nearest(words []string, strict []bool) *template {
	root := t.lengths[len(words)]
	if root == nil {
		return nil
	}
	var best *template
	var score int
	root.visit(words, func(n *node) {
		for _, c := range n.templates {
			s, ok := c.fit(words, strict)
			if ok && (best == nil || s > score || s == score && c.Text < best.Text) {
				best, score = c, s
			}
		}
	})
	return best
}

// visit calls f with the leaves in which templates of the words may be.
func (n *node) visit(words []string, f func(*node)) {
	level := []*node{n}
	for _, w := range words[:min(len(words), prefixWords)] {
		var next []*node
		for _, l := range level {
			key := branch(w)
			if b := l.branches[key]; b != nil {
				next = append(next, b)
			}
			if b := l.branches[wildcard]; b != nil && key != wildcard {
				next = append(next, b)
			}
		}
		level = next
	}
	for _, l := range level {
		f(l)
	}
}

// branch is the branch that a word belongs to: words with a parameter share one.
func branch(word string) string {
	if strings.Contains(word, wildcard) {
		return wildcard
	}
	return word
}

// fit tells how well a line of as many words fits: higher is better. At least half of the
// words must be the same, or be the template's constants and all in place. Words of
// failure are never parameters.
func (t *template) fit(words []string, strict []bool) (score int, ok bool) {
	same, differ, constants, equal := 0, 0, 0, 0
	n := len(words)
	for i, w := range words {
		own := t.words[i]
		if own != wildcard {
			constants++
		}
		switch {
		case own == w && w == wildcard:
			n--
			equal++
		case own == w:
			same++
		case strict[i] || t.strict[i]:
			return 0, false
		case own != wildcard:
			differ++
		}
	}
	if 2*differ > n || 2*same < n && (differ > 0 || 2*constants < n) {
		return 0, false
	}
	if score = 2 * (same + equal); differ == 0 {
		score += 2*len(words) + 1
	}
	return score, true
}

// insert adds a template to the tree, unless it is there.
func (t *Tree) insert(s *template) bool {
	if t.ids[s.ID] != nil || s.ID == Other {
		return false
	}
	if t.ids == nil {
		t.ids, t.lengths = map[string]*template{}, map[int]*node{}
	}
	t.ids[s.ID] = s
	n := t.lengths[len(s.words)]
	if n == nil {
		n = &node{}
		t.lengths[len(s.words)] = n
	}
	for _, w := range s.words[:min(len(s.words), prefixWords)] {
		key := branch(w)
		if n.branches[key] == nil {
			if n.branches == nil {
				n.branches = map[string]*node{}
			}
			if len(n.branches) >= maxBranches {
				key = wildcard
			}
			if n.branches[key] == nil {
				n.branches[key] = &node{}
			}
		}
		n = n.branches[key]
	}
	n.templates = append(n.templates, s)
	return true
}

// failures are parts of words that tell of failure or its opposite; of these a line that
// has one is never the same as one that has another. whole are words by themselves.
var (
	failures = []string{
		"fail", "error", "exception", "refus", "reject", "denied", "timeout", "abort", "invalid", "unable", "cannot", "crash", "panic", "fatal",
		"unavailable", "missing", "lost", "unauthor", "forbidden", "overflow", "corrupt", "exhaust", "unreachable", "expired", "success",
	}
	whole = map[string]bool{"not": true, "no": true, "null": true, "nil": true, "none": true, "never": true, "timed": true, "can't": true, "won't": true, "ok": true, "dead": true, "killed": true, "down": true}
)

// strictWords tells which words are of failure.
func strictWords(words []string) []bool {
	out := make([]bool, len(words))
	for i, w := range words {
		if len(w) > 64 || w == wildcard {
			continue
		}
		lower := strings.ToLower(w)
		out[i] = whole[strings.Trim(lower, `.,:;!?()[]{}"'`)]
		for _, f := range failures {
			if out[i] {
				break
			}
			out[i] = strings.Contains(lower, f)
		}
	}
	return out
}
