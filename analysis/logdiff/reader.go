package logdiff

import (
	"bytes"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Reader reads raw lines without allocating, once its scratch has grown. The zero value
// is ready.
type Reader struct {
	decoded [2][]byte // strings with escapes, by depth
	clean   []byte    // a text without what must not stand in it
	joined  []byte    // a message and its error
}

// Read is what the function Read does, without copies.
func (r *Reader) Read(raw []byte) Fields {
	var f Fields
	r.read(raw, &f, 0)
	return f
}

// read fills in what a line says. A line inside of a line, as container runtimes wrap
// them, is read too.
func (r *Reader) read(raw []byte, f *Fields, depth int) {
	f.Indent = indentOf(raw)
	raw = bytes.TrimSpace(raw)
	if len(raw) > 1 && raw[0] == '{' {
		if p, ok := parseJSON(raw); ok && r.structured(p, f, depth) {
			return
		}
	}
	text, cut := r.sanitize(raw)
	f.Truncated = f.Truncated || cut
	if p, ok := parseLogfmt(text); ok && r.structured(p, f, depth) {
		return
	}
	findTrace(text, f)
	f.Text = plain(text, f)
}

// structured takes over what the parts of a structured line say; false: there is no
// message among them.
func (r *Reader) structured(p parts, f *Fields, depth int) bool {
	if p.rank == 0 {
		return false
	}
	if f.Time.IsZero() {
		f.Time = timeOf(p.time)
	}
	if s := p.severity; s != analysis.SeverityUnknown {
		f.Severity = s
	}
	if id, ok := traceOf(p.trace); ok && f.TraceID == [16]byte{} {
		f.TraceID = id
	}
	text := r.decode(p.message, depth)
	if depth == 0 {
		// What the program says of its line is truer than what its runtime says, and comes later.
		r.read(text, f, 1)
		text = f.Text
	} else {
		var cut bool
		text, cut = r.sanitize(bytes.TrimSpace(text))
		f.Truncated = f.Truncated || cut
		findTrace(text, f)
	}
	if f.Text = text; len(p.failure.text) > 0 {
		r.joined = append(append(r.joined[:0], text...), ": "...)
		failure, cut := r.sanitize(bytes.TrimSpace(r.decode(p.failure, depth)))
		r.joined = append(r.joined, failure...)
		if f.Truncated = f.Truncated || cut; len(r.joined) > MaxText {
			r.joined, f.Truncated = cutText(r.joined), true
		}
		f.Text = r.joined
	}
	return true
}

// parts are what a structured line says, as it stands there.
type parts struct {
	message, failure value
	rank             int // of the key that the message has; 0: there is none
	severity         analysis.Severity
	time, trace      []byte
}

// A value is a string of a structured line.
type value struct {
	text    []byte
	escaped bool // with backslashes
}

// Ranks of the keys of a message: where a line has several, the highest counts.
const (
	rankWrapped = iota + 1 // a container runtime's
	rankEvent
	rankBody
	rankMessage
)

// set takes over the value of a key by the names that loggers use.
func (p *parts) set(key []byte, v value, isString bool) {
	rank := 0
	switch string(key) {
	case "msg", "message", "@message", "MESSAGE", "Message", "@m", "short_message", "textPayload":
		rank = rankMessage
	case "body", "Body":
		rank = rankBody
	case "event", "text", "@mt":
		rank = rankEvent
	case "log":
		rank = rankWrapped
	case "level", "severity", "lvl", "levelname", "log.level", "loglevel", "logLevel", "severity_text", "severityText", "SeverityText", "@level", "@l", "Level", "LEVEL":
		p.severity = severityOf(v.text, isString)
	case "severity_number", "severityNumber", "SeverityNumber":
		p.severity = analysis.SeverityOfNumber(atoi(v.text))
	case "trace_id", "traceId", "traceID", "TraceId", "traceid", "dd.trace_id", "trace.id", "otelTraceID", "mdc.traceId", "logging.googleapis.com/trace", "traceparent":
		p.trace = v.text
	case "time", "ts", "timestamp", "@timestamp", "t", "@t", "datetime", "eventTime":
		p.time = v.text
	case "error", "err", "exception", "error.message", "exception.message", "@x":
		if isString && len(p.failure.text) == 0 {
			p.failure = v
		}
	}
	if isString && rank > p.rank && len(v.text) > 0 {
		p.message, p.rank = v, rank
	}
}

// timeOf reads a time stamp, or a number of seconds, milli-, micro- or nanoseconds.
func timeOf(text []byte) time.Time {
	if t, n := parseTime(text); n > 0 {
		return t
	}
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	n := int64(0)
	for _, c := range whole {
		if kinds[c] != digit || n > 1<<59 {
			return time.Time{}
		}
		n = n*10 + int64(c-'0')
	}
	switch {
	case len(whole) == 0 || n == 0:
		return time.Time{}
	case n < 1e11:
		return time.Unix(n, nanos(fraction)).UTC()
	case n < 1e14:
		return time.UnixMilli(n).UTC()
	case n < 1e17:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}

// nanos reads the digits of a fraction of a second.
func nanos(digits []byte) int64 {
	n, end := int64(0), 0
	for end < len(digits) && kinds[digits[end]] == digit {
		end++
	}
	for i := range 9 {
		n *= 10
		if i < end {
			n += int64(digits[i] - '0')
		}
	}
	return n
}

// atoi reads a small number; 0: it is none.
func atoi(text []byte) int {
	n := 0
	for _, c := range text {
		if kinds[c] != digit || n > 1<<20 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return n
}
