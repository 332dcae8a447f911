package otlp_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/release-assay/assay/sources/otlp"
)

const (
	protoBody = "application/x-protobuf"
	jsonBody  = "application/json"
)

func marshal(t *testing.T, md pmetric.Metrics) []byte {
	t.Helper()
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestHTTPStatus(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.MaxBytes = 64 << 10 })
	good := marshal(t, exportOf("a", cumulativeSum, point{at: 1, status: "200", v: 1}))
	tests := []struct {
		name                       string
		method, path, contentType  string
		encoding                   string
		body                       []byte
		wantStatus                 int
		wantContentType, wantInAll string
	}{
		{name: "protobuf", contentType: protoBody, body: good, wantStatus: 200, wantContentType: protoBody},
		{name: "gzip", contentType: protoBody, encoding: "gzip", body: zip(t, good), wantStatus: 200, wantContentType: protoBody},
		{name: "identity", contentType: protoBody, encoding: "identity", body: good, wantStatus: 200, wantContentType: protoBody},
		{name: "JSON", contentType: jsonBody, body: []byte(`{"resourceMetrics":[]}`), wantStatus: 200, wantContentType: jsonBody},
		{name: "nothing", contentType: protoBody, wantStatus: 200, wantContentType: protoBody},
		{name: "malformed protobuf", contentType: protoBody, body: []byte("<html>log in</html>"), wantStatus: 400, wantContentType: protoBody},
		{name: "truncated protobuf", contentType: protoBody, body: good[:len(good)-3], wantStatus: 400, wantContentType: protoBody},
		{name: "malformed JSON", contentType: jsonBody, body: []byte(`{"resourceMetrics":[`), wantStatus: 400, wantContentType: jsonBody},
		{name: "JSON of another kind", contentType: jsonBody, body: []byte(`[1,2]`), wantStatus: 400, wantContentType: jsonBody},
		{name: "not gzip", contentType: protoBody, encoding: "gzip", body: good, wantStatus: 400, wantContentType: protoBody, wantInAll: "gzip"},
		{name: "truncated gzip", contentType: protoBody, encoding: "gzip", body: zip(t, good)[:20], wantStatus: 400, wantContentType: protoBody},
		{name: "another encoding", contentType: protoBody, encoding: "zstd", body: good, wantStatus: 415, wantContentType: protoBody, wantInAll: "zstd"},
		{name: "another content type", contentType: "text/plain", body: good, wantStatus: 415, wantContentType: jsonBody, wantInAll: "text/plain"},
		{name: "no content type", body: good, wantStatus: 415, wantContentType: jsonBody},
		{name: "too large", contentType: protoBody, body: make([]byte, 64<<10+1), wantStatus: 413, wantContentType: protoBody, wantInAll: "larger than 65536 bytes"},
		{name: "too large inflated", contentType: protoBody, encoding: "gzip", body: zip(t, make([]byte, 64<<10+1)), wantStatus: 413, wantContentType: protoBody, wantInAll: "larger than 65536 bytes"},
		{name: "GET", method: http.MethodGet, contentType: protoBody, wantStatus: 405},
		{name: "elsewhere", path: "/v1/profiles", contentType: protoBody, body: good, wantStatus: 404},
	}
	handler := source.Handler()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			method, path := "POST", "/v1/metrics"
			if test.method != "" {
				method = test.method
			}
			if test.path != "" {
				path = test.path
			}
			req := httptest.NewRequest(method, path, bytes.NewReader(test.body))
			req.Header.Set("Content-Type", test.contentType)
			req.Header.Set("Content-Encoding", test.encoding)
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, req)
			if answer.Code != test.wantStatus || !strings.Contains(answer.Body.String(), test.wantInAll) {
				t.Errorf("status %d, %q, want %d with %q", answer.Code, answer.Body, test.wantStatus, test.wantInAll)
			}
			if got := answer.Header().Get("Content-Type"); test.wantContentType != "" && got != test.wantContentType {
				t.Errorf("content type %q, want %q", got, test.wantContentType)
			}
			if test.wantContentType == jsonBody && !json.Valid(answer.Body.Bytes()) {
				t.Errorf("no JSON: %q", answer.Body)
			}
		})
	}
}

func TestSenderIsToldWhatIsDropped(t *testing.T) {
	source := newSource(t)
	body := marshal(t, exportOf("a", cumulativeSum, point{at: 1, status: "200", v: 1}, point{at: 1, status: "500", v: -1}))
	req := httptest.NewRequest("POST", "/v1/metrics", bytes.NewReader(body))
	req.Header.Set("Content-Type", protoBody)
	answer := httptest.NewRecorder()
	source.Handler().ServeHTTP(answer, req)
	resp := pmetricotlp.NewExportResponse()
	if err := resp.UnmarshalProto(answer.Body.Bytes()); err != nil {
		t.Fatal(err)
	}
	partial := resp.PartialSuccess()
	if partial.RejectedDataPoints() != 1 || !strings.Contains(partial.ErrorMessage(), "negative") {
		t.Errorf("got %d rejected, %q; want 1, negative", partial.RejectedDataPoints(), partial.ErrorMessage())
	}
}

// bomb returns a small body that inflates to n mebibytes of zeros: a gzip file may
// have many members.
func bomb(t *testing.T, n int) []byte { return bytes.Repeat(zip(t, make([]byte, 1<<20)), n) }

// A mebibyte that would inflate to one gibibyte is refused at the cap.
func TestGzipBomb(t *testing.T) {
	source := running(t)
	small := bomb(t, 1<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	code, answer := post(t, "http://"+source.HTTPAddr()+"/v1/metrics", protoBody, "gzip", small)
	runtime.ReadMemStats(&after)
	if code != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d: %s, want 413", code, answer)
	}
	// Reading 20 MiB into a growing buffer allocates some 100 MiB in all.
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 200<<20 {
		t.Errorf("%d MiB allocated", allocated>>20)
	}
}

func TestGRPCLimits(t *testing.T) {
	source := running(t, func(c *otlp.Config) { c.MaxBytes = 1 << 20 })
	conn, err := grpc.NewClient(source.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := pmetricotlp.NewGRPCClient(conn)

	huge := pmetric.NewMetrics()
	huge.ResourceMetrics().AppendEmpty().Resource().Attributes().PutStr("zeros", strings.Repeat("0", 2<<20))
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
		_, err := client.Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(huge), opts...)
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v, want resource exhausted", err)
		}
	}
	deep := pmetric.NewMetrics()
	value := deep.ResourceMetrics().AppendEmpty().Resource().Attributes().PutEmptySlice("deep")
	for range 200 {
		value = value.AppendEmpty().SetEmptySlice()
	}
	if _, err := client.Export(t.Context(), pmetricotlp.NewExportRequestFromMetrics(deep)); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("got %v, want an error about nesting", err)
	}
}

// nestedProto is an export request with attribute values nested so deep that
// decoding would overflow the stack; it is built from the inside out.
func nestedProto(depth int) []byte {
	var reversed []byte
	size := 0
	wrap := func(tag byte) {
		var header []byte
		n := size
		for ; n >= 0x80; n >>= 7 {
			header = append(header, byte(n)|0x80)
		}
		header = append(header, byte(n))
		for i := len(header) - 1; i >= 0; i-- {
			reversed = append(reversed, header[i])
		}
		reversed = append(reversed, tag)
		size += 1 + len(header)
	}
	for range depth {
		wrap(0x0a) // ArrayValue.values
		wrap(0x2a) // AnyValue.array_value
	}
	for _, tag := range []byte{0x12, 0x0a, 0x0a, 0x0a} { // KeyValue.value, Resource.attributes, ResourceMetrics.resource, resource_metrics
		wrap(tag)
	}
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return reversed
}

// Found in pdata v1.70.0: 20 MiB of nested lists end the process with a stack
// overflow, which nothing can recover from.
func TestNestedValues(t *testing.T) {
	source := newSource(t)
	nestedJSON := `{"resourceMetrics":[{"resource":{"attributes":[{"key":"a","value":` +
		strings.Repeat(`{"arrayValue":{"values":[`, 500_000) + strings.Repeat(`]}}`, 500_000) + `}]}}]}`
	messages := bytes.Repeat([]byte{0x0a, 0x00}, 2<<20) // so many empty resources
	objects := `{"resourceMetrics":[` + strings.Repeat("{},", 2<<20) + `{}]}`
	for name, test := range map[string]struct {
		contentType string
		body        []byte
		want        string
	}{
		"protobuf":      {protoBody, nestedProto(2_150_000), "nested"},
		"JSON":          {jsonBody, []byte(nestedJSON), "nested"},
		"many messages": {protoBody, messages, "objects"},
		"many objects":  {jsonBody, []byte(objects), "objects"},
	} {
		req := httptest.NewRequest("POST", "/v1/metrics", bytes.NewReader(test.body))
		req.Header.Set("Content-Type", test.contentType)
		answer := httptest.NewRecorder()
		source.Handler().ServeHTTP(answer, req)
		if answer.Code != 400 || !strings.Contains(answer.Body.String(), test.want) {
			t.Errorf("%s: status %d, %q, want 400 about %q", name, answer.Code, answer.Body, test.want)
		}
	}
	// What people send is far from the limit.
	md := exportOf("a", cumulativeSum, point{at: 1, status: "200", v: 1})
	value := md.ResourceMetrics().At(0).Resource().Attributes().PutEmptyMap("k8s")
	for range 20 {
		value = value.PutEmptyMap("deeper")
	}
	req := httptest.NewRequest("POST", "/v1/metrics", bytes.NewReader(marshal(t, md)))
	req.Header.Set("Content-Type", protoBody)
	answer := httptest.NewRecorder()
	source.Handler().ServeHTTP(answer, req)
	if answer.Code != 200 || source.Stats().Accepted != 1 {
		t.Errorf("status %d, %q", answer.Code, answer.Body)
	}
}

// Whatever comes in, the receiver neither panics nor answers 5xx, and what it kept
// can be asked about.
func FuzzHTTPBody(f *testing.F) {
	f.Add(marshalSeed(exportOf("a", cumulativeSum, point{at: 1, start: -5, status: "500", v: 1}, point{at: 1, status: "200", v: 9})), true, false)
	f.Add(marshalSeed(exportOf("a", deltaSum, point{at: 1, start: -5, status: "500", v: 1})), true, false)
	f.Add([]byte(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},"scopeMetrics":[{"metrics":[{"name":"requests","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"timeUnixNano":"1","asInt":"5"}]}}]}]}]}`), false, false)
	f.Add([]byte(`{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"requests","exponentialHistogram":{"aggregationTemporality":1,"dataPoints":[{"timeUnixNano":"1","count":"5","sum":-1}]}}]}]}]}`), false, false)
	f.Add([]byte("\x1f\x8b\x08"), true, true)
	f.Add(nestedProto(100), true, false)
	f.Fuzz(func(t *testing.T, body []byte, isProto, zipped bool) {
		source, err := otlp.New(otlp.Config{MaxBytes: 1 << 20, MaxSeries: 100})
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest("POST", "/v1/metrics", bytes.NewReader(body))
		req.Header.Set("Content-Type", jsonBody)
		if isProto {
			req.Header.Set("Content-Type", protoBody)
		}
		if zipped {
			req.Header.Set("Content-Encoding", "gzip")
		}
		answer := httptest.NewRecorder()
		source.Handler().ServeHTTP(answer, req)
		if answer.Code >= 500 {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
		q := checkout(fold(0, 15))
		for _, matched := range []bool{true, false} {
			if !matched {
				q.Matches = nil
			}
			for _, row := range answerTo(t, source, q).Rows {
				if row.Bad < 0 || row.Exposure < 0 || row.Bad != row.Bad || row.Exposure != row.Exposure {
					t.Errorf("row %+v", row)
				}
			}
		}
		source.Evict(at(0))
	})
}

func marshalSeed(md pmetric.Metrics) []byte {
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		panic(err)
	}
	return body
}
