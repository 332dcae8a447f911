package wire

// A Resource is what sent the spans or records that are shown after it. It is valid
// until the next one is shown.
type Resource struct {
	// Encoded is the protobuf message: the same bytes are the same resource. Others may
	// be so too, with their attributes in another order.
	Encoded []byte

	scratch    []byte
	count      int // of attributes
	attributes attributes
}

// Attributes returns all attributes, in the order in which they were sent. Two calls
// cost one.
func (r *Resource) Attributes() []Attribute {
	return r.attributes.within(r.Encoded, tagResourceAttribute)
}

// Fields of Resource (resource.proto).
const (
	tagResourceAttribute = 1<<3 | wireBytes
	tagResourceDropped   = 2<<3 | wireVarint
	tagResourceEntity    = 3<<3 | wireBytes
	fieldsOfResource     = 1<<1 | 1<<2 | 1<<3
)

// begin forgets the resource before.
func (r *Resource) begin() {
	r.Encoded, r.count = nil, 0
	r.attributes.reset()
}

// add merges a resource into those of the same message before it.
func (r *Resource) add(encoded []byte) bool {
	if r.Encoded == nil {
		r.Encoded = encoded
	} else { // messages merge when they are put one after the other
		r.scratch = append(append(r.scratch[:0], r.Encoded...), encoded...)
		r.Encoded = r.scratch
	}
	n, ok := checkResource(encoded)
	r.count += n
	return ok
}

// checkResource counts the attributes of an encoded resource, and reports whether it is
// well formed.
func checkResource(encoded []byte) (attributes int, ok bool) {
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return 0, false
		}
		switch tag {
		case tagResourceAttribute:
			attributes++
			_, pos, ok = readBytes(encoded, at)
		case tagResourceDropped, tagResourceEntity:
			pos, ok = skip(encoded, at, tag)
		default:
			pos, ok = skipUnknown(encoded, at, tag, fieldsOfResource)
		}
		if !ok {
			return 0, false
		}
	}
	return attributes, true
}
