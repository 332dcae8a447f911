package wire

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
)

// A Kind is the type of an attribute's value.
type Kind uint8

// The kinds of values.
const (
	Empty Kind = iota // no value is set
	String
	Bool
	Int
	Double
	Bytes
	Array
	Map
)

// An Attribute is a key and its value. Keys may repeat in a list of attributes: the
// first one counts, as pdata's Get has it.
type Attribute struct {
	Key []byte
	// Value is the text of a string, boolean or number, as pdata's AsString gives it. Of
	// bytes it is the bytes themselves, of lists and maps their encoding: AppendText makes
	// text of all of them.
	Value []byte
	Kind  Kind
}

// AppendText appends what pdata's AsString says of the value: of bytes base64, of lists
// and maps JSON. Of lists and maps that lie deeper than 256 in each other, or have more than 65,536
// values, or a number that JSON has not, or are malformed, it says nothing.
func (a *Attribute) AppendText(dst []byte) []byte {
	switch a.Kind {
	case Bytes:
		return base64.StdEncoding.AppendEncode(dst, a.Value)
	case Array, Map:
		return appendJSON(dst, a.Kind, a.Value)
	}
	return append(dst, a.Value...)
}

// Fields of KeyValue and AnyValue (opentelemetry-proto, common.proto).
const (
	tagKey   = 1<<3 | wireBytes
	tagValue = 2<<3 | wireBytes

	tagString     = 1<<3 | wireBytes
	tagBool       = 2<<3 | wireVarint
	tagInt        = 3<<3 | wireVarint
	tagDouble     = 4<<3 | wireFixed64
	tagArray      = 5<<3 | wireBytes
	tagMap        = 6<<3 | wireBytes
	tagBytes      = 7<<3 | wireBytes
	tagStringIdx  = 8<<3 | wireVarint // of profiles; pdata takes it for an empty value
	fieldsOfKey   = 1<<1 | 1<<2 | 1<<3
	fieldsOfValue = 1<<1 | 1<<2 | 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8
)

// decode reads an encoded KeyValue. Numbers are written to text, which is returned.
func (a *Attribute) decode(encoded, text []byte) ([]byte, bool) {
	a.Key, a.Value, a.Kind = nil, nil, Empty
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return text, false
		}
		switch tag {
		case tagKey:
			a.Key, pos, ok = readBytes(encoded, at)
		case tagValue:
			var value []byte
			if value, pos, ok = readBytes(encoded, at); ok {
				text, ok = a.value(value, text)
			}
		default:
			pos, ok = skipUnknown(encoded, at, tag, fieldsOfKey|1<<3)
		}
		if !ok {
			return text, false
		}
	}
	return text, true
}

// plain reads what nearly all attributes are: a key and a value, in either order (pdata
// writes the value first), both shorter than 128 bytes and the value a string, or a
// small number. It reports whether it is one.
func (a *Attribute) plain(b []byte) bool {
	if len(b) < 6 || b[1] >= 0x80 {
		return false
	}
	second := 2 + int(b[1])
	if second+2 > len(b) || int(b[second+1]) != len(b)-second-2 {
		return false
	}
	key, value := b[2:second:second], b[second+2:]
	switch {
	case b[0] == tagKey && b[second] == tagValue:
	case b[0] == tagValue && b[second] == tagKey:
		key, value = value, key
	default:
		return false
	}
	switch {
	case len(value) < 2:
		return false
	case value[0] == tagString && int(value[1]) == len(value)-2 && len(value) < 0x80:
		a.Key, a.Value, a.Kind = key, value[2:], String
		return true
	case value[0] == tagInt && len(value) == 2 && value[1] < 0x80:
		a.Key, a.Value, a.Kind = key, small[value[1]], Int
		return true
	case value[0] == tagInt && len(value) == 3 && value[1] >= 0x80 && value[2] < 0x08:
		a.Key, a.Value, a.Kind = key, small[int(value[2])<<7|int(value[1]&0x7f)], Int
		return true
	}
	return false
}

var (
	trueText  = []byte("true")
	falseText = []byte("false")
)

// value reads an encoded AnyValue over what an earlier one of the same key said.
func (a *Attribute) value(encoded, text []byte) ([]byte, bool) {
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return text, false
		}
		var bits uint64
		switch tag {
		case tagString:
			a.Kind = String
			a.Value, pos, ok = readBytes(encoded, at)
		case tagBool:
			bits, pos, ok = readVarint(encoded, at)
			a.Kind, a.Value = Bool, falseText
			if bits != 0 {
				a.Value = trueText
			}
		case tagInt:
			bits, pos, ok = readVarint(encoded, at)
			a.Kind = Int
			if bits < uint64(len(small)) {
				a.Value = small[bits]
				break
			}
			start := len(text)
			text = strconv.AppendInt(text, int64(bits), 10)
			a.Value = text[start:]
		case tagDouble:
			if ok = len(encoded)-at >= 8; !ok {
				break
			}
			a.Kind = Double
			start := len(text)
			text = appendFloat(text, math.Float64frombits(binary.LittleEndian.Uint64(encoded[at:])))
			a.Value, pos = text[start:], at+8
		case tagArray:
			a.Kind = Array
			a.Value, pos, ok = readBytes(encoded, at)
		case tagMap:
			a.Kind = Map
			a.Value, pos, ok = readBytes(encoded, at)
		case tagBytes:
			a.Kind = Bytes
			a.Value, pos, ok = readBytes(encoded, at)
		case tagStringIdx:
			_, pos, ok = readVarint(encoded, at)
			a.Kind, a.Value = Empty, nil
		default:
			pos, ok = skipUnknown(encoded, at, tag, fieldsOfValue)
		}
		if !ok {
			return text, false
		}
	}
	return text, true
}

// small has the texts of the numbers that spans are full of.
var small = func() (texts [1024][]byte) {
	for i := range texts {
		texts[i] = strconv.AppendInt(nil, int64(i), 10)
	}
	return texts
}()

// appendFloat writes a number as ECMAScript does (Number::toString), which is what
// pdata and encoding/json write.
func appendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	abs := math.Abs(f)
	if abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	// A negative exponent of one digit is written without its zero.
	if n := len(dst); dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}
