package wire

// maxAttributes bounds how many attributes one span, record or resource may have; SDKs
// stop at 128.
const maxAttributes = 4096

// attributes are found first and decoded when they are asked for.
type attributes struct {
	encoded [][]byte // each a KeyValue
	decoded []Attribute
	text    []byte // what numbers were written to
	found   bool   // in what they are in
	asked   bool
	bad     bool // one was malformed since the walk began
}

func (a *attributes) reset() { a.encoded, a.found, a.asked = a.encoded[:0], false, false }

// within returns the attributes of a message that was checked, which are its fields of
// that tag.
func (a *attributes) within(message []byte, field uint64) []Attribute {
	for pos := 0; !a.found && pos < len(message); {
		tag, at, ok := readTag(message, pos)
		if ok && tag == field {
			var b []byte
			b, pos, ok = readBytes(message, at)
			a.encoded = append(a.encoded, b)
		} else if ok {
			pos, ok = skip(message, at, tag)
		}
		if !ok {
			break
		}
	}
	a.found = true
	return a.all()
}

func (a *attributes) all() []Attribute {
	if a.asked {
		return a.decoded
	}
	a.asked = true
	if cap(a.decoded) < len(a.encoded) {
		a.decoded = make([]Attribute, 2*len(a.encoded))
	}
	decoded, n := a.decoded[:len(a.encoded)], 0
	a.text = a.text[:0]
	for _, encoded := range a.encoded {
		if next := &decoded[n]; !next.plain(encoded) {
			var ok bool
			if a.text, ok = next.decode(encoded, a.text); !ok {
				a.bad = true
				continue
			}
		}
		n++
	}
	a.decoded = decoded[:n]
	return a.decoded
}
