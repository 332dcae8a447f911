package oc

import (
	"fmt"
	"strings"
)

// nominal error rates of Assay's defaults.
const (
	nominalRollback = .01
	nominalPromote  = .05
)

const barsHead = `## Bars

What the design asks for, the worst cadence of each row, and whether it is met.

`

// bars prints where Assay stands against what is asked of it. A share misses its bar
// if even the good end of its interval does; a median, if it is more than a tenth
// and one fold longer.
func (p printer) bars(b *strings.Builder) {
	b.WriteString(barsHead)
	tableLine(b, []string{"bar", "row", "asked", "measured", "met"})
	tableLine(b, []string{"---", "---", "---", "---", "---"})
	say := func(bar, row, asked, measured string, met bool, why string) {
		word := "yes"
		if !met {
			word = "**no**"
			if why != "" {
				word += ": " + why
			}
		}
		tableLine(b, []string{bar, row, asked, measured, word})
	}
	for _, t := range tables {
		p.rareErrors(t, say)
		p.detection(t, say)
	}
	if rows := p.of(populationTable, Healthy); len(rows) > 0 {
		all := p.file.of(rows[0], p.runs)
		for _, c := range circumstances {
			f := promotes(all[populationJudge("assay", c, 1)])
			if f.runs == 0 {
				continue
			}
			_, high := f.interval()
			say("healthy promoted", c.String(), fmt.Sprintf("≥ %s", digits(c.healthy-.02)), f.withInterval(), high >= c.healthy-.02, "")
			m := promotes(all[populationJudge("assay", c, 0)])
			low, _ := m.interval()
			say("false promotes", c.String(), "≤ "+digits(nominalPromote), m.withInterval(), low <= nominalPromote, "")
		}
	}
	b.WriteString("\n")
}

// rareErrors are the worst cadence of each row with an error rate.
func (p printer) rareErrors(t table, say func(bar, row, asked, measured string, met bool, why string)) {
	for _, r := range append(p.of(t.name, Healthy), p.of(t.name, OnMargin)...) {
		name, asked, of := "false rollbacks", nominalRollback, func(o []outcome) figure { return alarms(o, 0) }
		if r.Truth == OnMargin {
			name, asked, of = "false promotes", nominalPromote, promotes
		}
		if r.Asked > 0 {
			asked = r.Asked
		}
		var worst figure
		outcomes := p.file.of(r, p.runs)
		for _, c := range t.assay {
			if f := of(outcomes[c.judge]); f.runs > 0 && (worst.runs == 0 || f.share() > worst.share()) {
				worst = f
			}
		}
		if worst.runs > 0 {
			low, _ := worst.interval()
			say(name, t.name+", "+r.Name, "≤ "+digits(asked), worst.withInterval(), low <= asked, r.Why)
		}
	}
}

// detection is the median at the finest cadence.
func (p printer) detection(t table, say func(bar, row, asked, measured string, met bool, why string)) {
	for _, r := range p.of(t.name, Bad) {
		if r.Asked == 0 {
			continue
		}
		outcomes := p.file.of(r, p.runs)
		for _, c := range t.assay {
			f := alarms(outcomes[c.judge], r.Onset)
			if f.runs == 0 {
				continue
			}
			say("minutes to find", t.name+", "+r.Name, "≤ "+minutesText(r.Asked), f.withMedian(), f.median() <= 1.1*r.Asked+tick.Minutes(), r.Why)
			break
		}
	}
}
