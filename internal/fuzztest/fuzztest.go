// Package fuzztest holds fuzz targets to the bounds that every decoder has, whatever
// comes in: a second and 64 MiB for one input. It knows no decoder.
package fuzztest

import (
	"runtime/metrics"
	"testing"
	"time"
)

const (
	// MaxTime is what one input may take.
	MaxTime = time.Second
	// MaxBytes is what may be allocated for one input, all together: more than what is
	// held at any instant.
	MaxBytes = 64 << 20
)

// Within runs f, which must do the same whenever it is called, and fails the test where
// it takes too long or too much memory. What is slow once and fast at a second try was
// held up by the machine.
func Within(t *testing.T, f func()) {
	t.Helper()
	took, bytes := measure(f)
	if took > MaxTime {
		again, _ := measure(f)
		took = min(took, again)
	}
	if took > MaxTime {
		t.Fatalf("took %v, at most %v is allowed", took, MaxTime)
	}
	if bytes > MaxBytes {
		t.Fatalf("allocated %d MiB, at most %d are allowed", bytes>>20, MaxBytes>>20)
	}
}

func measure(f func()) (time.Duration, uint64) {
	before, began := allocated(), time.Now()
	f()
	return time.Since(began), allocated() - before
}

func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
