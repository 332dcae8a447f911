package tracediff

import (
	"bytes"
	"math"
	"math/bits"
)

// OneWeight is the weight of a span that stands for itself, in the unit of [Weight].
// Weights are whole numbers, so that sums do not depend on the order.
const OneWeight = 1 << 12

// maxWeight is what a span can stand for at most: a million.
const maxWeight = OneWeight * 1_000_000

// Weight returns how many spans a sampled one stands for, in units of 1/[OneWeight], as
// its tracestate tells: ot=th:T, where T are up to 14 hexadecimal digits, trailing zeros
// left out, of the share of 2^56 that was rejected (OpenTelemetry, consistent probability
// sampling). Without one, or with one that cannot be read, it is [OneWeight]. Known says
// whether it was told, if only to be 1. The weight is rounded to 11 significant bits
// (0.05 %), so that few are told apart.
func Weight(state []byte) (weight uint64, known bool) {
	for len(state) > 0 {
		var member []byte
		member, state, _ = bytes.Cut(state, []byte{','})
		member = bytes.TrimSpace(member)
		if len(member) < 3 || string(member[:3]) != "ot=" {
			continue
		}
		for member = member[3:]; len(member) > 0; {
			var field []byte
			field, member, _ = bytes.Cut(member, []byte{';'})
			if len(field) > 3 && string(field[:3]) == "th:" {
				return weightOf(field[3:])
			}
		}
	}
	return OneWeight, false
}

func weightOf(digits []byte) (uint64, bool) {
	if len(digits) > 14 {
		return OneWeight, false
	}
	var threshold uint64
	for i := range 14 {
		threshold <<= 4
		if i >= len(digits) {
			continue
		}
		switch c := digits[i]; {
		case '0' <= c && c <= '9':
			threshold |= uint64(c - '0')
		case 'a' <= c && c <= 'f':
			threshold |= uint64(c - 'a' + 10)
		default:
			return OneWeight, false
		}
	}
	weight := math.Ldexp(1, 56) / float64(1<<56-threshold) * OneWeight
	if weight >= maxWeight {
		return maxWeight, true
	}
	rounded := uint64(math.Round(weight))
	if spare := bits.Len64(rounded) - 13; spare > 0 {
		half := uint64(1) << (spare - 1)
		rounded = (rounded + half) >> spare << spare
	}
	return rounded, true
}

// Effective turns weighted counts into those of as many equal spans as tell as much
// (Kish 1965): sum is that of the weights, squares that of their squares. The share of
// events among them is that of the weighted ones; the number is (sum w)^2 / sum w^2, which
// is the same as a dispersion multiplied by sum w^2 / sum w.
func Effective(events, sum, squares float64) (bad, exposure float64) {
	if squares <= 0 {
		return 0, 0
	}
	scale := sum / squares
	return events * scale, sum * scale
}
