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
	f.Add(200, []byte(matrixOf(`{"metric":{"__name__":"request_seconds_bucket","le":"0.5","pod":"a"},"values":[[1772452805,"3"],[1772452820,"7"]]}`,
		`{"metric":{"__name__":"request_seconds_bucket","le":"+Inf","pod":"a"},"values":[[1772452805,"4"],[1772452820,"6"]]}`, `{"metric":{"__name__":"request_seconds_sum","pod":"a"},"values":[[1772452805,"NaN"]]}`)))
	f.Add(200, []byte(matrixOf(`{"metric":{"__name__":"request_seconds"},"histograms":[[1772452805,{"count":"4","sum":"1","buckets":[[3,"-0.001","0.001","1"],[0,"0.5","1","3"]]}],[1772452820,{"count":"9","sum":"NaN","buckets":[[0,"0.25","1","5"],[0,"1e308","+Inf","3"]]}]]}`)))
	f.Add(200, []byte(matrixOf(`{"metric":{},"histograms":[[1772452805,{"count":"1e308","sum":"1","buckets":[[0,"-Inf","1","1e308"],null]}]]}`)))
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
		level := analysis.Signal{Source: "prom", Unit: "1", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: "memory_bytes"}}
		q := analysis.Query{Matches: checkout("1.4.9", "1.5.0"), Fold: analysis.Fold{Start: noon, End: noon.Add(time.Minute)}, Since: noon.Add(-time.Hour), Strata: []string{"http.route"}}
		fuzztest.Within(t, func() {
			for _, signal := range []analysis.Signal{errorRatio(), latency(), level} {
				q.Signal, q.Bounds = signal, []float64{0.25, 0.5, 1}
				answer, err := s.Rows(t.Context(), q)
				if kind := sources.KindOf(err); err != nil && kind != sources.Unavailable && kind != sources.Rejected && kind != sources.Malformed {
					t.Fatalf("kind %v: %v", kind, err)
				}
				if err == nil && status != 200 && status/100 != 2 {
					t.Fatalf("status %d is an answer: %+v", status, answer)
				}
				for _, row := range answer.Rows {
					for _, n := range append([]float64{row.Bad, row.Exposure, row.FirstBad, row.FirstExposure}, append(row.Above, row.FirstAbove...)...) {
						if !(n >= 0) || math.IsInf(n, 0) {
							t.Fatalf("row %+v", row)
						}
					}
					if math.IsNaN(row.Level) || math.IsInf(row.Level, 0) {
						t.Fatalf("row %+v", row)
					}
				}
				_, _ = s.Spacing(t.Context(), analysis.SpacingQuery{Signal: signal, From: noon.Add(-time.Hour), To: noon})
				_, _ = s.Seen(t.Context(), analysis.SeenQuery{Signal: signal, From: noon.Add(-time.Hour), To: noon})
				_, _ = s.History(t.Context(), analysis.HistoryQuery{Signal: signal, Bounds: q.Bounds, From: noon.Add(-5 * time.Minute), To: noon.Add(time.Minute)})
				h, err := s.Distribution(t.Context(), analysis.DistributionQuery{Signal: signal, From: noon.Add(-time.Minute), To: noon.Add(time.Minute)})
				if err == nil && h.Validate() != nil {
					t.Fatalf("%+v: %v", h, h.Validate())
				}
			}
		})
	})
}
