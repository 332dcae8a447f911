package logdiff

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/release-assay/assay/analysis"
)

// A Group is what one log says and the other does not: lines of one template, with the
// lines that go on them (stack traces, indented text).
type Group struct {
	Text     string            `json:"text"` // the template
	Severity analysis.Severity `json:"severity,omitempty"`
	Count    int               `json:"count"`            // how often its first line stands in the log
	Lines    []int             `json:"lines"`            // numbers of all its lines, from 1
	Example  []string          `json:"example"`          // the first of them, at most ExampleLines
	Failure  bool              `json:"failure,omitzero"` // a line of ERROR or above, or with a word of failure
}

// ExampleLines is how many lines of a group are shown.
const ExampleLines = 8

// A LogDifference is what Diff found.
type LogDifference struct {
	New     []Group `json:"new"`     // in the later log only, the most telling first
	Missing []Group `json:"missing"` // in the earlier log only
}

// Diff compares two plain logs of which neither exposure nor history is known: what does
// the later one say that the earlier one never does, and the other way round. Lines are
// the same if they are the same under the masks, with time stamps and levels taken off;
// lines end at LF, CRLF or a lone CR. Terminal colours and the time stamps and job names
// that GitHub puts before each line do not count.
//
// New lines are grouped by template; what goes on a line belongs to its group. Groups come
// in this order: those with a line of ERROR or above, those with a word of failure, those
// with a warning, the others; and among each of these the one that begins first, because a
// cause stands before what it brings about.
func Diff(before, after []byte) LogDifference {
	old, new := readLog(before), readLog(after)
	return LogDifference{New: only(new, old), Missing: only(old, new)}
}

// A logLine is a line of a plain log.
type logLine struct {
	number   int
	indent   int
	severity analysis.Severity
	text     string // the message
	masked   string
	key      string // by which it is the same as another: masked, and its level
	says     bool   // it has letters
}

// A plainLog is a log line by line.
type plainLog struct {
	lines []logLine // but for blank ones
	keys  map[string]bool
}

func readLog(data []byte) plainLog {
	log := plainLog{keys: map[string]bool{}}
	var r Reader
	var scratch []byte
	number := 0
	for len(data) > 0 {
		var raw []byte
		raw, data = nextLine(data)
		number++
		f := r.readPlain(wrapped(raw))
		if len(f.Text) == 0 && f.Severity < analysis.SeverityError {
			continue
		}
		scratch = appendMasked(scratch[:0], f.Text)
		l := logLine{number: number, indent: f.Indent, severity: f.Severity, text: string(f.Text), masked: string(scratch)}
		l.says = bytes.ContainsFunc(scratch, unicode.IsLetter)
		l.key = string(append(append(scratch, ' '), f.Severity.String()...))
		log.lines = append(log.lines, l)
		log.keys[l.key] = true
	}
	return log
}

// nextLine cuts off the first line, which ends at LF, CRLF or CR.
func nextLine(data []byte) (line, rest []byte) {
	end := bytes.IndexAny(data, "\r\n")
	if end < 0 {
		return data, nil
	}
	line, rest = data[:end], data[end+1:]
	if data[end] == '\r' && len(rest) > 0 && rest[0] == '\n' {
		rest = rest[1:]
	}
	return line, rest
}

// wrapped takes off the names of job and step that stand before a time stamp, separated by
// tabs, and a byte order mark.
func wrapped(line []byte) []byte {
	line = bytes.TrimPrefix(line, []byte("\ufeff"))
	rest := line
	for range 2 {
		_, after, ok := bytes.Cut(rest, []byte("\t"))
		if !ok {
			break
		}
		rest = bytes.TrimPrefix(after, []byte("\ufeff"))
		if _, n := parseTime(rest); n > 0 {
			return rest
		}
	}
	return line
}

// readPlain reads a line that is no JSON and no logfmt.
func (r *Reader) readPlain(raw []byte) Fields {
	var f Fields
	text, cut := r.sanitize(raw)
	f.Indent = indentOf(text)
	f.Text, f.Truncated = bytes.TrimSpace(text), cut
	if line := plain(f.Text, &f); len(line) < len(f.Text) {
		if _, n := stamp(f.Text); n > 0 {
			f.Indent = indentOf(bytes.TrimPrefix(f.Text[n:], []byte(" ")))
		}
		f.Text = line
	}
	return f
}

// only returns the groups of lines of a log that another one does not have.
func only(log, other plainLog) []Group {
	var tree Tree
	groups := map[*template]*Group{}
	var order []*Group
	var open *Group // that the last line belongs to
	for _, l := range log.lines {
		if other.keys[l.key] {
			if open != nil && !l.continues() {
				open = nil
			}
			continue
		}
		if open != nil && l.continues() {
			open.add(&l, true)
			continue
		}
		if !l.says {
			continue
		}
		words := strings.Split(l.masked, " ")
		strict := strictWords(words)
		t := tree.nearest(words, strict)
		if t == nil || !t.absorb(words) {
			t = newTemplate(analysis.Template{Text: l.masked})
			tree.insert(t)
		}
		g := groups[t]
		if g == nil {
			g = &Group{}
			groups[t], order = g, append(order, g)
		}
		g.Text = t.Text
		g.Count++
		g.add(&l, g.Count == 1)
		open = g
	}
	slices.SortStableFunc(order, func(a, b *Group) int {
		return cmp.Or(-cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Lines[0], b.Lines[0]))
	})
	out := make([]Group, len(order))
	for i, g := range order {
		out[i] = *g
	}
	return out
}

// continues reports whether a line goes on the one before it.
func (l *logLine) continues() bool {
	return !l.says || l.severity == analysis.SeverityUnknown && continues([]byte(l.text), l.indent)
}

// add adds a line to a group.
func (g *Group) add(l *logLine, show bool) {
	g.Lines = append(g.Lines, l.number)
	g.Severity = max(g.Severity, l.severity)
	if !g.Failure {
		g.Failure = l.severity >= analysis.SeverityError || fails(l.text)
	}
	if show && len(g.Example) < ExampleLines {
		g.Example = append(g.Example, l.text)
	}
}

// rank is how telling a group is.
func (g *Group) rank() int {
	switch {
	case g.Severity >= analysis.SeverityError:
		return 3
	case g.Failure:
		return 2
	case g.Severity == analysis.SeverityWarn:
		return 1
	}
	return 0
}

// fails reports whether a text has a word of failure.
func fails(text string) bool {
	lower := strings.ToLower(text)
	for _, f := range failures {
		if f != "success" && strings.Contains(lower, f) {
			return true
		}
	}
	return false
}
