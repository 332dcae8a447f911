package bundle

import (
	"bytes"
	"errors"
	"testing"

	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzFile reads files as they lie on a disk, most with a wrong seal: what is refused
// is refused as damaged or too large, and nothing but the file itself is accepted.
func FuzzFile(f *testing.F) {
	file := write(f, contents(f, 3))
	for _, at := range []int{0, 1, len(file) / 2, len(file) - sealSize, len(file) - 1} {
		f.Add(file, at, byte(1))
	}
	f.Add(file[:len(file)-1], 0, byte(0))
	f.Add([]byte{}, 0, byte(0))
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		damaged := bytes.Clone(data)
		if at >= 0 && at < len(damaged) {
			damaged[at] ^= flip
		}
		fuzztest.Within(t, func() {
			b, err := Read(bytes.NewReader(damaged), int64(len(damaged)))
			if err != nil {
				if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge) {
					t.Fatalf("an error of no kind: %v", err)
				}
				return
			}
			if bytes.Equal(data, file) && !bytes.Equal(damaged, file) {
				t.Fatalf("byte %d was changed, and the bundle is accepted", at)
			}
			for _, err := range b.Looks() {
				if err != nil {
					return
				}
			}
		})
	})
}
