package otlp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	"github.com/release-assay/assay/sources/otlp"
)

func connect(t testing.TB, source *otlp.Source) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(source.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestTracesAndLogs arrive through every door, and are counted once each.
func TestTracesAndLogs(t *testing.T) {
	source := running(t)
	conn := connect(t, source)
	for _, opts := range [][]grpc.CallOption{nil, {grpc.UseCompressor(grpcgzip.Name)}} {
		if resp, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), spansOf(3), opts...); err != nil || resp.PartialSuccess().RejectedSpans() != 0 {
			t.Errorf("%v %v", resp, err)
		}
		if resp, err := plogotlp.NewGRPCClient(conn).Export(t.Context(), logsOf(2+len(opts)), opts...); err != nil || resp.PartialSuccess().RejectedLogRecords() != 0 {
			t.Errorf("%v %v", resp, err)
		}
	}
	logsProto, err := logsOf(5).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	for _, send := range []struct {
		path, contentType, encoding string
		body                        []byte
	}{
		{"/v1/traces", protoBody, "", spansProto(t, 4)},
		{"/v1/traces", protoBody, "gzip", zip(t, spansProto(t, 4))},
		{"/v1/traces", jsonBody, "", asJSON(t, spansOf(5))},
		{"/v1/logs", protoBody, "gzip", zip(t, logsProto)},
		{"/v1/logs", jsonBody, "", asJSON(t, logsOf(7))},
	} {
		code, answer := post(t, "http://"+source.HTTPAddr()+send.path, send.contentType, send.encoding, send.body)
		if code != http.StatusOK || send.contentType == jsonBody && !json.Valid(answer) {
			t.Errorf("%s %s: status %d: %q", send.path, send.contentType, code, answer)
		}
	}
	stats := source.Stats()
	if stats.Spans.Requests != 5 || stats.Lines.Requests != 4 {
		t.Errorf("%d requests of spans and %d of logs, want 5 and 4", stats.Spans.Requests, stats.Lines.Requests)
	}
}

// TestExamples: what opentelemetry-proto gives as examples is read, and so is the same in
// protobuf.
func TestExamples(t *testing.T) {
	for file, path := range map[string]string{"trace": "traces", "logs": "logs", "events": "logs", "metrics": "metrics"} {
		body, err := os.ReadFile("testdata/opentelemetry-proto/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		source := newSource(t)
		req := httptest.NewRequest("POST", "/v1/"+path, bytes.NewReader(body))
		req.Header.Set("Content-Type", jsonBody)
		answer := httptest.NewRecorder()
		source.Handler().ServeHTTP(answer, req)
		stats := source.Stats()
		items := map[string]uint64{"traces": total(stats.Spans), "logs": total(stats.Lines), "metrics": total(otlp.Taken{Accepted: stats.Accepted, Dropped: stats.Dropped})}[path]
		want := uint64(1)
		if file == "metrics" {
			want = 4
		}
		if answer.Code != http.StatusOK || items != want {
			t.Errorf("%s: status %d %s, %d items, want %d", file, answer.Code, answer.Body, items, want)
		}
	}
}

// total is how many items there were, whatever became of them.
func total(t otlp.Taken) uint64 {
	n := t.Accepted
	for _, dropped := range t.Dropped {
		n += dropped
	}
	return n
}

// TestStreamsStatus: what is wrong for good is told apart from what should be tried again.
func TestStreamsStatus(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.MaxBytes = 64 << 10 })
	good := spansProto(t, 10)
	deep := `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":` + strings.Repeat(`{"arrayValue":{"values":[`, 400) + strings.Repeat(`]}}`, 400) + `}]}}]}`
	for _, test := range []struct {
		name, contentType, encoding string
		body                        []byte
		want                        int
	}{
		{"protobuf", protoBody, "", good, 200},
		{"nothing", protoBody, "", nil, 200},
		{"truncated", protoBody, "", good[:len(good)-3], 400},
		{"HTML", protoBody, "", []byte("<html>log in</html>"), 400},
		{"malformed JSON", jsonBody, "", []byte(`{"resourceSpans":[`), 400},
		{"JSON that is nested too deep", jsonBody, "", []byte(deep), 400},
		{"trace id of three bytes", jsonBody, "", []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"abcdef"}]}]}]}`), 400},
		{"not gzip", protoBody, "gzip", good, 400},
		{"another encoding", protoBody, "br", good, 415},
		{"another type", "text/plain", "", good, 415},
		{"too large", protoBody, "", make([]byte, 64<<10+1), 413},
		{"too large inflated", protoBody, "gzip", zip(t, make([]byte, 64<<10+1)), 413},
	} {
		for _, path := range []string{"/v1/traces", "/v1/logs"} {
			if path == "/v1/logs" && (test.want == 200 && test.body != nil || test.contentType == jsonBody) {
				continue
			}
			req := httptest.NewRequest("POST", path, bytes.NewReader(test.body))
			req.Header.Set("Content-Type", test.contentType)
			req.Header.Set("Content-Encoding", test.encoding)
			answer := httptest.NewRecorder()
			source.Handler().ServeHTTP(answer, req)
			if answer.Code != test.want {
				t.Errorf("%s to %s: status %d %q, want %d", test.name, path, answer.Code, answer.Body, test.want)
			}
		}
	}
	if n := total(source.Stats().Spans); n != 10 {
		t.Errorf("%d spans were counted, want those of the one good request", n)
	}
}

// TestStreamsGRPC is the same over gRPC.
func TestStreamsGRPC(t *testing.T) {
	source := running(t, func(c *otlp.Config) { c.MaxBytes = 1 << 20 })
	conn, err := grpc.NewClient(source.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(otlp.Raw{})))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, method := range []string{"/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"} {
		for want, body := range map[codes.Code][]byte{
			codes.OK: {}, codes.InvalidArgument: []byte("\x0a\xff\xff\xff\xff\x0f"), codes.ResourceExhausted: make([]byte, 2<<20),
		} {
			if err := conn.Invoke(t.Context(), method, body, new([]byte)); status.Code(err) != want {
				t.Errorf("%s: %v, want %v", method, err, want)
			}
		}
		if err := conn.Invoke(t.Context(), method, make([]byte, 2<<20), new([]byte), grpc.UseCompressor(grpcgzip.Name)); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("inflated: %v", err)
		}
	}
}

// TestTooManyCalls: streams that are opened and send nothing take the turns of others,
// who are told to try again; when they end, there is room.
func TestTooManyCalls(t *testing.T) {
	source := running(t)
	const method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	held, release := context.WithCancel(t.Context())
	defer release()
	for range 4 { // 4 connections with 8 calls each
		conn := connect(t, source)
		for range 8 {
			stream, err := conn.NewStream(held, &grpc.StreamDesc{ClientStreams: true}, method)
			if err != nil {
				t.Fatal(err)
			}
			_ = stream
		}
	}
	client := ptraceotlp.NewGRPCClient(connect(t, source))
	var err error
	for began := time.Now(); status.Code(err) != codes.Unavailable; _, err = client.Export(t.Context(), spansOf(1)) {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("got %v, want unavailable", err)
		}
	}
	retry := false
	for _, detail := range status.Convert(err).Details() {
		info, ok := detail.(*errdetails.RetryInfo)
		retry = retry || ok && info.RetryDelay.AsDuration() > 0
	}
	if !retry {
		t.Errorf("%v does not say when to try again", err)
	}
	release()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err = client.Export(t.Context(), spansOf(1)); err == nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("afterwards: %v", err)
		}
	}
}

// TestBusyHTTP: who waits too long for a turn is told to try again.
func TestBusyHTTP(t *testing.T) {
	source := newSource(t)
	server := httptest.NewServer(source.HandlerWithin(50 * time.Millisecond))
	defer server.Close()
	release := make(chan struct{})
	for range 8 { // senders that do not get on with it
		body := &stalled{release: release, begun: make(chan struct{})}
		go func() {
			req, _ := http.NewRequest("POST", server.URL+"/v1/logs", body)
			req.Header.Set("Content-Type", protoBody)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		<-body.begun
	}
	var resp *http.Response
	for began := time.Now(); ; {
		var err error
		if resp, err = http.Post(server.URL+"/v1/logs", protoBody, nil); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusTooManyRequests {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("status %d, want 429", resp.StatusCode)
		}
	}
	if resp.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	close(release)
}

// stalled is a body that ends when it is released.
type stalled struct {
	release, begun chan struct{}
	once           bool
}

func (s *stalled) Read(p []byte) (int, error) {
	if !s.once {
		s.once = true
		close(s.begun)
		p[0] = 0x0a
		return 1, nil
	}
	<-s.release
	return 0, http.ErrBodyReadAfterClose
}

// TestBombsOfStreams: small bodies that inflate to a gibibyte are refused at the cap.
func TestBombsOfStreams(t *testing.T) {
	source := running(t)
	small := bomb(t, 1<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, path := range []string{"/v1/traces", "/v1/logs"} {
		if code, answer := post(t, "http://"+source.HTTPAddr()+path, protoBody, "gzip", small); code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d: %s, want 413", path, code, answer)
		}
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 400<<20 {
		t.Errorf("%d MiB allocated", allocated>>20)
	}
}

// FuzzStreams: whatever comes in as traces, logs or a record of a topic, in either form,
// the receiver neither panics nor asks for it again.
func FuzzStreams(f *testing.F) {
	good, err := spansOf(3).MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint8(0), true)
	f.Add(asJSON(f, spansOf(2)), uint8(0), false)
	f.Add(asJSON(f, logsOf(2)), uint8(1), false)
	for name, which := range map[string]uint8{"trace": 0, "logs": 1, "events": 1} {
		body, err := os.ReadFile("testdata/opentelemetry-proto/" + name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, which, false)
	}
	f.Add(nestedProto(100), uint8(1), true)
	f.Fuzz(func(t *testing.T, body []byte, which uint8, isProto bool) {
		source, err := otlp.New(otlp.Config{MaxBytes: 1 << 20, MaxSeries: 100})
		if err != nil {
			t.Fatal(err)
		}
		if err := source.TakeRecord(t.Context(), int(which), body); err != nil && !otlp.IsRefusal(err) {
			t.Errorf("as a record: %v", err)
		}
		req := httptest.NewRequest("POST", []string{"/v1/traces", "/v1/logs", "/v1/metrics"}[which%3], bytes.NewReader(body))
		req.Header.Set("Content-Type", jsonBody)
		if isProto {
			req.Header.Set("Content-Type", protoBody)
		}
		answer := httptest.NewRecorder()
		source.Handler().ServeHTTP(answer, req)
		if answer.Code >= 500 {
			t.Errorf("status %d: %s", answer.Code, answer.Body)
		}
	})
}
