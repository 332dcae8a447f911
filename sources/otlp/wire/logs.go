package wire

import "sync"

// A LogVisitor is shown the log records of a request.
type LogVisitor interface {
	// Resource is called before the records of a resource; false skips them.
	Resource(*Resource) bool
	Record(*Record)
}

// A Record is valid during the call that shows it.
type Record struct {
	Time         uint64 // nanoseconds since 1970; 0: not known
	Observed     uint64 // the same, of when the record was collected
	Number       int    // the severity number, as it was sent
	SeverityText []byte
	Body         []byte // a string's bytes, or the text of another value
	TraceID      [16]byte
	HasTrace     bool // TraceID is not zero

	body       Attribute
	text       []byte
	attributes attributes
}

// Attributes returns all attributes, in the order in which they were sent. Two calls
// cost one.
func (r *Record) Attributes() []Attribute { return r.attributes.all() }

// Fields of LogRecord (logs.proto).
const (
	tagTime            = 1<<3 | wireFixed64
	tagSeverityNumber  = 2<<3 | wireVarint
	tagSeverityText    = 3<<3 | wireBytes
	tagBody            = 5<<3 | wireBytes
	tagRecordAttribute = 6<<3 | wireBytes
	tagRecordTraceID   = 9<<3 | wireBytes
	tagObserved        = 11<<3 | wireFixed64
)

var recordFields = fieldsOf(
	[3]uint8{1, wireFixed64}, [3]uint8{2, wireVarint}, [3]uint8{3, wireBytes}, [3]uint8{5, wireBytes}, [3]uint8{6, wireBytes, anAttribute},
	[3]uint8{7, wireVarint}, [3]uint8{8, wireFixed32}, [3]uint8{9, wireBytes, anID16}, [3]uint8{10, wireBytes, anID8},
	[3]uint8{11, wireFixed64}, [3]uint8{12, wireBytes},
)

// Logs shows v the records of an ExportLogsServiceRequest. It returns [ErrMalformed] or
// [ErrAttributes]; nothing was shown then, unless an attribute or a body was malformed.
func Logs(data []byte, v LogVisitor) error {
	r := logReaders.Get().(*logReader)
	defer logReaders.Put(r)
	r.visitor, r.bad, r.record.attributes.bad = v, false, false
	err := walk(data, &r.owner, r)
	r.visitor = nil
	if err == nil && (r.bad || r.record.attributes.bad) {
		err = ErrMalformed
	}
	return err
}

var logReaders = sync.Pool{New: func() any { return new(logReader) }}

type logReader struct {
	owner   Resource
	record  Record
	visitor LogVisitor
	bad     bool // a body was malformed
}

func (r *logReader) resource(res *Resource) bool { return r.visitor.Resource(res) }

// An id has its length, or is empty, which is zero.
func id16(b []byte) (id [16]byte) {
	if len(b) == len(id) {
		return [16]byte(b)
	}
	return id
}

func (r *logReader) check(item []byte) error { return checkItem(item, &recordFields) }

func (r *logReader) item(item []byte) {
	rec := &r.record
	rec.Time, rec.Observed, rec.Number, rec.SeverityText = 0, 0, 0, nil
	rec.TraceID, rec.body, rec.text = [16]byte{}, Attribute{}, rec.text[:0]
	rec.attributes.reset()
	good := true
	for pos := 0; pos < len(item); {
		tag, at, ok := readTag(item, pos)
		if !ok {
			return // cannot be: it was checked
		}
		var b []byte
		var n uint64
		switch tag {
		case tagRecordAttribute:
			b, pos, ok = readBytes(item, at)
			rec.attributes.encoded = append(rec.attributes.encoded, b)
		case tagTime:
			rec.Time, pos, ok = readFixed64(item, at)
		case tagObserved:
			rec.Observed, pos, ok = readFixed64(item, at)
		case tagSeverityNumber:
			n, pos, ok = readVarint(item, at)
			rec.Number = int(int32(n))
		case tagSeverityText:
			rec.SeverityText, pos, ok = readBytes(item, at)
		case tagBody:
			b, pos, ok = readBytes(item, at)
			var whole bool
			rec.text, whole = rec.body.value(b, rec.text)
			good = good && whole
		case tagRecordTraceID:
			b, pos, ok = readBytes(item, at)
			rec.TraceID = id16(b)
		default:
			pos, ok = skip(item, at, tag)
		}
		if !ok {
			return
		}
	}
	if !good {
		r.bad = true // the record is shown without its body, so that it counts
		rec.body = Attribute{}
	}
	rec.HasTrace = rec.TraceID != [16]byte{}
	rec.Body = rec.body.Value
	if rec.body.Kind >= Bytes {
		start := len(rec.text)
		rec.text = rec.body.AppendText(rec.text)
		rec.Body = rec.text[start:]
	}
	r.visitor.Record(rec)
}
