package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is the error of bytes that are no export request.
var ErrMalformed = errors.New("not a valid protobuf message of OTLP")

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireStart   = 3 // of a group
	wireEnd     = 4
	wireFixed32 = 5
)

// readVarint reads a number at pos and returns where it ends. As pdata it ignores bits
// beyond the 64th.
func readVarint(b []byte, pos int) (n uint64, end int, ok bool) {
	if pos < len(b) && b[pos] < 0x80 {
		return uint64(b[pos]), pos + 1, true
	}
	return readLongVarint(b, pos)
}

func readLongVarint(b []byte, pos int) (n uint64, end int, ok bool) {
	for shift := uint(0); shift < 64; shift += 7 {
		if pos >= len(b) {
			return 0, 0, false
		}
		c := b[pos]
		pos++
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n, pos, true
		}
	}
	return 0, 0, false
}

// readTag reads the number and wire type of a field.
func readTag(b []byte, pos int) (tag uint64, end int, ok bool) {
	if pos < len(b) && b[pos] < 0x80 {
		return uint64(b[pos]), pos + 1, b[pos] >= 8
	}
	tag, end, ok = readLongVarint(b, pos)
	number := int32(tag >> 3)
	return uint64(uint32(number))<<3 | tag&7, end, ok && number > 0
}

// readBytes reads a length and that many bytes.
func readBytes(b []byte, pos int) (value []byte, end int, ok bool) {
	n, pos, ok := readVarint(b, pos)
	if !ok || n > uint64(len(b)-pos) {
		return nil, 0, false
	}
	end = pos + int(n)
	return b[pos:end:end], end, true
}

func readFixed64(b []byte, pos int) (n uint64, end int, ok bool) {
	if len(b)-pos < 8 {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(b[pos:]), pos + 8, true
}

// skipUnknown skips a field after its tag. It fails if the field is one of the known
// (bits by number), which then has the wrong type.
func skipUnknown(b []byte, pos int, tag, known uint64) (end int, ok bool) {
	if number := tag >> 3; number < 64 && known>>number&1 == 1 {
		return 0, false
	}
	return skip(b, pos, tag)
}

// skip skips a field after its tag. Groups, which OTLP never had, are read as pdata
// reads them: one that is empty and not at the end of its message is skipped, and a field
// in one ends it, so that its own end is then one too many.
func skip(b []byte, pos int, tag uint64) (end int, ok bool) {
	for depth := 0; ; {
		switch tag & 7 {
		case wireVarint:
			_, pos, ok = readVarint(b, pos)
			return pos, ok
		case wireFixed64:
			return pos + 8, len(b)-pos >= 8
		case wireBytes:
			_, pos, ok = readBytes(b, pos)
			return pos, ok
		case wireFixed32:
			return pos + 4, len(b)-pos >= 4
		case wireStart:
			depth++
		case wireEnd:
			depth--
		default:
			return 0, false
		}
		if depth < 0 || pos >= len(b) {
			return 0, false
		}
		if depth == 0 {
			return pos, true
		}
		if tag, pos, ok = readTag(b, pos); !ok {
			return 0, false
		}
	}
}
