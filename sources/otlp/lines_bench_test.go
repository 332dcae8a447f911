package otlp_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// logBatches are requests of 1,000 lines of ten pods, of twelve templates in JSON, logfmt
// and plain words, one in fifty of them an error, one line in each request.
func logBatches(tb testing.TB, n int) (requests [][]byte, bytes int) {
	texts := []string{
		`{"level":"info","msg":"order %d stored for customer %d","trace_id":"%032x"}`,
		`level=info msg="cart %d emptied in %d ms" trace_id=%032x`,
		"2026-03-02T10:00:01.123Z INFO request %d took %d ms trace_id=%032x",
		"INFO cache hit for key %d of %d, request %032x",
	}
	for i := range n {
		var lines []loggedLine
		for j := range 1000 {
			k := i*1000 + j
			l := says(fmt.Sprintf("pod-%d", j/100), float64(i)*0.2+float64(j)/5000, 0, k+1, fmt.Sprintf(texts[k%4], k, k%97, k+1))
			if k%50 == 0 {
				l.line.Severity, l.line.Text = analysis.SeverityError, fmt.Sprintf("payment %d refused by bank after %d ms", k, k%97)
			}
			bytes += len(l.line.Text)
			lines = append(lines, l)
		}
		requests = append(requests, logRequest(tb, lines))
	}
	return requests, bytes / n
}

// BenchmarkConsumeLogs takes in a second of lines again and again: each round the bytes
// differ in their last one, an unknown field, so that no request is a repetition.
func BenchmarkConsumeLogs(b *testing.B) {
	requests, bytes := logBatches(b, 50)
	for i := range requests {
		requests[i] = append(requests[i], 0x7a, 8, 0, 0, 0, 0, 0, 0, 0, 0) // field 15, 8 bytes
	}
	source := newSource(b)
	b.SetBytes(int64(bytes))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		data := requests[n%len(requests)]
		binary.LittleEndian.PutUint64(data[len(data)-8:], uint64(n))
		if outcome, err := source.ConsumeLogs(b.Context(), data); err != nil || outcome.Accepted != 1000 {
			b.Fatal(outcome, err)
		}
		n++
	}
	b.ReportMetric(float64(n)*1000/b.Elapsed().Seconds(), "lines/s")
}
