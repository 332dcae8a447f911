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
	f.Add([]byte(head + `{"attributes":null,"series":[{"metric":"","times":[2,1],"values":[-1,2]}]}`))
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
			answer, err := source.Rows(t.Context(), analysis.Query{Signal: signal, Fold: fold, Since: time.Unix(0, 0)})
			for _, row := range answer.Rows {
				if err == nil && (!(row.Bad >= 0) || !(row.Exposure >= 0) || math.IsInf(row.Bad, 0)) {
					t.Fatalf("row %+v", row)
				}
			}
			rec.Until(fold.End)
		})
	})
}
