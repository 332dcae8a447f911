package stats

import "fmt"

// DispersionState is a Dispersion as plain data, for a checkpoint. It is taken
// between folds.
type DispersionState struct {
	Folds  int           // folds with information so far
	XC     float64       // sum x_C
	XE     float64       // sum x_B w/(1-w)
	Sums   []BatchState  // one for each of BatchLengths, in that order
	Cells  []CellState   // of the folds of the open batches, oldest first
	Recent []BaselineRow // of the last five minutes of folds, oldest first
}

// BatchState holds the accumulators of (8) for one batch length.
type BatchState struct {
	Closed  int     // closed batches, K_b
	Squares float64 // sum of squares
	V       float64 // V_b
}

// CellState is one cell of one fold of an open batch.
type CellState struct {
	Fold           int // number of the fold, from 0
	XC, XB, NC, NB float64
}

// BaselineRow is the baseline of one fold.
type BaselineRow struct{ X, N float64 }

// State returns a copy of the state. Cells added since the last CloseFold are
// not part of it: take it between folds.
func (d *Dispersion) State() DispersionState {
	st := DispersionState{Folds: d.folds, XC: d.xC, XE: d.xE}
	for _, s := range d.sums {
		st.Sums = append(st.Sums, BatchState{s.k, s.s, s.v})
	}
	oldest := d.folds - d.longest + 1 // the next fold drops the others anyway
	for i := range d.cells.n {
		if c := d.cells.at(i); c.fold >= oldest {
			st.Cells = append(st.Cells, CellState{c.fold, c.xC, c.xB, c.nC, c.nB})
		}
	}
	n := len(d.recent)
	for f := max(0, d.folds-n); f < d.folds; f++ {
		r := d.recent[f%n]
		st.Recent = append(st.Recent, BaselineRow{r.x, r.n})
	}
	return st
}

// RestoreDispersion returns the Dispersion of c that continues from st bit for
// bit. Error: ErrShape where st was taken at another cadence or is damaged, and
// those of NewDispersion.
func RestoreDispersion(c DispersionConfig, st DispersionState) (*Dispersion, error) {
	d, err := NewDispersion(c)
	if err != nil {
		return nil, err
	}
	n := len(d.recent)
	if len(st.Sums) != len(d.sums) || st.Folds < 0 || len(st.Recent) != min(st.Folds, n) {
		return nil, fmt.Errorf("%w: state of another dispersion", ErrShape)
	}
	d.folds, d.xC, d.xE = st.Folds, st.XC, st.XE
	for i, s := range st.Sums {
		d.sums[i].k, d.sums[i].s, d.sums[i].v = s.Closed, s.Squares, s.V
	}
	oldest := st.Folds - d.longest + 1
	for _, s := range st.Cells {
		if s.Fold < oldest || s.Fold >= st.Folds {
			return nil, fmt.Errorf("%w: cell of fold %d", ErrShape, s.Fold)
		}
		d.cells.push(cell{s.Fold, s.XC, s.XB, s.NC, s.NB}, oldest)
	}
	for i, r := range st.Recent {
		f := st.Folds - len(st.Recent) + i
		d.recent[f%n] = armRate{r.X, r.N}
	}
	if st.Folds > 0 {
		d.ratio = d.rateRatio()
	}
	return d, nil
}
