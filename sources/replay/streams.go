package replay

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
)

// streamSpacing is how far apart folds of lines and spans are, which have no clock.
const streamSpacing = 15 * time.Second

// An entry is a line or a span of a pod.
type entry struct {
	at   time.Time
	line *analysis.Line
	span *Span
}

// within returns the entries of the signal in (fold.Start, fold.End].
func (s selection) within(pod Pod, fold analysis.Fold) (out []entry) {
	inside := func(t time.Time) bool { return t.After(fold.Start) && !t.After(fold.End) }
	if s.logs != nil {
		for i := range pod.Lines {
			if inside(pod.Lines[i].Time) {
				out = append(out, entry{at: pod.Lines[i].Time, line: &pod.Lines[i]})
			}
		}
		return out
	}
	for i := range pod.Spans {
		if inside(pod.Spans[i].End) && counts(s.spans, &pod.Spans[i]) {
			out = append(out, entry{at: pod.Spans[i].End, span: &pod.Spans[i]})
		}
	}
	return out
}

// A read line is one as logdiff reads it, with what came beside it.
type readLine struct {
	analysis.Line
	bytes int
}

func read(l *analysis.Line) readLine {
	e := logdiff.Read(l.Text)
	out := readLine{Line: *l, bytes: len(l.Text)}
	out.Text = e.Text
	if out.Severity == analysis.SeverityUnknown {
		out.Severity = e.Severity
	}
	if out.TraceID == "" {
		out.TraceID = e.TraceID
	}
	return out
}

// isEvent reports whether the signal counts the line.
func isEvent(l readLine, signal *analysis.LogSignal) bool {
	if signal.MustAppear != "" {
		return strings.Contains(strings.ToLower(l.Text), strings.ToLower(signal.MustAppear))
	}
	return l.Severity >= signal.Severity
}

// request names the request that wrote a line, or else its second.
func request(l readLine) string {
	if l.TraceID != "" {
		return strings.ToLower(l.TraceID)
	}
	return strconv.FormatInt(l.Time.Unix(), 10)
}

// events counts the requests that wrote lines of the signal.
func events(entries []entry, signal *analysis.LogSignal) float64 {
	wrote := map[string]bool{}
	for _, e := range entries {
		if l := read(e.line); isEvent(l, signal) {
			wrote[request(l)] = true
		}
	}
	return float64(len(wrote))
}

// heard reports whether anything but what the signal counts was heard of the pod.
func heard(pod Pod, sel selection, fold analysis.Fold) bool {
	if fresh(pod, nil, fold) {
		return true
	}
	other := selection{logs: &analysis.LogSignal{}}
	if sel.logs != nil {
		other = selection{spans: &analysis.SpanSignal{}}
	}
	return len(other.within(pod, fold)) > 0
}

// lineRows answers a question about lines.
func (s *Source) lineRows(q analysis.Query, sel selection) (analysis.Answer, error) {
	if len(q.Strata) > 0 {
		return analysis.Answer{}, s.rejected("rows", errors.New("lines are not told apart by strata"))
	}
	var tree *logdiff.Tree
	if q.Lines != nil {
		var err error
		if tree, err = logdiff.Compile(q.Lines.Templates); err != nil {
			return analysis.Answer{}, s.rejected("rows", err)
		}
	}
	pods := map[string]*linePod{}
	var keys []string
	var answer analysis.Answer
	for _, pod := range s.rec.Pods {
		values, ok := match(pod, q.Matches)
		if !ok {
			continue
		}
		row := analysis.Row{Values: values, Pod: pod.Name(), Fresh: heard(pod, sel, q.Fold)}
		for _, name := range q.Observe {
			row.Observed = append(row.Observed, pod.Attributes[name])
		}
		key := strings.Join(append(append(slices.Clone(values), row.Pod), row.Observed...), "\x00")
		if pods[key] == nil {
			pods[key] = &linePod{Row: row}
			keys = append(keys, key)
		}
		p := pods[key]
		p.Fresh = p.Fresh || row.Fresh
		p.entries = append(p.entries, sel.within(pod, q.Fold)...)
	}
	traced, lines := false, 0
	for _, key := range keys {
		p := pods[key]
		if p.Received = len(p.entries); p.Received == 0 && !p.Fresh {
			continue
		}
		lines += p.Received
		if sel.shape == analysis.ShapeRatio {
			p.Bad = events(p.entries, sel.logs)
		}
		answer.Rows = append(answer.Rows, p.Row)
		for _, e := range p.entries {
			traced = traced || read(e.line).TraceID != ""
		}
		if q.Lines != nil {
			answer.Lines = append(answer.Lines, p.templates(tree)...)
		}
	}
	answer.NoTraces = lines > 0 && !traced
	answer.Rows = sources.AddUp(answer.Rows, q.Signal)
	slices.SortFunc(answer.Lines, func(a, b analysis.LineRow) int {
		return cmp.Or(slices.Compare(a.Values, b.Values), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Template, b.Template), cmp.Compare(a.Text, b.Text), slices.Compare(a.Observed, b.Observed))
	})
	return answer, nil
}

// joined returns the lines of a pod with those put together that are one message.
func joined(entries []entry) (out []readLine) {
	for _, e := range entries {
		l := read(e.line)
		if f := new(logdiff.Reader).Read([]byte(e.line.Text)); len(out) > 0 && f.IsFrame() {
			continue
		}
		out = append(out, l)
	}
	return out
}

// A linePod is what one pod wrote in a fold.
type linePod struct {
	analysis.Row
	entries []entry
}

// templates counts lines by template. This part is logdiff's own: it says what lines
// have in common.
func (p *linePod) templates(tree *logdiff.Tree) []analysis.LineRow {
	tally := logdiff.NewTally()
	for _, l := range joined(p.entries) {
		tally.Add(logdiff.Record{At: l.Time, Severity: l.Severity, TraceID: traceID(l.TraceID), Text: []byte(l.Text), Bytes: l.bytes})
	}
	rows := tally.Rows(tree, redactor.String)
	for i := range rows {
		rows[i].Values, rows[i].Observed, rows[i].Pod = p.Values, p.Observed, p.Pod
		if rows[i].Example != nil {
			rows[i].Example.Pod = p.Pod
		}
	}
	return rows
}

// traceID returns the bytes of a trace id; zero: there is none.
func traceID(id string) (out [16]byte) {
	if b, err := hex.DecodeString(id); err == nil && len(b) == len(out) {
		copy(out[:], b)
	}
	return out
}

// Operations implements sources.SpanSource.
func (s *Source) Operations(ctx context.Context, q analysis.OperationQuery) ([]analysis.OperationCount, error) {
	sel, err := s.begin(ctx, "operations", q.Signal)
	if err != nil {
		return nil, err
	}
	if sel.spans == nil {
		return nil, s.rejected("operations", errors.New("the signal is not one of spans"))
	}
	return s.operations(q), nil
}

var (
	_ sources.LineSampler = (*Source)(nil)
	_ sources.SpanSource  = (*Source)(nil)
)

// redactor hides secrets in what is told of lines.
var redactor = func() *redact.Redactor {
	r, err := redact.New(nil)
	if err != nil { // cannot happen: there are no patterns of users
		panic(err)
	}
	return r
}()
