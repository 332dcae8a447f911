package otlp

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestSortCodes: codes are sorted as slices.Sort does, few and many, and whichever of
// their bytes are alike.
func TestSortCodes(t *testing.T) {
	var p packer
	rapid.Check(t, func(t *rapid.T) {
		mask := rapid.SampledFrom([]uint32{0, 0xff, 0x1fff, 0x3f1fff, 0xff0000, 0xffffffff}).Draw(t, "mask")
		codes := rapid.SliceOfN(rapid.Uint32(), 100, 400).Draw(t, "codes")
		for i := range codes {
			codes[i] &= mask
		}
		want := slices.Sorted(slices.Values(codes))
		if p.sort(codes); !slices.Equal(codes, want) {
			t.Fatalf("%v", codes)
		}
	})
}

// TestOpNames: every name is found by what it was added with, and no other.
func TestOpNames(t *testing.T) {
	var o opNames
	for n := range opsOfWindow + 1 {
		name := "GET /" + strconv.Itoa(n)
		if o.find([]byte(name)) != nil {
			t.Fatalf("%s is known", name)
		}
		o.add(name).kinds[0] = int32(n)
	}
	for n := range opsOfWindow + 1 {
		if known := o.find([]byte("GET /" + strconv.Itoa(n))); known == nil || known.kinds[0] != int32(n) {
			t.Errorf("%d: %v", n, known)
		}
	}
	if o.find(nil) != nil || o.find([]byte("GET /x")) != nil {
		t.Error("a name is found that was not added")
	}
	if len(o.slots) < 4*len(o.names) {
		t.Errorf("%d slots for %d names", len(o.slots), len(o.names))
	}
}
