package prometheus

import (
	"bytes"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/fuzztest"
	"github.com/release-assay/assay/sources"
)

// answering is a server that answers every request with the same bytes.
type answering struct {
	status int
	body   []byte
}

func (a answering) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: req, ProtoMajor: 1, ProtoMinor: 1}, nil
}

// FuzzAnswer lets a server answer anything: the error has a kind, and rows that are
// made of it are numbers that a counter can have.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(matrixOf()))
	f.Add(200, []byte(matrixOf(one(`[1772452805,"3"],[1772452820,"7"]`))))
	f.Add(200, []byte(matrixOf(one(`[1772452805,"NaN"]`), one(`[1,"+Inf"]`))))
	f.Add(200, []byte(matrixOf(`{"metric":{"service_version":"1.5.0"},"values":[[1772452805.123,"1e308"],[1772452820,"1"]]}`)))
	f.Add(200, []byte(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}`))
	f.Add(200, []byte(`{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]},"warnings":["w"]}`))
	f.Add(200, []byte(`{"status":"error","errorType":"timeout","error":"query timed out"}`))
	f.Add(200, []byte(`<html>log in</html>`))
	f.Add(503, []byte(`overload`))
	f.Add(422, []byte(`{"status":"error","errorType":"execution","error":"x"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 || status/100 == 3 {
			status = 200
		}
		cfg := DefaultConfig()
		cfg.URL, cfg.MaxSeries, cfg.MaxSamples = "http://127.0.0.1:1", 100, 10_000
		s, err := Open("prom", cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.client.Transport.(*guard).next = answering{status, body}
		q := analysis.Query{Signal: errorRatio(), Matches: checkout("1.4.9", "1.5.0"), Fold: analysis.Fold{Start: noon, End: noon.Add(time.Minute)}, Since: noon.Add(-time.Hour)}
		fuzztest.Within(t, func() {
			answer, err := s.Rows(t.Context(), q)
			if kind := sources.KindOf(err); err != nil && kind != sources.Unavailable && kind != sources.Rejected && kind != sources.Malformed {
				t.Fatalf("kind %v: %v", kind, err)
			}
			if err == nil && status != 200 && status/100 != 2 {
				t.Fatalf("status %d is an answer: %+v", status, answer)
			}
			for _, row := range answer.Rows {
				for _, n := range []float64{row.Bad, row.Exposure, row.FirstBad, row.FirstExposure} {
					if !(n >= 0) || math.IsInf(n, 0) {
						t.Fatalf("row %+v", row)
					}
				}
			}
			_, _ = s.Spacing(t.Context(), analysis.SpacingQuery{Signal: q.Signal, From: noon.Add(-time.Hour), To: noon})
			_, _ = s.Seen(t.Context(), analysis.SeenQuery{Signal: q.Signal, From: noon.Add(-time.Hour), To: noon})
		})
	})
}
