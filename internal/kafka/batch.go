package kafka

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/segmentio/kafka-go/compress"
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

var (
	// ErrBatch says that the records of a batch are not what its header promises.
	ErrBatch = errors.New("malformed record batch")
	// ErrRecords says that a batch has more than MaxRecords records. A record of
	// seven bytes costs hundreds once it is decoded and stored.
	ErrRecords = errors.New("the batch has more than 20000 records")

	// errBudget ends a response early; it never leaves the package.
	errBudget = errors.New("the response is larger than its budget")
)

// MaxRecords is how many records one batch, and one fetch, may have.
const MaxRecords = 20_000

// maxHeaders is how many headers one record may have.
const maxHeaders = 1000

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
	compressionMask = 7
)

// A budget is what is left for the batches of one response.
type budget struct{ bytes, records int }

// checkBatch walks one whole batch as kafka-go will, and refuses what would make
// kafka-go panic or allocate beyond reason. It holds nothing of the batch in
// memory. The checksum is left to kafka-go: a mismatch there is damage on the way,
// to be fetched again, not something to skip.
func checkBatch(b []byte, left *budget) error {
	base := int64(binary.BigEndian.Uint64(b))
	delta := int32(binary.BigEndian.Uint32(b[atLastDelta:]))
	count := int32(binary.BigEndian.Uint32(b[atRecords:]))
	attributes := int16(binary.BigEndian.Uint16(b[atAttributes:]))
	bad := func(err error) error { return &BadBatch{First: base, Last: base + int64(max(delta, 0)), Err: err} }

	switch {
	case b[atMagic] != 2:
		return bad(fmt.Errorf("%w: message format %d, only 2 is read", ErrBatch, b[atMagic]))
	case base < 0 || delta < 0 || count < 0 || int64(count) > int64(delta)+1:
		return bad(fmt.Errorf("%w: %d records in %d offsets", ErrBatch, count, int64(delta)+1))
	case count > MaxRecords:
		return bad(fmt.Errorf("%w: %d", ErrRecords, count))
	case int(count) > left.records:
		return errBudget
	}
	records := io.Reader(bytes.NewReader(b[batchHeader:]))
	if c := compress.Compression(attributes & compressionMask); c != compress.None {
		codec := c.Codec()
		if codec == nil {
			return bad(fmt.Errorf("%w: unknown compression %d", ErrBatch, c))
		}
		inflating := codec.NewReader(records)
		defer inflating.Close()
		records = inflating
	}
	w := walker{buffer: bufio.NewReader(records)}
	for i := range count {
		w.record()
		if w.err == io.EOF || w.err == io.ErrUnexpectedEOF {
			w.err = ErrBatch
		}
		if w.err != nil {
			return bad(fmt.Errorf("record %d of %d: %w", i+1, count, w.err))
		}
	}
	// kafka-go inflates what follows the records too.
	rest, err := io.Copy(io.Discard, w.buffer)
	if err != nil {
		return bad(err)
	}
	size := w.size + int(rest)
	switch {
	case size > maxResponse: // never compressed: the decompressors stop before
		return bad(ErrInflated)
	case size > left.bytes:
		return errBudget
	}
	left.bytes -= size
	left.records -= int(count)
	return nil
}

// A walker steps over the fields of records without keeping any.
type walker struct {
	buffer *bufio.Reader
	size   int // bytes so far
	err    error
}

func (w *walker) record() {
	w.varint()          // length: kafka-go does not look at it
	w.skip(1)           // attributes
	w.varint()          // timestamp
	if w.varint() < 0 { // offset
		w.fail()
	}
	w.nullable()
	w.nullable()
	headers := w.varint()
	if headers < 0 || headers > maxHeaders {
		w.fail() // kafka-go makes room for them before it reads any
		return
	}
	for range headers {
		w.skip(w.varint())
		w.nullable()
	}
}

func (w *walker) fail() {
	if w.err == nil {
		w.err = ErrBatch
	}
}

func (w *walker) ReadByte() (byte, error) {
	b, err := w.buffer.ReadByte()
	if err == nil {
		w.size++
	}
	return b, err
}

func (w *walker) varint() int64 {
	if w.err != nil {
		return 0
	}
	v, err := binary.ReadVarint(w) // at most 10 bytes
	w.err = err
	return v
}

// nullable skips a byte string whose length may be -1.
func (w *walker) nullable() {
	if n := w.varint(); n != -1 {
		w.skip(n)
	}
}

func (w *walker) skip(n int64) {
	switch {
	case w.err != nil:
	case n < 0 || n > math.MaxInt32:
		w.fail()
	default:
		var skipped int
		skipped, w.err = w.buffer.Discard(int(n))
		w.size += skipped
	}
}
