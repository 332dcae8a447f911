package wire

// itemFields are the fields of records by number: their wire types, and of
// which of them more is checked than that they are whole.
type itemFields [32]struct{ wire, also uint8 }

// What more is checked of a field.
const (
	anything = iota
	anID16
	anID8
	anAttribute
)

const noField = 0xff

// fieldsOf makes the table of a message from its fields: number, wire type, what more.
func fieldsOf(fields ...[3]uint8) (t itemFields) {
	for i := range t {
		t[i].wire = noField
	}
	for _, f := range fields {
		t[f[0]].wire, t[f[0]].also = f[1], f[2]
	}
	return t
}

// checkItem returns why an item must not be shown.
func checkItem(item []byte, fields *itemFields) error {
	attributes := 0
	for pos := 0; pos < len(item); {
		// Nearly all fields have a tag of one byte and a length of one.
		tag := item[pos]
		if tag < 0x80 && fields[tag>>3].wire == wireFixed64 && tag&7 == wireFixed64 {
			if pos += 9; pos > len(item) {
				return ErrMalformed
			}
			continue
		}
		if tag < 0x80 && pos+1 < len(item) && item[pos+1] < 0x80 {
			f := &fields[tag>>3]
			if f.wire == tag&7 {
				switch tag & 7 {
				case wireBytes:
					value := pos + 2
					pos = value + int(item[pos+1])
					if pos > len(item) {
						return ErrMalformed
					}
					if f.also == anAttribute {
						attributes++
					} else if f.also != anything && !checkField(item[value:pos], f.also) {
						return ErrMalformed
					}
					continue
				case wireVarint:
					pos += 2
					continue
				}
			}
		}
		long, at, ok := readTag(item, pos)
		if !ok {
			return ErrMalformed
		}
		f := &noFields
		if long < uint64(len(fields))<<3 && fields[long>>3].wire != noField {
			if f = &fields[long>>3]; uint64(f.wire) != long&7 {
				return ErrMalformed
			}
		}
		pos, ok = skip(item, at, long)
		if ok && f.also == anAttribute {
			attributes++
		} else if ok && f.also != anything {
			var b []byte
			b, _, _ = readBytes(item, at)
			ok = checkField(b, f.also)
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

var noFields = itemFields{}[0]

func checkField(b []byte, also uint8) bool {
	if also == anID16 {
		return len(b) == 16 || len(b) == 0
	}
	return len(b) == 8 || len(b) == 0
}
