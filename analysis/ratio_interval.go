package analysis

import "github.com/release-assay/assay/analysis/stats"

// backlogCap bounds the folds that wait for somebody to ask for an interval.
const backlogCap = 64

// leastRate stands for a rate of history that is lower: of an outcome that was never
// seen.
const leastRate = 1e-9

// A differenceInterval is the interval of the difference of rates that people see.
// It costs far more than the tests, so folds wait until somebody asks.
type differenceInterval struct {
	cs      *stats.DifferenceCS
	backlog []tempered
}

type tempered struct {
	foldCounts
	phi float64
}

func newDifferenceInterval(o *PlannedObjective) (*differenceInterval, error) {
	cs, err := stats.NewDifferenceCS(max(o.spread(), leastRate), max(o.rarerRate(o.BaseRate), leastRate))
	if err != nil {
		return nil, err
	}
	return &differenceInterval{cs, make([]tempered, 0, backlogCap)}, nil
}

func (d *differenceInterval) add(c foldCounts, phi float64) {
	if len(d.backlog) == cap(d.backlog) {
		d.drain()
	}
	d.backlog = append(d.backlog, tempered{c, phi})
}

// drain brings the interval up to date.
func (d *differenceInterval) drain() {
	for _, f := range d.backlog {
		_ = d.cs.Add(f.xC, f.xB, f.nC, f.nB, f.phi) // the same counts were accepted by the tests
	}
	d.backlog = d.backlog[:0]
}
