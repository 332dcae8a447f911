package wire

import "sync"

// A SpanVisitor is shown the spans of a request.
type SpanVisitor interface {
	// Resource is called before the spans of a resource; false skips them.
	Resource(*Resource) bool
	Span(*Span)
}

// A Span is valid during the call that shows it.
type Span struct {
	TraceID  [16]byte
	SpanID   [8]byte
	ParentID [8]byte // zero: a root
	Name     []byte
	State    []byte // the W3C tracestate
	Encoded  []byte // the protobuf message, with what is not read of it
	Kind     int8   // 1 internal, 2 server, 3 client, 4 producer, 5 consumer; 0 unspecified or unknown
	Status   int8   // 1 ok, 2 error; 0 unset or unknown
	Start    uint64 // nanoseconds since 1970
	End      uint64

	attributes attributes
}

// Attributes returns all attributes, in the order in which they were sent. Two calls
// cost one.
func (s *Span) Attributes() []Attribute { return s.attributes.within(s.Encoded, tagSpanAttribute) }

// Fields of Span and Status (trace.proto).
const (
	tagTraceID       = 1<<3 | wireBytes
	tagSpanID        = 2<<3 | wireBytes
	tagState         = 3<<3 | wireBytes
	tagParentID      = 4<<3 | wireBytes
	tagName          = 5<<3 | wireBytes
	tagSpanKind      = 6<<3 | wireVarint
	tagStart         = 7<<3 | wireFixed64
	tagEnd           = 8<<3 | wireFixed64
	tagSpanAttribute = 9<<3 | wireBytes
	tagStatus        = 15<<3 | wireBytes

	tagStatusMessage = 2<<3 | wireBytes
	tagStatusCode    = 3<<3 | wireVarint
	fieldsOfStatus   = 1<<2 | 1<<3
)

// Spans shows v the spans of an ExportTraceServiceRequest. It returns [ErrMalformed] or
// [ErrAttributes]; nothing was shown then, unless an attribute was malformed.
func Spans(data []byte, v SpanVisitor) error {
	r := spanReaders.Get().(*spanReader)
	defer spanReaders.Put(r)
	r.visitor, r.span.attributes.bad = v, false
	err := r.stage(data)
	switch {
	case err == errLarge:
		err = walk(data, &r.owner, r)
	case err == nil:
		err = r.show(data)
	}
	if err == nil && r.span.attributes.bad {
		err = ErrMalformed
	}
	// Nothing of the request is held on to.
	r.visitor, r.span.Name, r.span.State, r.span.Encoded, r.owner.Encoded = nil, nil, nil, nil, nil
	return err
}

var spanReaders = sync.Pool{New: func() any { return new(spanReader) }}

type spanReader struct {
	owner   Resource
	span    Span
	visitor SpanVisitor
	staged  stagedRequest
}

func (r *spanReader) resource(res *Resource) bool { return r.visitor.Resource(res) }

func (r *spanReader) check(item []byte) error {
	var s spanRef
	return s.read(item)
}

func (r *spanReader) item(item []byte) {
	var s spanRef
	if s.read(item) == nil { // it was checked
		r.visit(item, &s)
	}
}

func (r *spanReader) visit(item []byte, ref *spanRef) {
	s := &r.span
	s.TraceID, s.SpanID, s.ParentID = ref.traceID, ref.spanID, ref.parentID
	s.Start, s.End, s.Kind, s.Status = ref.start, ref.end, ref.kind, ref.status
	s.Encoded, s.Name, s.State = item, ref.name.of(item), ref.state.of(item)
	s.attributes.reset()
	r.visitor.Span(s)
}

// enum returns a value that is known, or else 0. As pdata it takes 32 bits.
func enum(n uint64, most int32) int8 {
	if v := int32(n); v > 0 && v <= most {
		return int8(v)
	}
	return 0
}

// statusOf reads an encoded Status over an earlier one.
func statusOf(encoded []byte, code int8) (int8, bool) {
	for pos := 0; pos < len(encoded); {
		tag, at, ok := readTag(encoded, pos)
		if !ok {
			return code, false
		}
		switch tag {
		case tagStatusCode:
			var n uint64
			n, pos, ok = readVarint(encoded, at)
			code = enum(n, 2)
		case tagStatusMessage:
			pos, ok = skip(encoded, at, tag)
		default:
			pos, ok = skipUnknown(encoded, at, tag, fieldsOfStatus)
		}
		if !ok {
			return code, false
		}
	}
	return code, true
}
