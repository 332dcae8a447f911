package loki

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
)

// A message is a line that has been read, with what came beside it, and perhaps others
// that belong to it.
type message struct {
	entry
	logdiff.Entry
	trace   [16]byte
	bytes   int // of the lines as they came
	entries int // that it came in
}

// read takes the message out of a line. What is said beside the line counts before what
// the line says of itself.
func read(r *logdiff.Reader, e entry) message {
	f := r.Read([]byte(e.line))
	m := message{
		entry: e, bytes: len(e.line), entries: 1,
		Entry: logdiff.Entry{Severity: f.Severity, Text: string(f.Text), Truncated: f.Truncated, Indent: f.Indent},
	}
	if f.TraceID != [16]byte{} {
		m.TraceID = hex.EncodeToString(f.TraceID[:])
	}
	for _, label := range levelLabels {
		if s := severityBeside(label, e.label(label)); s != analysis.SeverityUnknown {
			m.Severity = s
			break
		}
	}
	for _, label := range []string{"trace_id", "traceid", "traceID"} {
		if id, err := hex.DecodeString(e.label(label)); err == nil && len(id) == len(m.trace) {
			m.TraceID = hex.EncodeToString(id)
			break
		}
	}
	return m
}

// severityBeside reads the value of a label as package logdiff reads that of a key.
func severityBeside(label, value string) analysis.Severity {
	if value == "" || strings.ContainsAny(value, "\"\\\n") {
		return analysis.SeverityUnknown
	}
	if label == "severity_text" {
		label = "level"
	}
	return logdiff.Read(fmt.Sprintf(`{"%s":"%s","msg":"-"}`, label, value)).Severity
}

func (m *message) record() logdiff.Record {
	return logdiff.Record{At: m.time(), Severity: m.Severity, TraceID: m.trace, Text: []byte(m.Text), Bytes: m.bytes, Cut: m.Truncated}
}

func mustOf(logs *analysis.LogSignal) []string {
	if logs.MustAppear == "" {
		return nil
	}
	return []string{logs.MustAppear}
}

// eventsOf is how many requests wrote lines as the signal wants them.
func eventsOf(t *logdiff.Tally, logs *analysis.LogSignal) float64 {
	if n, ok := t.MustAppear(logs.MustAppear); ok {
		return n
	}
	return t.Events(logs.Severity)
}

// A writer is one pod of one release.
type writer struct {
	row   analysis.Row
	tally *logdiff.Tally
}

// writers are all pods that wrote in a fold.
type writers struct {
	labels naming
	query  analysis.Query
	pods   map[string]*writer
	lines  float64
}

// of returns the pod that labels belong to; nil if they do not carry what was asked for.
func (w *writers) of(get func(string) string) *writer {
	names := make([]string, len(w.query.Matches))
	for i, m := range w.query.Matches {
		names[i] = m.Name
	}
	row := analysis.Row{Values: w.labels.values(get, names), Observed: w.labels.values(get, w.query.Observe), Pod: w.labels.pod(get)}
	for i, m := range w.query.Matches {
		if !slices.Contains(m.Values, row.Values[i]) {
			return nil
		}
	}
	key := fmt.Sprintf("%q %q %q", row.Values, row.Observed, row.Pod)
	p := w.pods[key]
	if p == nil {
		p = &writer{row: row, tally: logdiff.NewTally(mustOf(w.query.Signal.Logs)...)}
		w.pods[key] = p
	}
	return p
}

// heard notes how many lines the pods wrote, as the server counted them.
func (w *writers) heard(counts []point) {
	for k := range counts {
		p := w.of(counts[k].label)
		if p == nil {
			continue
		}
		p.row.Received += int(counts[k].value)
		w.lines += counts[k].value
	}
}

// add tallies messages in order of time.
func (w *writers) add(messages []message) {
	for k := range messages {
		m := &messages[k]
		p := w.of(m.label)
		if p == nil {
			continue
		}
		if p.row.Received == 0 { // it came after the count
			p.row.Received = 1
		}
		p.tally.Add(m.record())
	}
}

// answer is what the pods wrote, matched against the templates of the query.
func (w *writers) answer(hide func(string) string) (a analysis.Answer, err error) {
	var tree *logdiff.Tree
	if w.query.Lines != nil {
		if tree, err = logdiff.Compile(w.query.Lines.Templates); err != nil {
			return a, err
		}
	}
	read, traced := false, false
	for _, key := range slices.Sorted(maps.Keys(w.pods)) {
		p := w.pods[key]
		if w.query.Signal.Shape == analysis.ShapeRatio {
			p.row.Bad = eventsOf(p.tally, w.query.Signal.Logs)
		}
		a.Rows = append(a.Rows, p.row)
		a.NotRead.Add(p.tally.NotRead())
		rows := p.tally.Rows(tree, hide)
		read, traced = read || len(rows) > 0, traced || len(rows) > 0 && !p.tally.NoTraces()
		if w.query.Lines == nil {
			continue
		}
		for _, row := range rows {
			row.Values, row.Observed, row.Pod = p.row.Values, p.row.Observed, p.row.Pod
			if row.Example != nil {
				row.Example.Pod = row.Pod
			}
			a.Lines = append(a.Lines, row)
		}
	}
	a.NoTraces = read && !traced
	slices.SortStableFunc(a.Lines, func(x, y analysis.LineRow) int {
		return cmp.Or(slices.Compare(x.Values, y.Values), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Template, y.Template), cmp.Compare(x.Text, y.Text), slices.Compare(x.Observed, y.Observed))
	})
	return a, nil
}
