package logdiff

import (
	"bytes"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// A Joiner puts the entries of one stream together that belong to one message: a stack
// trace whose lines were logged one by one, by their indentation and the words with which
// runtimes write them. The zero value is ready. A message grows to MaxText bytes; what
// more belongs to it is dropped and the message says so.
type Joiner struct {
	open  bool
	entry Entry
	// indented: the last line was, and the message is a Python traceback, whose end is not.
	indented, traceback bool
}

// Add takes the next entry of the stream. It returns the one before, if that is complete
// by now.
func (j *Joiner) Add(e Entry) (done Entry, ok bool) {
	if j.open && j.belongs(&e) {
		j.join(&e)
		return Entry{}, false
	}
	done, ok = j.Flush()
	j.open, j.entry = true, e
	j.indented, j.traceback = e.Indent > 0, strings.Contains(e.Text, "Traceback (most recent")
	return done, ok
}

// Flush returns the message that is open, if there is one.
func (j *Joiner) Flush() (done Entry, ok bool) {
	done, ok = j.entry, j.open
	*j = Joiner{}
	return done, ok
}

func (j *Joiner) belongs(e *Entry) bool {
	if e.Severity != analysis.SeverityUnknown {
		return false
	}
	return continues([]byte(e.Text), e.Indent) || j.traceback && j.indented
}

func (j *Joiner) join(e *Entry) {
	j.traceback = j.traceback || strings.HasPrefix(e.Text, "Traceback (most recent")
	j.indented = e.Indent > 0 || strings.HasPrefix(e.Text, "Traceback (most recent")
	if j.entry.TraceID == "" {
		j.entry.TraceID = e.TraceID
	}
	if j.entry.Truncated {
		return
	}
	text := j.entry.Text + "\n" + strings.Repeat(" ", min(e.Indent, 8)) + e.Text
	if j.entry.Truncated = e.Truncated; len(text) > MaxText {
		text, j.entry.Truncated = string(cutText([]byte(text))), true
	}
	j.entry.Text = text
}

// continues reports whether a message with so much indentation goes on the one before it
// in its stream.
func continues(text []byte, indent int) bool {
	if len(text) == 0 {
		return false
	}
	if indent > 0 || isFrame(text) {
		return true
	}
	for _, prefix := range []string{"Caused by: ", "Suppressed: ", "Wrapped by: ", "During handling of the above exception", "The above exception was the direct cause", "goroutine ", "[signal "} {
		if bytes.HasPrefix(text, []byte(prefix)) {
			return true
		}
	}
	return text[0] != '[' && isThrowable(text)
}

// isThrowable reports whether a line begins with the full name of an exception:
// java.io.IOException: no space.
func isThrowable(text []byte) bool {
	end := 0
	for end < len(text) && (kinds[text[end]] >= letter || text[end] == '.' || text[end] == '$' || text[end] == '_') {
		end++
	}
	if end < len(text) && text[end] != ':' {
		return false
	}
	name := text[:end]
	return bytes.IndexByte(name, '.') > 0 && (bytes.HasSuffix(name, []byte("Exception")) || bytes.HasSuffix(name, []byte("Error")))
}

// indentOf is the width of the white space before a line; tabs count four.
func indentOf(line []byte) int {
	n := 0
	for _, c := range line {
		switch c {
		case ' ':
			n++
		case '\t':
			n += 4
		default:
			return n
		}
	}
	return 0
}
