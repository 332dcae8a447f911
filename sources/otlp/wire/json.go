package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
)

// What has a text is bounded, because a value of two bytes becomes one of fifty: deeper
// ones and larger ones have none.
const (
	maxNesting = 256     // of lists and maps in each other
	maxValues  = 1 << 16 // in all
)

// A jsonReader makes of an encoded value what encoding/json knows how to write.
type jsonReader struct{ left int }

// appendJSON writes an encoded ArrayValue or KeyValueList as JSON.
func appendJSON(dst []byte, kind Kind, encoded []byte) []byte {
	r := jsonReader{left: maxValues}
	var raw any
	var ok bool
	if kind == Array {
		raw, ok = r.array(encoded, 1)
	} else {
		raw, ok = r.pairs(encoded, 1)
	}
	if !ok {
		return dst
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(raw) != nil { // a number that JSON does not have
		return dst
	}
	return append(dst, bytes.TrimSuffix(buf.Bytes(), []byte{'\n'})...)
}

func (r *jsonReader) array(encoded []byte, depth int) ([]any, bool) {
	out := []any{}
	ok := eachMessage(encoded, 1, func(value []byte) bool {
		raw, ok := r.value(value, nil, depth)
		out = append(out, raw)
		return ok
	})
	return out, ok
}

func (r *jsonReader) pairs(encoded []byte, depth int) (map[string]any, bool) {
	out := map[string]any{}
	ok := eachMessage(encoded, 1, func(pair []byte) bool {
		if r.left--; r.left < 0 {
			return false
		}
		var key string
		var value any
		for pos := 0; pos < len(pair); {
			tag, at, ok := readTag(pair, pos)
			if !ok {
				return false
			}
			var b []byte
			switch tag {
			case tagKey:
				b, pos, ok = readBytes(pair, at)
				key = string(b)
			case tagValue:
				if b, pos, ok = readBytes(pair, at); ok {
					value, ok = r.value(b, value, depth)
				}
			default:
				pos, ok = skipUnknown(pair, at, tag, fieldsOfKey)
			}
			if !ok {
				return false
			}
		}
		out[key] = value
		return true
	})
	return out, ok
}

// value reads an AnyValue over what an earlier part of it said.
func (r *jsonReader) value(encoded []byte, raw any, depth int) (any, bool) {
	if r.left--; r.left < 0 || depth > maxNesting {
		return nil, false
	}
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return nil, false
		}
		var b []byte
		var bits uint64
		switch tag {
		case tagString:
			b, pos, ok = readBytes(encoded, at)
			raw = string(b)
		case tagBool:
			bits, pos, ok = readVarint(encoded, at)
			raw = bits != 0
		case tagInt:
			bits, pos, ok = readVarint(encoded, at)
			raw = int64(bits)
		case tagDouble:
			if ok = len(encoded)-at >= 8; ok {
				raw, pos = math.Float64frombits(binary.LittleEndian.Uint64(encoded[at:])), at+8
			}
		case tagArray:
			if b, pos, ok = readBytes(encoded, at); ok {
				raw, ok = r.array(b, depth+1)
			}
		case tagMap:
			if b, pos, ok = readBytes(encoded, at); ok {
				raw, ok = r.pairs(b, depth+1)
			}
		case tagBytes:
			if b, pos, ok = readBytes(encoded, at); len(b) == 0 {
				b = nil // pdata writes no bytes as null
			}
			raw = b
		case tagStringIdx:
			_, pos, ok = readVarint(encoded, at)
			raw = nil
		default:
			pos, ok = skipUnknown(encoded, at, tag, fieldsOfValue)
		}
		if !ok {
			return nil, false
		}
	}
	return raw, true
}

// eachMessage calls f with every field of that number in a message that has no other.
func eachMessage(encoded []byte, number int, f func([]byte) bool) bool {
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return false
		}
		if tag == uint64(number)<<3|wireBytes {
			var b []byte
			if b, pos, ok = readBytes(encoded, at); ok {
				ok = f(b)
			}
		} else {
			pos, ok = skipUnknown(encoded, at, tag, 1<<number)
		}
		if !ok {
			return false
		}
	}
	return true
}
