package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"
)

// A BadBatch is a record batch that must not be decoded. Its offsets are exact:
// quarantine them and read on at Last + 1.
type BadBatch struct {
	First, Last int64
	Err         error // ErrInflated, ErrBatch or the decompressor's own
}

func (b *BadBatch) Error() string {
	return fmt.Sprintf("kafka: record batch %d..%d: %v", b.First, b.Last, b.Err)
}

func (b *BadBatch) Unwrap() error { return b.Err }

// ErrBatch says that the records of a batch are not what its header promises.
var ErrBatch = errors.New("malformed record batch")

// errBudget ends a response early; it never leaves the package.
var errBudget = errors.New("the response inflates to more than its budget")

// The header of a record batch (magic 2): base offset 8, length 4, leader epoch 4,
// magic 1, crc 4, attributes 2, last offset delta 4, two timestamps 16, producer 14,
// number of records 4.
const (
	batchHeader     = 61
	atLength        = 8
	atMagic         = 16
	atAttributes    = 21
	atLastDelta     = 23
	atRecords       = 57
	minRecord       = 7 // length, attributes, two deltas, key, value, headers: a byte each
	minHeader       = 2
	transactional   = int16(protocol.Transactional)
	control         = int16(protocol.Control)
	compressionMask = 7
)

// checkBatch walks one whole batch as kafka-go will, and refuses what would make
// kafka-go panic or allocate beyond reason. It returns what the batch inflates to.
// The checksum is left to kafka-go: a mismatch there is damage on the way, to be
// fetched again, not something to skip.
func checkBatch(b []byte, budget int) (inflated int, err error) {
	base := int64(binary.BigEndian.Uint64(b))
	delta := int32(binary.BigEndian.Uint32(b[atLastDelta:]))
	count := int32(binary.BigEndian.Uint32(b[atRecords:]))
	attributes := int16(binary.BigEndian.Uint16(b[atAttributes:]))
	bad := func(err error) error { return &BadBatch{First: base, Last: base + int64(max(delta, 0)), Err: err} }

	if b[atMagic] != 2 {
		return 0, bad(fmt.Errorf("%w: message format %d, only 2 is read", ErrBatch, b[atMagic]))
	}
	if base < 0 || delta < 0 || count < 0 || int64(count) > int64(delta)+1 {
		return 0, bad(fmt.Errorf("%w: %d records in %d offsets", ErrBatch, count, int64(delta)+1))
	}
	records := b[batchHeader:]
	if c := compress.Compression(attributes & compressionMask); c != compress.None {
		codec := c.Codec()
		if codec == nil {
			return 0, bad(fmt.Errorf("%w: unknown compression %d", ErrBatch, c))
		}
		r := codec.NewReader(bytes.NewReader(records))
		defer r.Close()
		records, err = io.ReadAll(io.LimitReader(r, int64(budget)+1))
		if err != nil {
			return 0, bad(err)
		}
		if len(records) > budget {
			return 0, errBudget
		}
	}
	if int64(count)*minRecord > int64(len(records)) {
		return 0, bad(fmt.Errorf("%w: %d records in %d bytes", ErrBatch, count, len(records)))
	}
	w := walker{rest: records}
	for i := range count {
		w.record()
		if w.failed {
			return 0, bad(fmt.Errorf("%w: record %d of %d", ErrBatch, i+1, count))
		}
	}
	return len(records), nil
}

// A walker steps over the fields of records without copying any.
type walker struct {
	rest   []byte
	failed bool
}

func (w *walker) record() {
	w.varint() // length: kafka-go does not look at it
	w.skip(1)  // attributes
	w.varint() // timestamp
	if w.varint() < 0 {
		w.failed = true // offset delta
	}
	w.nullable()
	w.nullable()
	headers := w.varint()
	if headers < 0 || headers > int64(len(w.rest)/minHeader) {
		w.failed = true
		return
	}
	for range headers {
		w.skip(w.varint())
		w.nullable()
		if w.failed {
			return
		}
	}
}

func (w *walker) varint() int64 {
	v, n := binary.Varint(w.rest)
	if n <= 0 {
		w.failed = true
		return 0
	}
	w.rest = w.rest[n:]
	return v
}

// nullable skips a byte string whose length may be -1.
func (w *walker) nullable() {
	if n := w.varint(); n != -1 {
		w.skip(n)
	}
}

func (w *walker) skip(n int64) {
	if w.failed || n < 0 || n > int64(len(w.rest)) {
		w.failed = true
		return
	}
	w.rest = w.rest[n:]
}
