package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/release-assay/assay/internal/backtest"
	"github.com/release-assay/assay/verdicts"
)

// showTally writes what a backtest counted for people.
func showTally(out io.Writer, t backtest.Tally) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s judged again: %d the same, %d would change, %d pending where the evidence ends, %d cannot be told", counted(t.Cases, "release"), t.Same, len(t.Changes), len(t.Pending), len(t.CannotTell))
	if len(t.Unread) > 0 {
		fmt.Fprintf(w, "; %d not read", len(t.Unread))
	}
	fmt.Fprintln(w)
	if t.Cases > 0 {
		showTable(w, t)
	}
	if t.Labelled != nil {
		showConfusion(w, *t.Labelled)
	}
	showCases(w, "VERDICTS THAT WOULD CHANGE", t.Changes)
	showCases(w, "PENDING WHERE THE EVIDENCE ENDS", t.Pending)
	if len(t.CannotTell) > 0 {
		fmt.Fprintln(w, "\nCANNOT TELL\tSERVICE\tVERSION\tBEFORE\tWHY")
		for _, c := range t.CannotTell {
			for _, why := range c.CannotTell {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", plain(c.Deployment), plain(c.Service), plain(c.Version), c.Before.Verdict, verdicts.Plain(why))
			}
		}
	}
	showNotes(w, t)
	if len(t.Unread) > 0 {
		fmt.Fprintln(w, "\nNOT READ")
		for _, u := range t.Unread {
			fmt.Fprintln(w, verdicts.Plain(u.Error))
		}
	}
	return w.Flush()
}

func plain[T ~string](text T) string { return verdicts.Shorten(verdicts.Plain(string(text)), 40) }

// showTable writes the answers before against those after.
func showTable(w io.Writer, t backtest.Tally) {
	fmt.Fprint(w, "\nBEFORE \\ AFTER")
	for _, after := range backtest.Words {
		fmt.Fprintf(w, "\t%s", after)
	}
	fmt.Fprintln(w, "\tcannot tell")
	for _, before := range backtest.Words {
		if before == verdicts.Pending && !slices.ContainsFunc(t.Table, func(c backtest.Cell) bool { return c.Before == before }) {
			continue // a sealed verdict is final
		}
		fmt.Fprint(w, before)
		for i := range backtest.Words {
			fmt.Fprintf(w, "\t%d", t.At(before, &backtest.Words[i]))
		}
		fmt.Fprintf(w, "\t%d\n", t.At(before, nil))
	}
}

// showConfusion writes the answers against how releases turned out.
func showConfusion(w io.Writer, c backtest.Confusion) {
	good, bad := c.Before.Good.Cases, c.Before.Bad.Cases
	fmt.Fprintf(w, "\nOF THE LABELLED\tgood (%d), before\tgood, after\tbad (%d), before\tbad, after\n", good, bad)
	for i, word := range backtest.Words {
		fmt.Fprint(w, word)
		for _, s := range []backtest.Shares{c.Before.Good, c.After.Good, c.Before.Bad, c.After.Bad} {
			share := s.Shares[i]
			fmt.Fprintf(w, "\t%d", share.Cases)
			if s.Cases > 0 {
				fmt.Fprintf(w, "  %.0f%% (%.0f-%.0f)", 100*share.Share, 100*share.Low, 100*share.High)
			}
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, "Shares with 95 % Wilson intervals; releases that cannot be told are left out of both.")
}

// showCases lists cases with their reasons before and after.
func showCases(w io.Writer, title string, cases []backtest.Case) {
	if len(cases) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\tSERVICE\tVERSION\tBEFORE\tAFTER\tWHY\n", title)
	for _, c := range cases {
		truth := ""
		if c.Truth != "" {
			truth = " (it was " + string(c.Truth) + ")"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s: %s\t%s: %s\t%s%s\n", plain(c.Deployment), plain(c.Service), plain(c.Version),
			c.Before.Verdict, c.Before.ReasonCode, c.After.Verdict, c.After.ReasonCode, verdicts.Shorten(c.After.Reason, 90), truth)
	}
}

// showNotes lists what cases do without, each note once.
func showNotes(w io.Writer, t backtest.Tally) {
	count := map[string]int{}
	var notes []string
	for _, list := range [][]backtest.Case{t.Changes, t.Pending} {
		for _, c := range list {
			for _, note := range c.Notes {
				if count[note]++; count[note] == 1 {
					notes = append(notes, note)
				}
			}
		}
	}
	if len(notes) > 0 {
		fmt.Fprintln(w, "\nNOTES")
	}
	for _, note := range notes {
		fmt.Fprintf(w, "%s: %s\n", counted(count[note], "release"), strings.TrimSpace(verdicts.Plain(note)))
	}
}
