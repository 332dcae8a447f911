package config

import (
	"fmt"
	"path"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A match says which releases a policy is for. Each part is a list of patterns,
// of which one must match; in a pattern * stands for any text and ? for one
// character, neither of them for a slash.
type match struct {
	service      string
	environments []string // empty: all
	namespaces   []string // empty: all
}

// A rank orders matches: the more of a name a pattern spells out, the higher,
// service before environment before namespace.
type rank [3]int

func (r rank) below(other rank) bool {
	for i := range r {
		if r[i] != other[i] {
			return r[i] < other[i]
		}
	}
	return false
}

// literal ranks a pattern without wildcards above all others.
const literal = 1 << 20

func rankOf(pattern string) int {
	wild := strings.Count(pattern, "*") + strings.Count(pattern, "?")
	if wild == 0 {
		return literal
	}
	return len(pattern) - wild
}

// rankFor returns how specifically m matches r, and whether it does.
func (m match) rankFor(r analysis.Release) (rank, bool) {
	var out rank
	for i, part := range [3]struct {
		patterns []string
		value    string
	}{{[]string{m.service}, r.Service}, {m.environments, r.Environment}, {m.namespaces, r.Namespace}} {
		best := -1
		if len(part.patterns) == 0 {
			best = 0
		}
		for _, p := range part.patterns {
			if ok, err := path.Match(p, part.value); ok && err == nil {
				best = max(best, rankOf(p))
			}
		}
		if best < 0 {
			return rank{}, false
		}
		out[i] = best
	}
	return out, true
}

// ambiguous returns patterns of m and other that match one and the same release
// equally specifically, and whether there are any.
func (m match) ambiguous(other match) (string, bool) {
	if rankOf(m.service) != rankOf(other.service) || !overlap(m.service, other.service) {
		return "", false
	}
	environment, tie := tied(m.environments, other.environments)
	if !tie {
		return "", false
	}
	namespace, tie := tied(m.namespaces, other.namespaces)
	if !tie {
		return "", false
	}
	where := fmt.Sprintf("service %s", m.service)
	if environment != "" {
		where += ", environment " + environment
	}
	if namespace != "" {
		where += ", namespace " + namespace
	}
	return where, true
}

// tied returns a pattern of each list, joined, that rank the same and can match
// the same name.
func tied(a, b []string) (string, bool) {
	if len(a) == 0 && len(b) == 0 {
		return "", true
	}
	if len(a) == 0 {
		a = []string{"*"}
	}
	if len(b) == 0 {
		b = []string{"*"}
	}
	for _, p := range a {
		for _, q := range b {
			if rankOf(p) == rankOf(q) && overlap(p, q) {
				if p == q {
					return p, true
				}
				return p + " and " + q, true
			}
		}
	}
	return "", false
}

// overlap reports whether some text matches both patterns. After i characters of
// p, row[j] says whether some text matches those and the first j of q: a star
// takes nothing, or one more character of the other pattern.
func overlap(p, q string) bool {
	right := []rune(q)
	row := make([]bool, len(right)+1)
	row[0] = true
	for j, b := range right {
		row[j+1] = row[j] && b == '*'
	}
	for _, a := range p {
		diagonal := row[0]
		row[0] = row[0] && a == '*'
		for j, b := range right {
			above := row[j+1]
			if a == '*' || b == '*' {
				row[j+1] = above || row[j]
			} else {
				row[j+1] = diagonal && (a == b || a == '?' || b == '?')
			}
			diagonal = above
		}
	}
	return row[len(right)]
}

// checkPattern reports what a pattern may not hold.
func checkPattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf("an empty pattern matches nothing; leave out the key to match everything")
	}
	if i := strings.IndexAny(pattern, `[]\{}`); i >= 0 {
		return fmt.Errorf("%q: %q has no meaning in a pattern (only * and ? have one)", pattern, pattern[i])
	}
	return nil
}
