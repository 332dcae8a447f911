package otlp_test

import (
	"encoding/hex"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/replay"
)

// A loggedLine is a line and who wrote it.
type loggedLine struct {
	pod  replay.Pod
	line analysis.Line
}

// linesOf returns the lines of a recording in the order of time.
func linesOf(rec replay.Recording) (all []loggedLine) {
	for _, pod := range rec.Pods {
		for _, l := range pod.Lines {
			all = append(all, loggedLine{pod, l})
		}
	}
	slices.SortStableFunc(all, func(a, b loggedLine) int { return a.line.Time.Compare(b.line.Time) })
	return all
}

// logRequest encodes lines as one export request, those of one pod that follow each other
// under one resource.
func logRequest(t testing.TB, lines []loggedLine) []byte {
	t.Helper()
	ld := plog.NewLogs()
	var records plog.LogRecordSlice
	last := ""
	for i, l := range lines {
		if who := l.pod.Name() + "\x00" + l.pod.Attributes[analysis.AttrService] + "\x00" + l.pod.Attributes[analysis.AttrEnvironment]; i == 0 || who != last {
			rl := ld.ResourceLogs().AppendEmpty()
			putAll(rl.Resource().Attributes(), l.pod.Attributes)
			records = rl.ScopeLogs().AppendEmpty().LogRecords()
			last = who
		}
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(l.line.Time))
		r.Body().SetStr(l.line.Text)
		if l.line.Severity != analysis.SeverityUnknown {
			r.SetSeverityNumber(plog.SeverityNumber(4*(int(l.line.Severity)-1) + 1))
		}
		if l.line.TraceID != "" {
			var id pcommon.TraceID
			if _, err := hex.Decode(id[:], []byte(l.line.TraceID)); err != nil {
				t.Fatal(err)
			}
			r.SetTraceID(id)
		}
	}
	data, err := plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sendLines sends the lines of a recording, in requests of 50.
func sendLines(t *testing.T, source *otlp.Source, rec replay.Recording) {
	t.Helper()
	for lines := range slices.Chunk(linesOf(rec), 50) {
		consumeLines(t, source, logRequest(t, lines), len(lines))
	}
}

// consumeLines wants n lines of a request to be counted.
func consumeLines(t testing.TB, source *otlp.Source, data []byte, n int) {
	t.Helper()
	outcome, err := source.ConsumeLogs(t.Context(), data)
	if err != nil || outcome.Accepted != n {
		t.Fatalf("%d of %d lines were counted: %+v, %v", outcome.Accepted, n, outcome, err)
	}
}
