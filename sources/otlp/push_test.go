package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/replay"
)

// requestsOf turns a recording into export requests, in the order of time, as the
// pods' SDKs would have sent them with the given temporality.
func requestsOf(rec replay.Recording, temporality pmetric.AggregationTemporality) []pmetric.Metrics {
	type reading struct {
		at  int64
		pod int
	}
	var readings []reading
	for i, pod := range rec.Pods {
		for _, s := range pod.Series {
			for _, sample := range s.Samples {
				readings = append(readings, reading{sample.T.UnixNano(), i})
			}
			for _, h := range s.Histograms {
				readings = append(readings, reading{h.T.UnixNano(), i})
			}
		}
	}
	slices.SortFunc(readings, func(a, b reading) int {
		if a.at != b.at {
			return int(min(max(a.at-b.at, -1), 1))
		}
		return a.pod - b.pod
	})
	readings = slices.Compact(readings)
	var requests []pmetric.Metrics
	for chunk := range slices.Chunk(readings, 20) {
		md := pmetric.NewMetrics()
		for _, r := range chunk {
			export(md, rec.Pods[r.pod], time.Unix(0, r.at).UTC(), temporality)
		}
		requests = append(requests, md)
	}
	return requests
}

// export appends what the pod exported at one instant.
func export(md pmetric.Metrics, pod replay.Pod, at time.Time, temporality pmetric.AggregationTemporality) {
	rm := md.ResourceMetrics().AppendEmpty()
	putAll(rm.Resource().Attributes(), pod.Attributes)
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	started := func(p interface{ SetStartTimestamp(pcommon.Timestamp) }) {
		for _, start := range pod.Starts {
			if !start.After(at) {
				p.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
			}
		}
	}
	for _, s := range pod.Series {
		if i := slices.IndexFunc(s.Histograms, func(h replay.HistogramSample) bool { return h.T.Equal(at) }); i >= 0 {
			exportHistogram(metrics.AppendEmpty(), s, i, temporality, started)
		}
		i := slices.IndexFunc(s.Samples, func(sample analysis.Sample) bool { return sample.T.Equal(at) })
		if i < 0 {
			continue
		}
		m := metrics.AppendEmpty()
		m.SetName(s.Metric)
		value := s.Samples[i].V
		var p pmetric.NumberDataPoint
		if s.Gauge {
			p = m.SetEmptyGauge().DataPoints().AppendEmpty()
		} else {
			sum := m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(temporality)
			p = sum.DataPoints().AppendEmpty()
			started(p)
			if temporality == pmetric.AggregationTemporalityDelta && i > 0 {
				if before := s.Samples[i-1].V; before <= value {
					value -= before
				}
				p.SetStartTimestamp(pcommon.NewTimestampFromTime(s.Samples[i-1].T))
			}
		}
		putAll(p.Attributes(), s.Attributes)
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.SetDoubleValue(value)
	}
}

// exportHistogram is what a series of histograms exports at its i-th reading.
func exportHistogram(m pmetric.Metric, s replay.Series, i int, temporality pmetric.AggregationTemporality, started func(interface{ SetStartTimestamp(pcommon.Timestamp) })) {
	h := s.Histograms[i]
	r := h.Reading(h.T)
	if temporality == pmetric.AggregationTemporalityDelta && i > 0 {
		before := s.Histograms[i-1]
		r, _ = r.Since(before.Reading(before.T))
		started = func(p interface{ SetStartTimestamp(pcommon.Timestamp) }) {
			p.SetStartTimestamp(pcommon.NewTimestampFromTime(before.T))
		}
	}
	m.SetName(s.Metric)
	if h.Schema != nil {
		data := m.SetEmptyExponentialHistogram()
		data.SetAggregationTemporality(temporality)
		p := data.DataPoints().AppendEmpty()
		started(p)
		putAll(p.Attributes(), s.Attributes)
		p.SetTimestamp(pcommon.NewTimestampFromTime(h.T))
		exponentialReading(p, r, *h.Schema)
		return
	}
	data := m.SetEmptyHistogram()
	data.SetAggregationTemporality(temporality)
	p := data.DataPoints().AppendEmpty()
	started(p)
	putAll(p.Attributes(), s.Attributes)
	p.SetTimestamp(pcommon.NewTimestampFromTime(h.T))
	p.SetCount(uint64(r.Count))
	for _, b := range r.Buckets {
		p.BucketCounts().Append(uint64(b.Count))
	}
	p.ExplicitBounds().FromRaw(h.Bounds)
}

func exponentialReading(p pmetric.ExponentialHistogramDataPoint, r analysis.Reading, schema int) {
	p.SetCount(uint64(r.Count))
	p.SetScale(int32(schema))
	next := math.MinInt
	for _, b := range r.Buckets {
		if b.Lower <= 0 {
			p.SetZeroThreshold(b.Upper)
			p.SetZeroCount(uint64(b.Count))
			continue
		}
		index := int(math.Round(math.Ldexp(math.Log2(b.Lower), schema)))
		if next == math.MinInt {
			next = index
			p.Positive().SetOffset(int32(index))
		}
		for ; next < index; next++ {
			p.Positive().BucketCounts().Append(0)
		}
		p.Positive().BucketCounts().Append(uint64(b.Count))
		next++
	}
}

func putAll(m pcommon.Map, attributes map[string]string) {
	for name, value := range attributes {
		m.PutStr(name, value)
	}
}

// A sender pushes requests to a running source.
type sender func(t *testing.T, source *otlp.Source, requests []pmetric.Metrics)

func inProcess(t *testing.T, source *otlp.Source, requests []pmetric.Metrics) {
	t.Helper()
	for _, md := range requests {
		if _, err := source.Consume(t.Context(), md); err != nil {
			t.Fatal(err)
		}
	}
}

func overGRPC(t *testing.T, source *otlp.Source, requests []pmetric.Metrics) {
	t.Helper()
	conn, err := grpc.NewClient(source.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := pmetricotlp.NewGRPCClient(conn)
	for _, md := range requests {
		resp, err := client.Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(md), grpc.UseCompressor(grpcgzip.Name))
		if err != nil {
			t.Fatal(err)
		}
		if n := resp.PartialSuccess().RejectedDataPoints(); n > 0 {
			t.Errorf("%d points rejected: %s", n, resp.PartialSuccess().ErrorMessage())
		}
	}
}

func overHTTPProto(t *testing.T, source *otlp.Source, requests []pmetric.Metrics) {
	t.Helper()
	for _, md := range requests {
		body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		status, answer := post(t, "http://"+source.HTTPAddr()+"/v1/metrics", "application/x-protobuf", "gzip", zip(t, body))
		if status != http.StatusOK {
			t.Fatalf("status %d: %s", status, answer)
		}
	}
}

func overHTTPJSON(t *testing.T, source *otlp.Source, requests []pmetric.Metrics) {
	t.Helper()
	for _, md := range requests {
		body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		status, answer := post(t, "http://"+source.HTTPAddr()+"/v1/metrics", "application/json; charset=utf-8", "", body)
		if status != http.StatusOK || string(answer) != `{"partialSuccess":{}}` && string(answer) != "{}" {
			t.Fatalf("status %d: %s", status, answer)
		}
	}
}

func post(t *testing.T, url, contentType, encoding string, body []byte) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func zip(t *testing.T, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// newSource returns a source that does not listen.
func newSource(t testing.TB, change ...func(*otlp.Config)) *otlp.Source {
	t.Helper()
	var cfg otlp.Config
	for _, c := range change {
		c(&cfg)
	}
	source, err := otlp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// running returns a source that serves on free loopback ports until the test ends.
func running(t *testing.T, change ...func(*otlp.Config)) *otlp.Source {
	t.Helper()
	source := newSource(t, append(change, func(c *otlp.Config) { c.GRPC, c.HTTP = "127.0.0.1:0", "127.0.0.1:0" })...)
	if err := source.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- source.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return source
}
