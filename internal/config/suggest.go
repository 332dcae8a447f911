package config

import (
	"sort"
	"strings"
)

// legalList ends a message about a word that is not in a list: the words that
// are, and the one that was probably meant.
func legalList(word string, legal []string) string {
	sorted := append([]string(nil), legal...)
	sort.Strings(sorted)
	s := " (legal: " + strings.Join(sorted, ", ") + ")"
	if len(sorted) == 0 {
		s = " (there are none)"
	}
	if near := nearest(word, sorted); near != "" {
		s += "; did you mean " + near + "?"
	}
	return s
}

// legalWords are the words that this version knows.
func legalWords(e enum) []string {
	now, _ := e.legal()
	return now
}

// nearest returns the word of the list that differs from the given one in
// upper and lower case only, or in a third of its letters at most; empty if
// there is none.
func nearest(word string, list []string) string {
	best, bestDistance := "", len(word)/3+1
	if len(word) > 64 {
		return "" // no typo
	}
	for _, candidate := range list {
		if strings.EqualFold(candidate, word) {
			return candidate
		}
		if d := editDistance(strings.ToLower(word), strings.ToLower(candidate)); d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// editDistance is the least number of insertions, deletions, replacements and
// swaps of neighbours that turns a into b (optimal string alignment).
func editDistance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
