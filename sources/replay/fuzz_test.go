package replay

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzRecording: a recording that is read can be written and read again as the same
// bytes, and every question about it gets finite rows.
func FuzzRecording(f *testing.F) {
	head := `{"format":"assay.recording.v1"}` + "\n"
	f.Add([]byte(head + `{"attributes":{"service.name":"checkout","k8s.pod.name":"a"},"starts":[0],"series":[{"metric":"requests","attributes":{"code":"500"},"times":[1,15000000000,30000000000],"values":[0,3,5.5]}]}`))
	f.Add([]byte(head + `{"attributes":{"service.instance.id":"b"},"series":[{"metric":"requests","times":[9223372036854775807],"values":[1e308]}]}` + "\n{}"))
	f.Add([]byte(head))
	f.Add([]byte(head + `{"attributes":{"k8s.pod.name":"a"},"series":[{"metric":"duration","times":[1,20000000000,30000000000],"histograms":[{"bounds":[0.1,0.5],"counts":[1,2,3]},{"bounds":[0.1,0.5],"counts":[1,3,5]},{"bounds":[0.5],"counts":[4,0]}]}]}`))
	f.Add([]byte(head + `{"attributes":{"k8s.pod.name":"b"},"series":[{"metric":"duration","times":[1,20000000000],"histograms":[{"bounds":[0.001,1,2],"counts":[1,2,3,0],"schema":3,"zero":0.001},{"bounds":[1,4],"counts":[9,9,1],"schema":-1}]},{"metric":"memory","gauge":true,"times":[16000000000],"values":[-5]}]}`))
	f.Add([]byte(head + `{"attributes":null,"series":[{"metric":"","times":[2,1],"values":[-1,2]}]}`))
	f.Add([]byte(head + `{"attributes":{"k8s.pod.name":"a"},"series":null,"lines":[{"t":16000000000,"severity":"error","trace":"0123456789abcdef0123456789abcdef","text":"failed 7"},{"t":17000000000,"text":"level=warn msg=slow"}],"spans":[{"trace":"0123456789abcdef0123456789abcdef","span":"0123456789abcdef","name":"GET /","kind":"server","start":15000000000,"end":16000000000,"error":true},{"trace":"0123456789abcdef0123456789abcdef","span":"1123456789abcdef","parent":"0123456789abcdef","name":"call","kind":"client","start":15000000000,"end":17000000000}]}`))
	signal := analysis.Signal{
		Name: "errors", Source: "replay", Unit: "1", Shape: analysis.ShapeRatio, Total: &analysis.Selector{Metric: "requests"},
		Bad: &analysis.Selector{Metric: "requests", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpIn, Values: []string{"5xx"}}}},
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, func() {
			rec, err := ReadRecording(bytes.NewReader(data))
			if err != nil {
				return
			}
			var once, twice bytes.Buffer
			if err := rec.Write(&once); err != nil {
				t.Fatal(err)
			}
			again, err := ReadRecording(bytes.NewReader(once.Bytes()))
			if err != nil {
				t.Fatalf("what was written is not read: %v", err)
			}
			if err := again.Write(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
				t.Fatalf("%v\n%s%s", err, once.Bytes(), twice.Bytes())
			}
			source, err := New(rec)
			if err != nil {
				return
			}
			fold := analysis.Fold{Start: time.Unix(15, 0), End: time.Unix(30, 0)}
			for _, signal := range []analysis.Signal{
				signal,
				{Source: "replay", Shape: analysis.ShapeDistribution, Histogram: &analysis.Selector{Metric: "duration"}},
				{Source: "replay", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "memory"}},
			} {
				answer, err := source.Rows(t.Context(), analysis.Query{Signal: signal, Fold: fold, Since: time.Unix(0, 0), Bounds: []float64{0.5, 1}, Strata: []string{"code"}})
				for _, row := range answer.Rows {
					for _, n := range append([]float64{row.Bad, row.Exposure}, row.Above...) {
						if err == nil && (!(n >= 0) || math.IsInf(n, 0)) {
							t.Fatalf("row %+v", row)
						}
					}
				}
				h, err := source.Distribution(t.Context(), analysis.DistributionQuery{Signal: signal, From: time.Unix(0, 0), To: time.Unix(60, 0)})
				if err == nil && h.Validate() != nil {
					t.Fatalf("%+v: %v", h, h.Validate())
				}
			}
			for _, signal := range []analysis.Signal{
				{Source: "replay", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}},
				{Source: "replay", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{Severity: analysis.SeverityError}},
				{Source: "replay", Shape: analysis.ShapeRatio, Spans: &analysis.SpanSignal{Event: analysis.SpanExclusive}},
				{Source: "replay", Shape: analysis.ShapeTopology, Spans: &analysis.SpanSignal{}},
			} {
				answer, err := source.Rows(t.Context(), analysis.Query{Signal: signal, Fold: fold, Lines: &analysis.LineQuery{}, Spans: &analysis.SpanQuery{}})
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range answer.Rows {
					if row.Bad < 0 || row.Bad > float64(row.Received) {
						t.Fatalf("row %+v", row)
					}
				}
			}
			rec.Until(fold.End)
		})
	})
}
