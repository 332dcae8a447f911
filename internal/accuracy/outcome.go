package accuracy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
	"github.com/release-assay/assay/verdicts"
)

// Deadline is how many folds a validation gets, whatever the recording's spacing.
const Deadline = 10

// Window is the window of every case of a recording with points so far apart. No
// pod was started anew for these deployments, so that nothing warms up.
func Window(spacing time.Duration) analysis.Window {
	return analysis.Window{Deadline: analysis.Duration(Deadline * spacing), OnUnderpowered: analysis.WaitUnderpowered}
}

// A Truth is what is known about a release that was made up.
type Truth uint8

const (
	Harmless  Truth = iota + 1 // nothing was changed
	Bad                        // the release does harm
	Elsewhere                  // things got worse, but not by the release
)

// A Case is one deployment that is made up at an instant of a recording.
type Case struct {
	Name      string
	Group     string // row of the table: the kind of fault, or placebo
	Truth     Truth
	Service   string
	StartedAt time.Time
}

// An Answer is what was said about a case.
type Answer struct {
	Case
	Word verdicts.Word
	Code analysis.Code
	At   time.Time // event time of the answer
	Why  string
}

// Counts are the answers of some cases. A pending answer is none at all and is
// counted on its own, so that it cannot pass for a hold.
type Counts struct{ Promote, Rollback, Hold, Pending int }

// Total is how many cases there were.
func (c Counts) Total() int { return c.Promote + c.Rollback + c.Hold + c.Pending }

func (c *Counts) add(w verdicts.Word) {
	switch w {
	case verdicts.Promote:
		c.Promote++
	case verdicts.Rollback:
		c.Rollback++
	case verdicts.Hold:
		c.Hold++
	default:
		c.Pending++
	}
}

// A Row of a table is a group of cases of one kind.
type Row struct {
	Group string
	Truth Truth
	Counts
	Codes map[analysis.Code]int
	Took  []time.Duration // of the rollbacks, since the deployment
}

// A Table counts answers by group, in the order in which groups first came.
type Table struct {
	Rows  []Row
	Wrong []Answer // harmless releases rolled back, bad ones promoted
}

// Add counts an answer.
func (t *Table) Add(a Answer) {
	i := slices.IndexFunc(t.Rows, func(r Row) bool { return r.Group == a.Group && r.Truth == a.Truth })
	if i < 0 {
		i = len(t.Rows)
		t.Rows = append(t.Rows, Row{Group: a.Group, Truth: a.Truth, Codes: map[analysis.Code]int{}})
	}
	t.Rows[i].add(a.Word)
	t.Rows[i].Codes[a.Code]++
	if a.Word == verdicts.Rollback {
		t.Rows[i].Took = append(t.Rows[i].Took, a.At.Sub(a.StartedAt))
	}
	if a.Truth == Harmless && a.Word == verdicts.Rollback || a.Truth == Bad && a.Word == verdicts.Promote {
		t.Wrong = append(t.Wrong, a)
	}
}

// Sum counts the cases of one truth.
func (t *Table) Sum(of Truth) Counts {
	var c Counts
	for _, r := range t.Rows {
		if r.Truth == of {
			c.Promote += r.Promote
			c.Rollback += r.Rollback
			c.Hold += r.Hold
			c.Pending += r.Pending
		}
	}
	return c
}

// Of returns the row of a group; an empty one where there is none.
func (t *Table) Of(group string) Row {
	for _, r := range t.Rows {
		if r.Group == group {
			return r
		}
	}
	return Row{Group: group}
}

// Share is x of n with the interval of Wilson at 95 %.
func Share(x, n int) string {
	if n == 0 {
		return "none of none"
	}
	low, high := stats.Wilson(x, n, 0.05)
	return fmt.Sprintf("%d of %d (%s to %s %%)", x, n, percent(low), percent(high))
}

func percent(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// byCount lists reason codes, the most frequent first.
func byCount(codes map[analysis.Code]int) []analysis.Code {
	var out []analysis.Code
	for c := range codes {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b analysis.Code) int { return cmp.Or(codes[b]-codes[a], cmp.Compare(a, b)) })
	return out
}
