package logdiff

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// rawLines are lines of 60 statements in one of the forms in which they arrive.
func rawLines(form string) (lines [][]byte, size int) {
	for i := range 6000 {
		id := fmt.Sprintf("%08x-%04x-4bb2-94d0-%012x", i*2654435761, i&0xffff, i*40503)
		trace := fmt.Sprintf("%032x", uint64(i/10+1)*0x9e3779b97f4a7c15)
		message := fmt.Sprintf("[%s][Get Route By Id] Route is: Route(id=%s, stations=[shanghai, suzhou], distances=[0, %d], took %d.%dms)", words(i%60, 2), id, i, i%100, i%7)
		level := []string{"INFO", "INFO", "INFO", "WARN", "ERROR"}[i%5]
		var line string
		switch form {
		case "json":
			line = fmt.Sprintf(`{"time":"2023-01-29T08:43:%02d.123456789Z","level":%q,"msg":%q,"trace_id":%q,"logger":"a.b.RouteServiceImpl"}`, i%60, level, message, trace)
		case "docker":
			line = fmt.Sprintf(`{"log":"08:43:%02d.123 %s a.b.RouteServiceImpl TraceID: %s %s\n","stream":"stdout","time":"2023-01-29T08:43:04.123Z"}`, i%60, level, trace, message)
		case "logfmt":
			line = fmt.Sprintf(`time=2023-01-29T08:43:%02d.123Z level=%s msg=%q trace_id=%s`, i%60, strings.ToLower(level), message, trace)
		case "plain":
			line = fmt.Sprintf("2023-01-29 08:43:%02d.123 %s [main] a.b.RouteServiceImpl : %s trace_id=%s", i%60, level, message, trace)
		}
		lines = append(lines, []byte(line))
		size += len(line)
	}
	return lines, size
}

// BenchmarkLines is the whole way from raw lines to counts by template, without what is
// done once a fold; BenchmarkFields is a bare loop over the words of the same bytes.
func BenchmarkLines(b *testing.B) {
	for _, form := range []string{"json", "docker", "logfmt", "plain"} {
		lines, size := rawLines(form)
		b.Run(form, func(b *testing.B) {
			var r Reader
			t := NewTally("order stored")
			at := time.Unix(1674981742, 0)
			b.SetBytes(int64(size / len(lines)))
			b.ReportAllocs()
			for i := range lines { // the texts become known
				f := r.Read(lines[i])
				t.Add(Record{At: at, Severity: f.Severity, TraceID: f.TraceID, Text: f.Text, Bytes: len(lines[i])})
			}
			i := 0
			for b.Loop() {
				raw := lines[i%len(lines)]
				f := r.Read(raw)
				t.Add(Record{At: at, Severity: f.Severity, TraceID: f.TraceID, Text: f.Text, Bytes: len(raw)})
				i++
			}
		})
	}
}

func BenchmarkFields(b *testing.B) {
	for _, form := range []string{"json", "docker", "logfmt", "plain"} {
		lines, size := rawLines(form)
		texts := make([]string, len(lines))
		for i := range lines {
			texts[i] = string(lines[i])
		}
		b.Run(form, func(b *testing.B) {
			b.SetBytes(int64(size / len(lines)))
			i, n := 0, 0
			for b.Loop() {
				for range strings.FieldsSeq(texts[i%len(texts)]) {
					n++
				}
				i++
			}
		})
	}
}

// A line whose masked text is known costs no allocation, in any form.
func TestKnownLinesAllocateNothing(t *testing.T) {
	for _, form := range []string{"json", "docker", "logfmt", "plain"} {
		lines, _ := rawLines(form)
		var r Reader
		tally := NewTally("order stored")
		at, i := time.Unix(1674981742, 0), 0
		add := func() {
			f := r.Read(lines[i%len(lines)])
			tally.Add(Record{At: at, Severity: f.Severity, TraceID: f.TraceID, Text: f.Text})
			i++
		}
		for range len(lines) {
			add()
		}
		if n := testing.AllocsPerRun(len(lines), add); n != 0 {
			t.Errorf("%s: %v allocations a line", form, n)
		}
		if rows := tally.Rows(nil, nil); len(rows) != 60 {
			t.Errorf("%s: %d rows, want 60", form, len(rows))
		}
	}
}
