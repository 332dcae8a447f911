package tracediff

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Every duration lies in its bucket, whose middle is at most 1 % off, and bounds belong to
// the bucket that they end.
func TestBuckets(t *testing.T) {
	check := func(n int64) {
		b, seconds := Bucket(n), float64(n)/1e9
		if low, high := Bound(b-1), Bound(b); seconds <= low*(1-1e-12) || seconds > high*(1+1e-12) {
			t.Fatalf("%d ns is in bucket %d, (%v, %v]", n, b, low, high)
		}
		if b < minBucket || b > maxBucket {
			t.Fatalf("%d ns is in bucket %d", n, b)
		}
	}
	for n := int64(1); n < 100_000; n++ {
		check(n)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 1_000_000 {
		check(1 + rng.Int64()>>rng.IntN(63))
	}
	check(math.MaxInt64)
	for seconds, want := range map[int64]int32{1: -1, 2: 63, 4: 127, 8: 191} {
		if b := Bucket(seconds * 1e9); b != want {
			t.Errorf("%d s is in bucket %d, want %d", seconds, b, want)
		}
		if Bucket(seconds*1e9+1) != want+1 {
			t.Errorf("what is above %d s is not in the next bucket", seconds)
		}
	}
	if worst := (Bound(0) - Bound(-1)) / (Bound(0) + Bound(-1)); worst > 0.0055 {
		t.Errorf("a bucket's middle is %v off", worst)
	}
}

func TestSketchesTellQuantilesWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		var all, half Sketch
		var values []int64
		for i := range 1 + rng.IntN(500) {
			v := int64(math.Exp(rng.NormFloat64()*3) * 1e6)
			if rng.IntN(20) == 0 {
				v = 0
			}
			values = append(values, v)
			if i%2 == 0 {
				half.Add(v)
			} else {
				all.Add(v)
			}
		}
		all.Merge(&half)
		var once Sketch
		for _, v := range values {
			once.Add(v)
		}
		if once.Histogram().Total() != float64(len(values)) || !reflect.DeepEqual(once.Histogram(), all.Histogram()) {
			rt.Fatalf("merged %+v, not %+v", all.Histogram(), once.Histogram())
		}
		if err := all.Histogram().Validate(); err != nil {
			rt.Fatal(err)
		}
		slices.Sort(values)
		for _, p := range []float64{.5, .9, .95, .99, 1} {
			want := float64(values[int(math.Ceil(p*float64(len(values))))-1]) / 1e9
			if got := all.Quantile(p); math.Abs(got-want) > 0.01*want {
				rt.Fatalf("the %v-quantile is %v, want %v", p, got, want)
			}
		}
		for b := Bucket(1e6); b < Bucket(1e9); b += 16 {
			n := uint64(0)
			for _, v := range values {
				if v > 0 && Bucket(v) > b {
					n++
				}
			}
			if got := all.Above(b); got != n {
				rt.Fatalf("%d above %v, want %d", got, Bound(b), n)
			}
		}
	})
}
