package otlp_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
)

// A pod of which ten spans a fold are expected is missed when none come although it
// lives; of one with fewer, silence is a pause. One that sends nothing at all is gone.
func TestSilenceOfPods(t *testing.T) {
	for _, c := range []struct {
		name           string
		spans          int // in each of the ten folds before
		alive          bool
		rows, received int
		fresh          bool
	}{
		{"many spans, and it lives", 12, true, 1, 0, true},
		{"many spans, and it is gone", 12, false, 0, 0, false},
		{"few spans, and it lives", 3, true, 1, 1, true},
		{"few spans, lately", 3, false, 1, 1, false},
		{"none ever, and it lives", 0, true, 1, 0, true},
		{"never heard of", 0, false, 0, 0, false},
	} {
		s := newSource(t)
		var spans []testSpan
		for k := range 10 {
			for i := range c.spans {
				n := uint64(k*100 + i + 1)
				end := 60 + float64(15*k) + 1 + float64(i)
				spans = append(spans, testSpan{service: "cart", version: "1", pod: "c", trace: n, id: n, name: "add", kind: ptrace.SpanKindServer, start: end - 1, end: end})
			}
		}
		if len(spans) > 0 {
			consumeSpans(t, s, requestOf(t, spans...))
		}
		if c.alive {
			md := pmetric.NewMetrics()
			rm := md.ResourceMetrics().AppendEmpty()
			for name, value := range map[string]string{analysis.AttrService: "cart", analysis.AttrVersion: "1", analysis.AttrPod: "c"} {
				rm.Resource().Attributes().PutStr(name, value)
			}
			m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			m.SetName("memory")
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetTimestamp(pcommonTime(at(220)))
			p.SetDoubleValue(1)
			if _, err := s.Consume(t.Context(), md); err != nil {
				t.Fatal(err)
			}
		}
		for _, event := range []analysis.SpanEvent{analysis.SpanErrors, analysis.SpanCalls} {
			rows := answerTo(t, s, spanQuery(event, 210, 225)).Rows
			got := fmt.Sprint(len(rows))
			if len(rows) == 1 {
				got = fmt.Sprint(len(rows), rows[0].Received, rows[0].Fresh, rows[0].Exposure)
			}
			want := fmt.Sprint(c.rows)
			if c.rows == 1 {
				want = fmt.Sprint(c.rows, c.received, c.fresh, 0)
			}
			if got != want {
				t.Errorf("%s, %s: rows, received, fresh, exposure are %s, want %s", c.name, event, got, want)
			}
		}
	}
}
