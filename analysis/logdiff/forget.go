package logdiff

import (
	"strings"

	"github.com/release-assay/assay/analysis"
)

// ForgetTexts lets go of what Rows tells, where memory is short: its lines are dropped,
// and so are those of texts that are added later. What is counted by severity, and of
// texts that must appear, stays.
func (t *Tally) ForgetTexts() {
	for _, table := range []*texts{t.loud, t.quiet} {
		for len(table.heap) > 0 {
			table.evict()
		}
		table.threshold = 0
	}
	t.scratch = nil
}

// TextSize is the part of Size that ForgetTexts frees.
func (t *Tally) TextSize() int {
	size := 0
	for _, table := range []*texts{t.loud, t.quiet} {
		for _, e := range table.heap {
			size += 256 + len(e.key) + cap(e.example.text) + 8*cap(e.events.hashes)
		}
	}
	return size
}

// IsFrame reports whether an entry goes on the one before it, whichever that is: the frame
// of a stack trace, or an indented line without a severity. Who cannot keep a stream in
// order leaves such lines out of the texts, as masks do (AddFrame).
func (f *Fields) IsFrame() bool {
	return len(f.Text) > 0 && (isFrame(f.Text) || f.Indent > 0 && f.Severity == analysis.SeverityUnknown)
}

// AddFrame counts a line as Add does, but for its text.
func (t *Tally) AddFrame(r Record) {
	severity := min(r.Severity, analysis.SeverityFatal)
	event := eventOf(&r)
	s := &t.severities[severity]
	s.lines++
	s.bytes += r.Bytes
	s.events.add(event)
	for i := range t.must {
		if containsFold(r.Text, t.must[i].lower) {
			t.must[i].events.add(event)
		}
	}
	t.traced = t.traced || r.TraceID != [16]byte{}
	if r.Cut {
		t.cut++
	}
}

// Containing is the number of events with a line whose masked text contains the given one:
// what MustAppear tells, nearly, where NewTally was not told about the text.
func (t *Tally) Containing(text string) float64 {
	all, lower := distinct{keep: countedEvents}, strings.ToLower(text)
	for _, table := range []*texts{t.loud, t.quiet} {
		for _, e := range table.heap {
			if containsFold([]byte(e.key), lower) {
				all.merge(&e.events)
			}
		}
	}
	return all.count()
}

// SeverityWord reads the words for levels that loggers write, in any case of letters.
func SeverityWord(word []byte) analysis.Severity { return severityWord(word) }
