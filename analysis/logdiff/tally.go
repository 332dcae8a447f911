package logdiff

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Bounds of a tally. Lines of ERROR and above have room of their own, which a flood of
// others cannot take.
var (
	loudLimits  = limits{texts: 256, bytes: 256 << 10, events: 512}
	quietLimits = limits{texts: 512, bytes: 512 << 10, events: 128}
)

const countedEvents = 4096 // that are counted exactly, of a severity or a text that must appear

// A Record is one line that a Tally counts.
type Record struct {
	At       time.Time
	Severity analysis.Severity
	TraceID  [16]byte // all zero: none
	Text     []byte   // the message, as Reader.Read gives it; not kept
	Bytes    int      // of the line as it came
	Cut      bool     // Fields.Truncated
}

// A Tally counts the lines of one pod in one slice of time. Its result does not depend on
// the order of arrival, and merging tallies is the same as counting all lines in one. Up
// to 128 events of a text (512 of ERROR and above) and 4,096 of a severity are counted
// exactly; what is above is estimated, the same way in both arms.
type Tally struct {
	loud, quiet *texts
	severities  [analysis.SeverityFatal + 1]severityCount
	must        []mustCount
	traced      bool
	cut         int
	scratch     []byte
}

// A severityCount is what was written at one severity.
type severityCount struct {
	lines, bytes int
	events       distinct
}

// A mustCount counts the events with a line that contains a text.
type mustCount struct {
	text, lower string
	events      distinct
}

// A textCount is what is counted of lines with something in common.
type textCount struct {
	severity     analysis.Severity
	lines, bytes int
	events       distinct
	example      example
}

// An example is one of the lines.
type example struct {
	at       time.Time
	severity analysis.Severity
	trace    [16]byte
	text     []byte // nil: there is none
}

// NewTally returns an empty tally that also counts the requests that wrote a line which
// contains one of the texts, in any case of letters.
func NewTally(mustAppear ...string) *Tally {
	t := &Tally{loud: newTexts(loudLimits), quiet: newTexts(quietLimits)}
	for i := range t.severities {
		t.severities[i].events.keep = countedEvents
	}
	for _, text := range mustAppear {
		t.must = append(t.must, mustCount{text: text, lower: strings.ToLower(text), events: distinct{keep: countedEvents}})
	}
	return t
}

// Add counts a line.
func (t *Tally) Add(r Record) {
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
	table := t.quiet
	if severity >= analysis.SeverityError {
		table = t.loud
	}
	t.scratch = appendMasked(t.scratch[:0], r.Text)
	e := table.entry(t.scratch)
	if e == nil {
		return
	}
	e.lines++
	e.bytes += r.Bytes
	e.severity = max(e.severity, severity)
	e.events.add(event)
	e.example.offer(example{r.At, severity, r.TraceID, r.Text})
}

// eventOf is the hash of the request that wrote a line, or of the second.
func eventOf(r *Record) uint64 {
	if r.TraceID == [16]byte{} {
		return mix(uint64(r.At.Unix()) + 0x9e3779b97f4a7c15)
	}
	return mix(binary.LittleEndian.Uint64(r.TraceID[:8]) ^ mix(binary.LittleEndian.Uint64(r.TraceID[8:])))
}

// offer keeps the earlier of two lines, then the smaller, and copies what it keeps.
func (e *example) offer(o example) {
	if e.text != nil {
		order := o.at.Compare(e.at)
		if order == 0 {
			if order = bytes.Compare(o.text, e.text); order == 0 {
				if order = bytes.Compare(o.trace[:], e.trace[:]); order == 0 {
					order = int(e.severity) - int(o.severity)
				}
			}
		}
		if order >= 0 {
			return
		}
	}
	text := append(e.text[:0], o.text[:min(len(o.text), MaxText)]...)
	*e = o
	if e.text = text; text == nil {
		e.text = []byte{}
	}
}

func (c *textCount) merge(o *textCount) {
	c.lines += o.lines
	c.bytes += o.bytes
	c.severity = max(c.severity, o.severity)
	if c.events.keep == 0 {
		c.events.keep = o.events.keep
	}
	c.events.merge(&o.events)
	if o.example.text != nil {
		c.example.offer(o.example)
	}
}

// Merge adds the lines of another tally with the same texts, which stays as it is.
func (t *Tally) Merge(o *Tally) {
	t.loud.merge(o.loud)
	t.quiet.merge(o.quiet)
	for i := range t.severities {
		s, more := &t.severities[i], &o.severities[i]
		s.lines += more.lines
		s.bytes += more.bytes
		s.events.merge(&more.events)
	}
	for i := range t.must {
		for j := range o.must {
			if t.must[i].text == o.must[j].text {
				t.must[i].events.merge(&o.must[j].events)
			}
		}
	}
	t.traced = t.traced || o.traced
	t.cut += o.cut
}

// Events is the number of requests that wrote a line of this severity or above; lines
// without a trace id count the seconds with such a line.
func (t *Tally) Events(level analysis.Severity) float64 {
	all := distinct{keep: countedEvents}
	for s := level; int(s) < len(t.severities); s++ {
		all.merge(&t.severities[s].events)
	}
	return all.count()
}

// MustAppear is the number of events with a line that contains the text; false: NewTally
// was not told about it.
func (t *Tally) MustAppear(text string) (float64, bool) {
	for i := range t.must {
		if t.must[i].text == text {
			return t.must[i].events.count(), true
		}
	}
	return 0, false
}

// Lines is how many lines were written at exactly this severity.
func (t *Tally) Lines(level analysis.Severity) float64 {
	return float64(t.severities[min(level, analysis.SeverityFatal)].lines)
}

// Bytes is how many bytes were written at exactly this severity.
func (t *Tally) Bytes(level analysis.Severity) float64 {
	return float64(t.severities[min(level, analysis.SeverityFatal)].bytes)
}

// NoTraces reports whether there are lines and none has a trace id.
func (t *Tally) NoTraces() bool {
	lines := 0
	for i := range t.severities {
		lines += t.severities[i].lines
	}
	return lines > 0 && !t.traced
}

// NotRead says what is missing from Rows: lines of texts beyond the bound (Dropped) and
// ends of lines that were cut (Truncated).
func (t *Tally) NotRead() analysis.NotRead {
	return analysis.NotRead{Dropped: float64(t.loud.dropped + t.quiet.dropped), Truncated: float64(t.cut)}
}

// Size is about how many bytes of memory the tally holds.
func (t *Tally) Size() int {
	size := 1024 + cap(t.scratch)
	for i := range t.severities {
		size += 8 * cap(t.severities[i].events.hashes)
	}
	for i := range t.must {
		size += 8 * cap(t.must[i].events.hashes)
	}
	for _, table := range []*texts{t.loud, t.quiet} {
		for _, e := range table.heap {
			size += 256 + len(e.key) + cap(e.example.text) + 8*cap(e.events.hashes)
		}
	}
	return size
}

// containsFold reports whether text contains a lower-case word, in any case of letters.
// Only ASCII letters have case here.
func containsFold(text []byte, lower string) bool {
	if lower == "" {
		return true
	}
	first, n := lower[0], len(lower)
next:
	for i := 0; i+n <= len(text); i++ {
		if lowerByte(text[i]) != first {
			continue
		}
		for j := 1; j < n; j++ {
			if lowerByte(text[i+j]) != lower[j] {
				continue next
			}
		}
		return true
	}
	return false
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// traceText is a trace id in hexadecimal digits; "": there is none.
func traceText(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}
