package analysis

import (
	"math"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis/stats"
)

// Strata (statistics 8.1): a canary of 30 % in the zone that has the incident, and
// of 5 % elsewhere, looks worse than its baseline although it is not. Each fold is
// therefore cut into cells, one a stratum; evidence is the sum over cells, and what
// each stratum added is remembered, so that it can be asked whether the evidence
// rests on one of them. Where strata are operations or calls that question is not asked:
// a release that breaks one operation has broken it (Objective.ofCode).

const (
	// maxStrata bounds the strata that are remembered one by one; the evidence of
	// the others counts in full, but is remembered as that of one stratum.
	maxStrata = 32
	// otherStrata is what the last of them is called.
	otherStrata = "all other strata"
	// noStratum is what pods are called that carry none.
	noStratum = "pods without a stratum"
	// severeRatio is the effect from which harm rolls back even where it rests on a
	// single stratum.
	severeRatio = 4
	// minStrata is in how many the canary must live for one of them to be left out.
	minStrata = 3
	// minWithoutStratum is what the harm evidence must still be without any one.
	minWithoutStratum = 10
)

// A cell is what one stratum counted in one fold.
type cell struct {
	stratum string
	foldCounts
}

// stratum is what is remembered of one.
type stratum struct {
	Name   string
	Sums   []float64 // its part of the harm part of the trial's
	Base   stats.BaselineRate
	Canary float64 // exposure of the canary in cells with both arms
}

// cutter cuts folds into cells. It is scratch space.
type cutter struct {
	cells []cell
	at    map[string]int
	keep  map[string]bool // operations that keep their names; nil: all strata do
}

// keepOperations lets the operations of the plan keep their names: all others are one.
func (c *cutter) keepOperations(p *Plan, o *PlannedObjective) {
	if p.Traces == nil || len(p.Traces.Operations) == 0 || o.Signal.Spans == nil || !slices.Equal(o.Strata, []string{StratumOperation}) {
		return
	}
	c.keep = map[string]bool{"": true, OtherOperation: true}
	for _, name := range p.Traces.Operations {
		c.keep[name] = true
	}
}

// cut adds the rows of both arms up, stratum by stratum, in the order of their
// names. The result is reused by the next call.
func (c *cutter) cut(t *taken) []cell {
	c.cells = c.cells[:0]
	clear(c.at)
	for i := range t.Baseline {
		n := c.of(t.Baseline[i].Stratum)
		n.xB += t.Baseline[i].Bad
		n.nB += t.Baseline[i].Exposure
	}
	for i := range t.Canary {
		n := c.of(t.Canary[i].Stratum)
		n.xC += t.Canary[i].Bad
		n.nC += t.Canary[i].Exposure
	}
	slices.SortFunc(c.cells, func(a, b cell) int { return strings.Compare(a.stratum, b.stratum) })
	return c.cells
}

func (c *cutter) of(name string) *foldCounts {
	if c.keep != nil && !c.keep[name] {
		name = OtherOperation
	}
	i, ok := c.at[name]
	if !ok {
		i = len(c.cells)
		c.at[name] = i
		c.cells = append(c.cells, cell{stratum: name})
	}
	return &c.cells[i].foldCounts
}

// stratumOf finds or begins what is remembered of a stratum.
func (t *trial) stratumOf(name string) *stratum {
	if name == "" {
		name = noStratum
	}
	for i := range t.Strata {
		if t.Strata[i].Name == name {
			return &t.Strata[i]
		}
	}
	if n := len(t.Strata); n == maxStrata-1 {
		name = otherStrata
	} else if n == maxStrata {
		return &t.Strata[n-1]
	}
	t.Strata = append(t.Strata, stratum{Name: name, Sums: make([]float64, len(t.Worst.L)), Base: stats.BaselineRate{PHist: t.Base.PHist}})
	return &t.Strata[len(t.Strata)-1]
}

// localised names the stratum without which harm is not shown, where the canary
// lives in enough of them and the effect is not severe. The sum over strata knows
// restarts, a stratum does not: the evidence without it is that since the deployment.
func (t *trial) localised() string {
	lives := 0
	for i := range t.Strata {
		if t.Strata[i].Canary > 0 {
			lives++
		}
	}
	if lives < minStrata || t.dispersion.Ratio() >= severeRatio {
		return ""
	}
	least, name := math.Inf(1), ""
	for i := range t.Strata {
		s := &t.Strata[i]
		if e := t.engine.logHarm(t.Sums, nil, s.Sums); e < least {
			least, name = e, s.Name
		}
	}
	if least < math.Log(minWithoutStratum) {
		return name
	}
	return ""
}
