package tracediff

import "math"

// Scale is that of the buckets, as OpenTelemetry counts: bucket i holds the seconds in
// (g^i, g^(i+1)] with g = 2^(2^-Scale). The middle of a bucket is off by 0.54 % at most.
const Scale = 6

const perOctave = 1 << Scale

// Buckets of 64-bit nanoseconds: from below 1 ns to above 292 years.
const (
	minBucket = -30 * perOctave
	maxBucket = 34 * perOctave
)

// nanosecond is log2 of one, in buckets' octaves, split to keep the table exact: a
// duration of n nanoseconds is n * 2^-30 * (2^30/1e9) seconds.
const overGiga = float64(1<<30) / 1e9

// roots are 2^(i/64) for i in 0..64.
var roots = func() (r [perOctave + 1]float64) {
	for i := range r {
		r[i] = math.Exp2(float64(i) / perOctave)
	}
	return r
}()

// guess is the number of roots below the start of each 256th of an octave.
var guess = func() (g [256]uint8) {
	for i := range g {
		m, n := 1+float64(i)/256, 0
		for n < perOctave && roots[n+1] < m {
			n++
		}
		g[i] = uint8(n)
	}
	return g
}()

// Bucket returns the bucket of a duration of so many nanoseconds, which is above 0.
func Bucket(nanoseconds int64) int32 {
	bits := math.Float64bits(float64(nanoseconds) * overGiga)
	exponent := int32(bits>>52) - 1023 - 30
	mantissa := math.Float64frombits(bits&(1<<52-1) | 1023<<52)
	i := int32(guess[bits>>44&0xff])
	// A bound belongs to the bucket that it ends: rounding must not lift it beyond.
	for mantissa > roots[i+1]*(1+1e-14) {
		i++
	}
	if i == 0 && mantissa <= roots[0]*(1+1e-14) {
		i = -1
	}
	return exponent*perOctave + i
}

// Bound returns the upper end of a bucket in seconds.
func Bound(bucket int32) float64 {
	next := bucket + 1
	whole := next >> Scale
	return math.Ldexp(roots[next-whole<<Scale], int(whole))
}
