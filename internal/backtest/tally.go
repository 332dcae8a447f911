package backtest

import (
	"github.com/release-assay/assay/analysis/stats"
	"github.com/release-assay/assay/verdicts"
)

// Words are the answers in the order of the tables. Pending is that the evidence ends
// before there is a verdict.
var Words = []verdicts.Word{verdicts.Promote, verdicts.Rollback, verdicts.Hold, verdicts.Pending}

// A Tally counts cases.
type Tally struct {
	Cases int `json:"cases"`
	Same  int `json:"same"` // the same verdict comes out
	// Table is how often each answer before went with each one after.
	Table []Cell `json:"table"`
	// Labelled counts those of which is known how they turned out, and which can be
	// told; null where none is labelled.
	Labelled   *Confusion `json:"labelled"`
	Changes    []Case     `json:"changes"`    // the verdicts that would change
	Pending    []Case     `json:"pending"`    // the evidence ends too early
	CannotTell []Case     `json:"cannotTell"` // the evidence does not answer what is asked
	Unread     []Unread   `json:"unread"`
}

// A Cell counts the cases with an answer before and one after.
type Cell struct {
	Before verdicts.Word  `json:"before"`
	After  *verdicts.Word `json:"after"` // null: cannot tell
	Cases  int            `json:"cases"`
}

// Unread is a file that could not be judged, and why.
type Unread struct {
	From  string `json:"from"`
	Error string `json:"error"`
}

// A Confusion counts answers against how releases turned out, by the old configuration
// and by the new one.
type Confusion struct {
	Before Outcomes `json:"before"`
	After  Outcomes `json:"after"`
}

// Outcomes are the answers to releases that turned out good, and to those that did bad.
type Outcomes struct {
	Good Shares `json:"good"`
	Bad  Shares `json:"bad"`
}

// Shares are how often each answer was given.
type Shares struct {
	Cases  int     `json:"cases"`
	Shares []Share `json:"answers"` // in the order of Words
}

// A Share is how often an answer was given, with the ends of a 95 % Wilson interval.
type Share struct {
	Answer verdicts.Word `json:"answer"`
	Cases  int           `json:"cases"`
	Share  float64       `json:"share"` // 0 without cases
	Low    float64       `json:"low"`
	High   float64       `json:"high"`
}

// Count counts cases, in their order.
func Count(cases []Case) Tally {
	t := Tally{Cases: len(cases), Table: []Cell{}, Changes: []Case{}, Pending: []Case{}, CannotTell: []Case{}, Unread: []Unread{}}
	var labelled []Case
	for _, c := range cases {
		switch {
		case c.After == nil:
			t.CannotTell = append(t.CannotTell, c)
		case c.Changes():
			t.Changes = append(t.Changes, c)
		case c.After.Verdict == c.Before.Verdict:
			t.Same++
		default:
			t.Pending = append(t.Pending, c)
		}
		if c.After != nil && c.Truth != "" {
			labelled = append(labelled, c)
		}
	}
	for _, before := range Words {
		for i := range Words {
			t.cell(cases, before, &Words[i])
		}
		t.cell(cases, before, nil)
	}
	if len(labelled) > 0 {
		t.Labelled = &Confusion{
			Before: outcomes(labelled, func(c Case) verdicts.Word { return c.Before.Verdict }),
			After:  outcomes(labelled, func(c Case) verdicts.Word { return c.After.Verdict }),
		}
	}
	return t
}

// cell adds the cell of two answers, nil for cannot tell, if there are such cases.
func (t *Tally) cell(cases []Case, before verdicts.Word, after *verdicts.Word) {
	n := 0
	for _, c := range cases {
		if c.Before.Verdict == before && (after == nil) == (c.After == nil) && (after == nil || *after == c.After.Verdict) {
			n++
		}
	}
	if n > 0 {
		t.Table = append(t.Table, Cell{before, after, n})
	}
}

// At returns how many cases a cell of the table has.
func (t Tally) At(before verdicts.Word, after *verdicts.Word) int {
	for _, c := range t.Table {
		if c.Before == before && (c.After == nil) == (after == nil) && (after == nil || *after == *c.After) {
			return c.Cases
		}
	}
	return 0
}

func outcomes(cases []Case, answer func(Case) verdicts.Word) Outcomes {
	of := func(truth Truth) Shares {
		var s Shares
		count := map[verdicts.Word]int{}
		for _, c := range cases {
			if c.Truth == truth {
				s.Cases++
				count[answer(c)]++
			}
		}
		for _, w := range Words {
			share := Share{Answer: w, Cases: count[w]}
			share.Low, share.High = stats.Wilson(count[w], s.Cases, 0.05)
			if s.Cases > 0 {
				share.Share = float64(count[w]) / float64(s.Cases)
			}
			s.Shares = append(s.Shares, share)
		}
		return s
	}
	return Outcomes{Good: of(Good), Bad: of(Bad)}
}
