package sources

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest sorts names by how near they come to one that was written, the nearest
// first, those alike as they were.
func Nearest(written string, names []string) {
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(apart(written, x), apart(written, y)) })
}

// apart is how many letters have to be changed to make one name of the other, or
// little where one contains the other.
func apart(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	const long = 64
	if len(a) > long || len(b) > long {
		return 2 * long
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			corner, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, corner+cost)
		}
	}
	const telling = 4 // letters of a name that another may contain not only by chance
	if min(len(a), len(b)) >= telling && (strings.Contains(a, b) || strings.Contains(b, a)) {
		return min(row[len(b)], 2)
	}
	return row[len(b)]
}
