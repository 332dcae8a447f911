package replay

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Span is one piece of work of a request, as the pod that did it told it.
type Span struct {
	TraceID  string // 32 hexadecimal digits
	SpanID   string // 16 hexadecimal digits
	ParentID string // 16 hexadecimal digits; "": it has none
	Name     string
	Kind     string // server, client, producer, consumer or internal
	// Start and End: a span belongs to the fold of its end.
	Start, End time.Time
	Error      bool // an error status
	Attributes map[string]string
}

// kinds are those that a span may have, in OpenTelemetry's order from 1.
var kinds = []string{"internal", "server", "client", "producer", "consumer"}

func timeOfLine(l analysis.Line) time.Time { return l.Time }

func endOfSpan(s Span) time.Time { return s.End }

func validateLines(lines []analysis.Line) (errs []error) {
	if !slices.IsSortedFunc(lines, func(a, b analysis.Line) int { return a.Time.Compare(b.Time) }) {
		errs = append(errs, errors.New("lines are not ascending"))
	}
	for i, l := range lines {
		if l.TraceID != "" && !isHex(l.TraceID, 32) {
			errs = append(errs, fmt.Errorf("line %d: trace id %q is not 32 hexadecimal digits", i+1, l.TraceID))
		}
		if l.Pod != "" {
			errs = append(errs, fmt.Errorf("line %d: names a pod, which is the one that it is of", i+1))
		}
	}
	return errs
}

func validateSpans(spans []Span) (errs []error) {
	if !slices.IsSortedFunc(spans, func(a, b Span) int { return a.End.Compare(b.End) }) {
		errs = append(errs, errors.New("spans are not ascending by their ends"))
	}
	for i, s := range spans {
		switch {
		case !isHex(s.TraceID, 32) || !isHex(s.SpanID, 16) || s.ParentID != "" && !isHex(s.ParentID, 16):
			errs = append(errs, fmt.Errorf("span %d: trace, span or parent id is not hexadecimal digits (32, 16, 16)", i+1))
		case !slices.Contains(kinds, s.Kind):
			errs = append(errs, fmt.Errorf("span %d: kind %q is not known (legal: %v)", i+1, s.Kind, kinds))
		case s.End.Before(s.Start):
			errs = append(errs, fmt.Errorf("span %d: ends before it starts", i+1))
		}
	}
	return errs
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

type lineLine struct {
	Time     int64             `json:"t"`
	Severity analysis.Severity `json:"severity,omitempty"`
	TraceID  string            `json:"trace,omitempty"`
	Text     string            `json:"text"`
}

type spanLine struct {
	TraceID    string            `json:"trace"`
	SpanID     string            `json:"span"`
	ParentID   string            `json:"parent,omitempty"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`
	Start      int64             `json:"start"`
	End        int64             `json:"end"`
	Error      bool              `json:"error,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

func linesOf(lines []analysis.Line) (out []lineLine) {
	for _, l := range lines {
		out = append(out, lineLine{l.Time.UnixNano(), l.Severity, l.TraceID, l.Text})
	}
	return out
}

func readLines(lines []lineLine) (out []analysis.Line) {
	for _, l := range lines {
		out = append(out, analysis.Line{Time: time.Unix(0, l.Time).UTC(), Severity: l.Severity, TraceID: l.TraceID, Text: l.Text})
	}
	return out
}

func spansOf(spans []Span) (out []spanLine) {
	for _, s := range spans {
		out = append(out, spanLine{s.TraceID, s.SpanID, s.ParentID, s.Name, s.Kind, s.Start.UnixNano(), s.End.UnixNano(), s.Error, s.Attributes})
	}
	return out
}

func readSpans(spans []spanLine) (out []Span) {
	for _, s := range spans {
		out = append(out, Span{s.TraceID, s.SpanID, s.ParentID, s.Name, s.Kind, time.Unix(0, s.Start).UTC(), time.Unix(0, s.End).UTC(), s.Error, s.Attributes})
	}
	return out
}
