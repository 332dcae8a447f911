package wire

import "encoding/binary"

// A spanRef is what is read of a span in one pass that also checks it. Its texts are where
// they are in the span's bytes, so that it holds no pointers.
type spanRef struct {
	traceID          [16]byte
	spanID, parentID [8]byte
	start, end       uint64
	item             part // of the request
	name, state      part // of the item
	kind, status     int8
}

// A part is where bytes lie in others.
type part struct{ from, to uint32 }

func (p part) of(b []byte) []byte {
	if p.from == p.to {
		return nil
	}
	return b[p.from:p.to:p.to]
}

func partOf(from, to int) part { return part{uint32(from), uint32(to)} }

const tagFlags = 16<<3 | wireFixed32 // written in two bytes

// fieldsOfSpan are all that pdata knows: one of another type is malformed.
const fieldsOfSpan = 1<<17 - 1<<1

// read reads a span, or says why it must not be shown.
func (s *spanRef) read(item []byte) error {
	attributes := 0
	for pos := 0; pos < len(item); {
		// Nearly all fields have a tag of one byte and a length of one, which is what this
		// loop reads; field reads the others.
		if pos+1 < len(item) {
			n := int(item[pos+1])
			at := pos + 2
			switch tag := item[pos]; tag {
			case tagSpanAttribute:
				if n >= 0x80 {
					break
				}
				attributes++
				if pos = at + n; pos > len(item) {
					return ErrMalformed
				}
				continue
			case tagStart, tagEnd:
				if len(item)-pos < 9 {
					return ErrMalformed
				}
				if t := binary.LittleEndian.Uint64(item[pos+1:]); tag == tagStart {
					s.start = t
				} else {
					s.end = t
				}
				pos += 9
				continue
			case tagTraceID:
				if n != 16 || len(item)-at < 16 {
					break
				}
				s.traceID = [16]byte(item[at:])
				pos = at + 16
				continue
			case tagSpanID, tagParentID:
				if n != 8 || len(item)-at < 8 {
					break
				}
				if id := [8]byte(item[at:]); tag == tagSpanID {
					s.spanID = id
				} else {
					s.parentID = id
				}
				pos = at + 8
				continue
			case tagName:
				if n >= 0x80 {
					break
				}
				if pos = at + n; pos > len(item) {
					return ErrMalformed
				}
				s.name = partOf(at, pos)
				continue
			case tagSpanKind:
				if n >= 0x80 {
					break
				}
				s.kind = enum(uint64(n), 5)
				pos = at
				continue
			case tagStatus:
				if n == 0 {
					pos = at
					continue
				}
			}
		}
		tag, at, ok := readTag(item, pos)
		if !ok {
			return ErrMalformed
		}
		if tag == tagSpanAttribute {
			attributes++
			_, pos, ok = readBytes(item, at)
		} else {
			pos, ok = s.field(item, at, tag)
		}
		if !ok {
			return ErrMalformed
		}
	}
	if attributes > maxAttributes {
		return ErrAttributes
	}
	return nil
}

// field reads a field after its tag, that is no attribute, and returns where it ends.
func (s *spanRef) field(item []byte, at int, tag uint64) (end int, ok bool) {
	var b []byte
	var n uint64
	switch tag {
	case tagTraceID, tagSpanID, tagParentID, tagState, tagName, tagStatus:
		if b, end, ok = readBytes(item, at); !ok {
			return 0, false
		}
	}
	switch tag {
	case tagTraceID: // an id has its length, or is empty, which is zero
		s.traceID = [16]byte{}
		return end, copy(s.traceID[:], b) == len(b) && len(b)&15 == 0
	case tagSpanID:
		s.spanID = [8]byte{}
		return end, copy(s.spanID[:], b) == len(b) && len(b)&7 == 0
	case tagParentID:
		s.parentID = [8]byte{}
		return end, copy(s.parentID[:], b) == len(b) && len(b)&7 == 0
	case tagState:
		s.state = partOf(end-len(b), end)
		return end, true
	case tagName:
		s.name = partOf(end-len(b), end)
		return end, true
	case tagStatus:
		s.status, ok = statusOf(b, s.status)
		return end, ok
	case tagSpanKind:
		n, end, ok = readVarint(item, at)
		s.kind = enum(n, 5)
		return end, ok
	case tagStart:
		s.start, end, ok = readFixed64(item, at)
		return end, ok
	case tagEnd:
		s.end, end, ok = readFixed64(item, at)
		return end, ok
	case 10<<3 | wireVarint, 11<<3 | wireBytes, 12<<3 | wireVarint, 13<<3 | wireBytes, 14<<3 | wireVarint, tagFlags:
		return skip(item, at, tag)
	}
	return skipUnknown(item, at, tag, fieldsOfSpan)
}
