package accuracy

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis/logdiff"
)

// A LogPair is a build that passed and one that failed, with the lines of the second that
// two people independently marked as the explanation.
type LogPair struct {
	Name       string
	Pass, Fail []byte
	Marks      [2]map[int]bool // lines marked as error, from 1
}

// ReadCiDiff reads the pairs of a folder of the cidiff recording.
func ReadCiDiff(dir string) ([]LogPair, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "fail.log.gz"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no pairs of logs", dir)
	}
	var out []LogPair
	for _, f := range files {
		folder := filepath.Dir(f)
		p := LogPair{Name: filepath.Base(folder)}
		if p.Fail, err = readPacked(f); err != nil {
			return nil, err
		}
		if p.Pass, err = readPacked(filepath.Join(folder, "pass.log.gz")); err != nil {
			return nil, err
		}
		for i, name := range []string{"groundtruth", "groundtruth2"} {
			if p.Marks[i], err = readMarks(filepath.Join(folder, name)); err != nil {
				return nil, err
			}
		}
		out = append(out, p)
	}
	return out, nil
}

func readPacked(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return data, nil
}

// readMarks reads the lines that are marked as error: E and a number or an interval.
func readMarks(name string) (map[int]bool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	out := map[int]bool{}
	for _, line := range strings.Split(string(data), "\n")[1:] {
		where, ok := strings.CutPrefix(line, "E ")
		if !ok {
			continue
		}
		from, to, more := strings.Cut(strings.TrimSpace(where), "-")
		if !more {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, line, err)
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", name, line, err)
		}
		for n := first; n <= last; n++ {
			out[n] = true
		}
	}
	return out, nil
}

// groups returns the numbers of the lines of each group that Assay lists, in its order.
func (p LogPair) groups() [][]int {
	var out [][]int
	for _, g := range logdiff.Diff(p.Pass, p.Fail).New {
		out = append(out, g.Lines)
	}
	return out
}

// The orders in which the naive rule lists its templates.
var naiveOrders = []string{"by place", "error words first", "last first"}

var (
	naiveNumbers = regexp.MustCompile(`[0-9]+|\b[0-9a-fA-F]{8,}\b`)
	naiveErrors  = regexp.MustCompile(`(?i)error|fail|exception|fatal`)
	terminal     = regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`)
	gitHub       = regexp.MustCompile(`^(?:[^\t]*\t[^\t]*\t)?\x{feff}?[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z `)
)

// lineBreaks end lines in the way that the marks are counted.
var lineBreaks = regexp.MustCompile(`\r\n|\r|\n`)

// naive masks numbers and long hexadecimal words, and lists what the passing log does not
// have, by distinct masked lines.
func (p LogPair) naive(order string) [][]int {
	mask := func(line string) string {
		return strings.TrimSpace(naiveNumbers.ReplaceAllString(terminal.ReplaceAllString(gitHub.ReplaceAllString(line, ""), ""), "#"))
	}
	old := map[string]bool{}
	for _, l := range lineBreaks.Split(string(p.Pass), -1) {
		old[mask(l)] = true
	}
	type group struct {
		lines  []int
		errors int
	}
	found := map[string]*group{}
	var all []*group
	for i, l := range lineBreaks.Split(string(p.Fail), -1) {
		m := mask(l)
		if old[m] || m == "" {
			continue
		}
		if found[m] == nil {
			found[m] = &group{}
			if naiveErrors.MatchString(m) {
				found[m].errors = 1
			}
			all = append(all, found[m])
		}
		found[m].lines = append(found[m].lines, i+1)
	}
	switch order {
	case "error words first":
		slices.SortStableFunc(all, func(a, b *group) int { return b.errors - a.errors })
	case "last first":
		slices.Reverse(all)
	}
	out := make([][]int, len(all))
	for i, g := range all {
		out[i] = g.lines
	}
	return out
}

// A LogScore is how well lists of groups name the marked lines, over all pairs.
type LogScore struct {
	Pairs, First, First5, First20, Any int     // pairs with a marked line in the first groups
	Recall, Precision                  float64 // means: of the marked lines those listed, of the listed those marked
	Median                             float64 // number of groups
	Most                               int
}

// scoreLogs scores lists of groups, one for each pair, by the marks of one person.
func scoreLogs(pairs []LogPair, person int, lists [][][]int) LogScore {
	s := LogScore{Pairs: len(pairs)}
	var sizes []int
	for i, p := range pairs {
		groups, said := lists[i], 0
		for i, l := range lineBreaks.Split(string(p.Fail), -1) {
			if p.Marks[person][i+1] && strings.TrimSpace(l) != "" {
				said++
			}
		}
		sizes = append(sizes, len(groups))
		first, hits, listed := -1, 0, 0
		for i, g := range groups {
			for _, n := range g {
				listed++
				if p.Marks[person][n] {
					if hits++; first < 0 {
						first = i
					}
				}
			}
		}
		for _, c := range []struct {
			count *int
			below int
		}{{&s.First, 1}, {&s.First5, 5}, {&s.First20, 20}, {&s.Any, len(groups)}} {
			if first >= 0 && first < c.below {
				*c.count++
			}
		}
		s.Recall += float64(hits) / float64(max(said, 1)) / float64(len(pairs))
		s.Precision += float64(hits) / float64(max(listed, 1)) / float64(len(pairs))
	}
	slices.Sort(sizes)
	s.Median = float64(sizes[(len(sizes)-1)/2]+sizes[len(sizes)/2]) / 2
	s.Most = sizes[len(sizes)-1]
	return s
}

// A CiDiffSection is what was found on pairs of build logs.
type CiDiffSection struct {
	Assay   [2]LogScore            // by the marks of either person
	Naive   map[string][2]LogScore // by order
	Placebo int                    // groups that are listed of a log against itself, over all pairs
}

// NewCiDiffSection compares all pairs of a folder.
func NewCiDiffSection(dir string) (CiDiffSection, error) {
	pairs, err := ReadCiDiff(dir)
	if err != nil {
		return CiDiffSection{}, err
	}
	of := func(list func(LogPair) [][]int) (scores [2]LogScore) {
		lists := make([][][]int, len(pairs))
		for i, p := range pairs {
			lists[i] = list(p)
		}
		for person := range scores {
			scores[person] = scoreLogs(pairs, person, lists)
		}
		return scores
	}
	s := CiDiffSection{Assay: of(LogPair.groups), Naive: map[string][2]LogScore{}}
	for _, order := range naiveOrders {
		s.Naive[order] = of(func(p LogPair) [][]int { return p.naive(order) })
	}
	for _, p := range pairs {
		d := logdiff.Diff(p.Pass, bytes.Clone(p.Pass))
		s.Placebo += len(d.New) + len(d.Missing)
	}
	return s, nil
}

// Markdown is the section of docs/accuracy.md.
func (s CiDiffSection) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, `## Which lines explain it: cidiff

%d pairs of a build log that passed and one that failed, with the lines that explain the failure marked by two people independently.
`+"`assay logdiff`"+` lists what the failing log says and the passing one does not, by template: lines of ERROR and above, then words of failure, then
warnings, then the rest, each by place. The naive rule masks numbers and long hexadecimal words and lists the distinct lines of the failing
log that the passing one does not have. Columns tell in how many pairs a marked line is in the first group, the first five, the first
twenty; the mean share of the marked lines that are listed at all (recall), and of the listed ones that are marked (precision). Blank lines do not count.

`, s.Assay[0].Pairs)
	b.WriteString("| marks of | list | first | first 5 | first 20 | recall | precision | groups: median | most |\n|---|---|---|---|---|---|---|---|---|\n")
	for person, score := range s.Assay {
		row := func(name string, s LogScore) {
			fmt.Fprintf(&b, "| person %d | %s | %d | %d | %d | %.3f | %.3f | %v | %d |\n", person+1, name, s.First, s.First5, s.First20, s.Recall, s.Precision, s.Median, s.Most)
		}
		row("Assay", score)
		for _, order := range naiveOrders {
			row("naive, "+order, s.Naive[order][person])
		}
	}
	fmt.Fprintf(&b, "\nOf a log against itself %d groups are listed.\n", s.Placebo)
	return b.String()
}

// Missed returns which of the bars were not reached by the marks of either person.
func (s CiDiffSection) Missed() []string {
	var out []string
	for person, a := range s.Assay {
		for _, c := range []struct {
			missed bool
			what   string
		}{
			{a.First5 < a.Pairs-1, fmt.Sprintf("a marked line in the first 5 groups in %d of %d pairs", a.First5, a.Pairs)},
			{a.First*36 < 20*a.Pairs, fmt.Sprintf("a marked line in the first group in %d of %d pairs, at least 20 of 36 expected", a.First, a.Pairs)},
			{a.Recall < .92, fmt.Sprintf("mean recall %.3f, at least 0.92 expected", a.Recall)},
			{a.Median > 26, fmt.Sprintf("median of %v groups, at most 26 expected", a.Median)},
		} {
			if c.missed {
				out = append(out, fmt.Sprintf("cidiff, person %d: %s", person+1, c.what))
			}
		}
	}
	if s.Placebo > 0 {
		out = append(out, fmt.Sprintf("cidiff: %d groups of logs against themselves", s.Placebo))
	}
	return out
}
