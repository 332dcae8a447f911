package stats

// cell is what (8) needs of one cell of one fold.
type cell struct {
	fold           int // number of the fold, from 0
	xC, xB, nC, nB float64
}

// narrowCell is a cell in half the memory.
type narrowCell struct {
	fold           uint32
	xC, xB, nC, nB float32
}

func (c cell) narrow() narrowCell {
	return narrowCell{uint32(c.fold), float32(c.xC), float32(c.xB), float32(c.nC), float32(c.nB)}
}

func (c narrowCell) cell() cell {
	return cell{int(c.fold), float64(c.xC), float64(c.xB), float64(c.nC), float64(c.nB)}
}

// ring is a queue of cells that overwrites what no open batch needs any more. It is
// most of what a Dispersion takes, and there is one for each threshold of each
// distribution: cells are kept narrow as long as nothing of them is lost by that, as of
// whole numbers below 16 million, and all of them wide from the first one on that is
// too large or no whole number.
type ring struct {
	small   []narrowCell
	wide    []cell // nil: all are small
	head, n int
}

func (r *ring) size() int { return max(len(r.small), len(r.wide)) }

func (r *ring) at(i int) cell {
	at := (r.head + i) % r.size()
	if r.wide != nil {
		return r.wide[at]
	}
	return r.small[at].cell()
}

// push appends c after dropping the cells of folds before oldest.
func (r *ring) push(c cell, oldest int) {
	for r.n > 0 && r.at(0).fold < oldest {
		r.head = (r.head + 1) % r.size()
		r.n--
	}
	if r.n == r.size() {
		r.grow(r.n + max(4, r.n/8)) // rings stay as long as they get
	}
	if r.wide == nil && c.narrow().cell() != c {
		r.widen()
	}
	at := (r.head + r.n) % r.size()
	r.n++
	if r.wide != nil {
		r.wide[at] = c
	} else {
		r.small[at] = c.narrow()
	}
}

// grow makes room for size cells.
func (r *ring) grow(size int) {
	if r.wide != nil {
		r.wide = straight(r.wide, r.head, size)
	} else {
		r.small = straight(r.small, r.head, size)
	}
	r.head = 0
}

// straight is a full queue that begins at head, in a longer one that begins at 0.
func straight[T any](full []T, head, size int) []T {
	out := make([]T, size)
	copy(out[copy(out, full[head:]):], full[:head])
	return out
}

// widen gives every cell its full width.
func (r *ring) widen() {
	wide := make([]cell, r.size())
	for i := range r.n {
		wide[i] = r.at(i)
	}
	r.small, r.wide, r.head = nil, wide, 0
}
