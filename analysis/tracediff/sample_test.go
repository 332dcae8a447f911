package tracediff

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The bound is the Size-th smallest of different hashes, in any order.
func TestQuota(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int{0, 1, 9, 10, 11, 1000} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = rng.Uint64()
		}
		want := uint64(All)
		if n >= 10 {
			want = slices.Sorted(slices.Values(hashes))[9]
		}
		for range 3 {
			rng.Shuffle(n, func(i, j int) { hashes[i], hashes[j] = hashes[j], hashes[i] })
			q := Quota{Size: 10}
			for _, h := range append(hashes, hashes...) {
				q.See(h)
			}
			if got := q.Bound(); got != want {
				t.Errorf("of %d hashes the bound is %x, want %x", n, got, want)
			}
		}
	}
}

// Half of the traces are below half of the range, also where a sampler upstream chose them
// by the last bytes of their ids, as OpenTelemetry's does, or by the first.
func TestHashesAreEven(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for name, id := range map[string]func() [16]byte{
		"random": func() (id [16]byte) {
			binary.BigEndian.PutUint64(id[:8], rng.Uint64())
			binary.BigEndian.PutUint64(id[8:], rng.Uint64())
			return id
		},
		"of a head sampler": func() (id [16]byte) {
			binary.BigEndian.PutUint64(id[:8], rng.Uint64())
			binary.BigEndian.PutUint64(id[8:], rng.Uint64()|0x00ffff0000000000)
			return id
		},
		"of 64 bits": func() (id [16]byte) { binary.BigEndian.PutUint64(id[8:], rng.Uint64()); return id },
		"counted":    func() (id [16]byte) { binary.BigEndian.PutUint64(id[8:], rng.Uint64()>>44); return id },
	} {
		const n = 100_000
		for _, share := range []float64{.5, .01} {
			below := 0.
			for range n {
				if Hash(id()) < uint64(math.Ldexp(share, 64)) {
					below++
				}
			}
			if sigma := math.Sqrt(n * share * (1 - share)); math.Abs(below-n*share) > 5*sigma {
				t.Errorf("%s: %v of %d below %v", name, below, n, share)
			}
		}
	}
	if Share(All) != 1 || Share(1<<63) != .5 {
		t.Error("shares are wrong")
	}
}

func TestWeights(t *testing.T) {
	for state, want := range map[string]float64{
		"": 1, "ot=th:0": 1, "ot=th:8": 2, "ot=th:c": 4, "ot=th:fd70a3d70a3d71": 100, "a=b,ot=rv:1;th:e , c=d": 8,
		"ot=th:": 1, "ot=th:xyz": 1, "ot=th:123456789012345": 1, "other=th:8": 1, "ot=p:8": 1, "ot=th:ffffffffffffff": 1e6,
	} {
		w, _ := Weight([]byte(state))
		if got := float64(w) / OneWeight; math.Abs(got-want) > 0.001*want {
			t.Errorf("%q: weight %v, want %v", state, got, want)
		}
	}
	if _, known := Weight([]byte("ot=th:0")); !known {
		t.Error("a weight of 1 that is told is not known")
	}
	if bad, n := Effective(4, 8, 16); bad != 2 || n != 4 {
		t.Errorf("weights of 2: %v of %v", bad, n)
	}
}

func TestTail(t *testing.T) {
	for _, c := range []struct {
		name           string
		spans, counter Counted
		want           bool
	}{
		{"all are there", Counted{10_000, 50}, Counted{10_000, 50}, false},
		{"a tenth, by chance", Counted{1000, 6}, Counted{10_000, 50}, false},
		{"a tenth, all errors among them", Counted{1000, 50}, Counted{10_000, 50}, true},
		{"few", Counted{10, 10}, Counted{100, 10}, false},
		{"nothing is counted beside them", Counted{1000, 500}, Counted{}, false},
		{"no spans", Counted{}, Counted{10_000, 50}, false},
		{"errors are missing", Counted{5000, 0}, Counted{10_000, 5000}, false},
	} {
		if why := Tail(c.spans, c.counter); (why != "") != c.want {
			t.Errorf("%s: %q", c.name, why)
		}
	}
	for key, want := range map[string]bool{"tailsampling.policy": true, "sampling.policy.name": true, "http.route": false, "sampler.type": false} {
		if TailAttribute([]byte(key)) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
}
