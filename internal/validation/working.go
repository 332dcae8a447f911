package validation

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"

	"github.com/release-assay/assay/analysis"
)

// working remembers what is being worked on in a file that outlives the process, not
// the machine: who begins a look writes its validation and place into a slot, and
// clears the slot when it is done. What an opened file still holds was under way when
// the process was killed, and may have killed it. A write costs about a microsecond,
// since nothing is synced: a power loss is nobody's look's fault.
type working struct {
	mu   sync.Mutex
	file *os.File
	free []int
	next int
}

// notALook is the place of work that is not a look of the spool: making a plan, or
// restoring a checkpoint.
const notALook = -1

const slotSize = 64 // a validation id is 36 bytes long

// openWorking opens the file, and returns by validation at which byte of its spool
// what was under way begins. Anything that cannot be read says nothing.
func openWorking(path string) (*working, map[analysis.ValidationID]int64, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("working: %w", err)
	}
	slots, err := io.ReadAll(io.LimitReader(file, 1<<20))
	if err = errors.Join(err, file.Truncate(0)); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("working: %w", err), file.Close())
	}
	return &working{file: file}, underWay(slots), nil
}

func underWay(slots []byte) map[analysis.ValidationID]int64 {
	left := map[analysis.ValidationID]int64{}
	for ; len(slots) >= slotSize; slots = slots[slotSize:] {
		id, at, ok := bytes.Cut(bytes.TrimRight(slots[:slotSize], " "), []byte{' '})
		place, err := strconv.ParseInt(string(at), 10, 64)
		if ok && err == nil && place >= notALook && len(id) > 0 {
			left[analysis.ValidationID(id)] = place
		}
	}
	return left
}

// begin marks work on a validation and returns its slot.
func (w *working) begin(id analysis.ValidationID, at int64) int {
	w.mu.Lock()
	slot := w.next
	if n := len(w.free); n > 0 {
		slot, w.free = w.free[n-1], w.free[:n-1]
	} else {
		w.next++
	}
	w.mu.Unlock()
	w.move(slot, id, at)
	return slot
}

// move says that the work in a slot has come to another look. A slot that cannot be
// written marks nothing, and that is all: the work itself needs no mark.
func (w *working) move(slot int, id analysis.ValidationID, at int64) {
	var line [slotSize]byte
	copy(line[:], bytes.Repeat([]byte{' '}, slotSize))
	copy(line[:], fmt.Appendf(nil, "%s %d", id, at))
	_, _ = w.file.WriteAt(line[:], int64(slot)*slotSize)
}

func (w *working) end(slot int) {
	_, _ = w.file.WriteAt(bytes.Repeat([]byte{' '}, slotSize), int64(slot)*slotSize)
	w.mu.Lock()
	w.free = append(w.free, slot)
	w.mu.Unlock()
}

func (w *working) close() error { return w.file.Close() }
