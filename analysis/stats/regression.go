package stats

import "math"

// Moments are the running sums of a series about its first value, from which mean
// and spread follow, and, subtracted, those of the values after a snapshot. The
// zero value is the empty series.
type Moments struct {
	N          float64
	Origin     float64 // the first value
	Sum, SumSq float64 // of value - Origin, and of its square
}

// Add takes in a value. What is not finite is refused with ErrParameter.
func (m *Moments) Add(v float64) error {
	if math.IsNaN(v) || math.Abs(v) > maxT {
		return ErrParameter
	}
	if m.N == 0 {
		m.Origin = v
	}
	d := v - m.Origin
	m.N++
	m.Sum += d
	m.SumSq += float64(d * d)
	return nil
}

// Since returns the moments of the values after the snapshot earlier.
func (m Moments) Since(earlier Moments) Moments {
	if earlier.N == 0 {
		return m
	}
	return Moments{N: m.N - earlier.N, Origin: m.Origin, Sum: m.Sum - earlier.Sum, SumSq: m.SumSq - earlier.SumSq}
}

// Mean is NaN for the empty series.
func (m Moments) Mean() float64 { return m.Origin + m.Sum/m.N }

// SS is the sum of squares about the mean, never negative.
func (m Moments) SS() float64 {
	if m.N < 2 {
		return 0
	}
	return max(0, m.SumSq-float64(m.Sum*m.Sum)/m.N)
}

// SlopeSums are the running sums of a regression of y on x with an intercept, both
// about their first value, and subtract like Moments.
type SlopeSums struct {
	N, X0, Y0        float64
	X, Y, XX, XY, YY float64
}

// Add takes in a point. What is not finite is refused with ErrParameter.
func (r *SlopeSums) Add(x, y float64) error {
	if math.IsNaN(x) || math.IsNaN(y) || math.Abs(x) > maxT || math.Abs(y) > maxT {
		return ErrParameter
	}
	if r.N == 0 {
		r.X0, r.Y0 = x, y
	}
	dx, dy := x-r.X0, y-r.Y0
	r.N++
	r.X += dx
	r.Y += dy
	r.XX += float64(dx * dx)
	r.XY += float64(dx * dy)
	r.YY += float64(dy * dy)
	return nil
}

// Since returns the sums of the points after the snapshot earlier.
func (r SlopeSums) Since(earlier SlopeSums) SlopeSums {
	if earlier.N == 0 {
		return r
	}
	return SlopeSums{
		N: r.N - earlier.N, X0: r.X0, Y0: r.Y0,
		X: r.X - earlier.X, Y: r.Y - earlier.Y, XX: r.XX - earlier.XX, XY: r.XY - earlier.XY, YY: r.YY - earlier.YY,
	}
}

// Fit returns the least-squares slope, the residual sum of squares s of x given the
// intercept, and the residual standard deviation on N-2 degrees of freedom. All are
// NaN below 3 points or where all x are equal.
func (r SlopeSums) Fit() (slope, s, sigma float64) {
	if r.N < 3 {
		return math.NaN(), math.NaN(), math.NaN()
	}
	s = r.XX - float64(r.X*r.X)/r.N
	if !(s > 1e-12*r.XX) {
		return math.NaN(), math.NaN(), math.NaN()
	}
	slope = (r.XY - float64(r.X*r.Y)/r.N) / s
	ss := max(0, r.YY-float64(r.Y*r.Y)/r.N-float64(slope*slope*s))
	return slope, s, math.Sqrt(ss / (r.N - 2))
}
