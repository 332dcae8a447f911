package loki

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

// maxValue is the longest value that is put into a query. Kubernetes ends at 63 bytes,
// image digests at 71.
const maxValue = 1024

// A matcher compares a label with a value: = with the value itself, =~ with a pattern
// that the whole of it must match.
type matcher struct{ name, op, value string }

// An expression selects lines: those of streams that all of streams match, in which
// every pattern of lines is found, and of which in every filter one matcher holds.
type expression struct {
	streams []matcher
	lines   []string
	filters [][]matcher
}

// bind returns the expression of a question. Its values come from events and are
// literals whatever they contain.
func (n naming) bind(matches []analysis.Match) (expression, error) {
	var e expression
	for _, match := range matches {
		m, err := literal(match.Values)
		if err != nil {
			return e, fmt.Errorf("%s: %w", match.Name, err)
		}
		var any []matcher
		for _, label := range n.of(match.Name) {
			m.name = label
			any = append(any, m)
		}
		if n.ofStreams(match.Name) {
			e.streams = append(e.streams, any...)
		} else {
			e.filters = append(e.filters, any)
		}
	}
	if len(e.streams) == 0 { // Loki wants one that no empty value matches
		e.streams = []matcher{{n.of(analysis.AttrService)[0], "=~", ".+"}}
	}
	return e, nil
}

// literal matches a label that has one of the given values: one is an equality, several
// are an alternation of quoted literals. An empty value is refused: it would match
// everything that lacks the label.
func literal(values []string) (matcher, error) {
	if len(values) == 0 {
		return matcher{}, errors.New("no value to match")
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		switch {
		case v == "":
			return matcher{}, errors.New("an empty value would match whatever lacks the label")
		case len(v) > maxValue:
			return matcher{}, fmt.Errorf("a value of %d bytes is over the limit of %d", len(v), maxValue)
		case !utf8.ValidString(v) || strings.ContainsRune(v, utf8.RuneError):
			return matcher{}, fmt.Errorf("%q is no valid UTF-8, as every label value is", v)
		}
		quoted[i] = regexp.QuoteMeta(v)
	}
	if len(values) == 1 {
		return matcher{op: "=", value: values[0]}, nil
	}
	return matcher{op: "=~", value: strings.Join(quoted, "|")}, nil
}

// with returns e with one more filter on labels.
func (e expression) with(any ...matcher) expression {
	e.filters = append(e.filters[:len(e.filters):len(e.filters)], any)
	return e
}

// finding returns e with one more pattern that lines must have.
func (e expression) finding(pattern string) expression {
	e.lines = append(e.lines[:len(e.lines):len(e.lines)], pattern)
	return e
}

// render returns the text of e. It is read back: a query that does not say exactly what
// was bound is never sent.
func (e expression) render() (string, error) {
	text := e.text()
	read, err := parse(text)
	if err != nil {
		return "", fmt.Errorf("the query %.200q cannot be read back: %w", text, err)
	}
	if !reflect.DeepEqual(read, e) {
		return "", fmt.Errorf("the query %.200q does not say exactly what was bound", text)
	}
	return text, nil
}

func (e expression) text() string {
	var b strings.Builder
	b.WriteString("{")
	for i, m := range e.streams {
		if i > 0 {
			b.WriteString(", ")
		}
		m.write(&b)
	}
	b.WriteString("}")
	for _, pattern := range e.lines {
		b.WriteString(" |~ " + strconv.Quote(pattern))
	}
	for _, any := range e.filters {
		for i, m := range any {
			if i == 0 {
				b.WriteString(" | ")
			} else {
				b.WriteString(" or ")
			}
			m.write(&b)
		}
	}
	return b.String()
}

func (m matcher) write(b *strings.Builder) { b.WriteString(m.name + m.op + strconv.Quote(m.value)) }

// count renders a metric query: how many lines of e there are in the time before each
// evaluation, by labels.
func (e expression) count(over time.Duration, by []string) (string, error) {
	text, err := e.render()
	if err != nil {
		return "", err
	}
	for _, label := range by {
		if !labelName.MatchString(label) {
			return "", fmt.Errorf("%q is no label name", label)
		}
	}
	return fmt.Sprintf("sum by (%s) (count_over_time(%s [%s]))", strings.Join(by, ", "), text, milliseconds(over)), nil
}

// milliseconds is a duration as LogQL writes it.
func milliseconds(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
