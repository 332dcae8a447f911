package logdiff

import (
	"encoding/hex"
	"time"

	"github.com/release-assay/assay/analysis"
)

// MaxText is the longest message in bytes; what is longer is cut, and ends in CutMark.
const MaxText = 8 << 10

// CutMark is the end of a text that was cut.
const CutMark = " <cut>"

// An Entry is what a raw log line says.
type Entry struct {
	Time      time.Time // as the line says; zero: it does not, or without a date
	Severity  analysis.Severity
	TraceID   string // 32 hexadecimal digits in lower case; "": none
	Text      string // the message: valid UTF-8 without control characters, at most MaxText bytes
	Truncated bool   // the message was longer
	Indent    int    // width of the white space before the message, for a Joiner
}

// Fields is an Entry without copies. Text is valid until the Reader's next call.
type Fields struct {
	Time      time.Time
	Severity  analysis.Severity
	TraceID   [16]byte // all zero: none
	Text      []byte
	Truncated bool
	Indent    int
}

// Read takes the message out of a raw line: of JSON and logfmt by the names that loggers
// use, of plain text by taking off the time stamp and the level at its front. A line that
// is none of these is its own message.
func Read(raw string) Entry {
	var r Reader
	f := r.Read([]byte(raw))
	e := Entry{Time: f.Time, Severity: f.Severity, Text: string(f.Text), Truncated: f.Truncated, Indent: f.Indent}
	if f.TraceID != [16]byte{} {
		e.TraceID = hex.EncodeToString(f.TraceID[:])
	}
	return e
}
