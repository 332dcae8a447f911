package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/otlp"
)

func TestRunLeavesNothingBehind(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	source := newSource(t, func(c *otlp.Config) { c.GRPC, c.HTTP = "127.0.0.1:0", "127.0.0.1:0" })
	if err := source.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- source.Run(ctx) }()
	overGRPC(t, source, []pmetric.Metrics{exportOf("a", cumulativeSum, point{at: 1, status: "200", v: 1})})
	overHTTPProto(t, source, []pmetric.Metrics{exportOf("b", cumulativeSum, point{at: 1, status: "200", v: 1})})
	http.DefaultClient.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := net.Dial("tcp", source.HTTPAddr()); err == nil {
		t.Error("it still listens")
	}
	if got := source.Stats(); got.Accepted != 2 || got.Requests != 2 {
		t.Errorf("got %+v, want two accepted points", got)
	}
}

func TestRunWithoutListeners(t *testing.T) {
	source := newSource(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := source.Run(ctx); err != nil {
		t.Error(err)
	}
	if source.GRPCAddr() != "" || source.HTTPAddr() != "" {
		t.Error("it listens")
	}
}

func TestListenError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	source := newSource(t, func(c *otlp.Config) { c.GRPC, c.HTTP = "127.0.0.1:0", taken.Addr().String() })
	err = source.Run(t.Context())
	var listen *otlp.ListenError
	if !errors.As(err, &listen) || listen.Protocol != "http" || listen.Address != taken.Addr().String() {
		t.Fatalf("got %v, want a *ListenError about %s", err, taken.Addr())
	}
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), listen.Address) {
		t.Errorf("%v does not tell that the address is in use", err)
	}
	if source.GRPCAddr() != "" {
		t.Error("the other listener stayed open")
	}
}

func TestConfig(t *testing.T) {
	if err := otlp.DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	err := otlp.Config{GRPC: "4317", HTTP: "nowhere", MaxBytes: 1, Retention: time.Second, HistoryRetention: time.Millisecond, MaxSeries: -1}.Validate()
	for _, want := range []string{"grpc", "http", "maxBytes", "retention", "historyRetention", "maxSeries"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if err := (otlp.Config{GRPC: "127.0.0.1:4317", HTTP: "127.0.0.1:4317"}).Validate(); err == nil {
		t.Error("two listeners on one address")
	}
}

// Pushing, asking, evicting and tracking at once, for the race detector; and no
// point is lost.
func TestAtOnce(t *testing.T) {
	source := newSource(t, func(c *otlp.Config) { c.Retention = 10 * time.Minute })
	const pods, readings = 8, 200
	var all sync.WaitGroup
	for p := range pods {
		all.Go(func() {
			for i := range readings {
				push(t, source, exportOf(fmt.Sprint(p), cumulativeSum, point{at: float64(15 * i), status: "200", v: float64(i)}))
			}
		})
	}
	for range 2 {
		all.Go(func() {
			for i := range 100 {
				answerTo(t, source, checkout(fold(-15*float64(i+1), -15*float64(i)))) // of a past that nothing is sent for
				_ = source.Track([]analysis.Signal{errorsOfRequests()})
				source.Evict(at(15 * readings))
				source.Stats()
				if _, err := source.History(t.Context(), historyOf(0, 15*readings)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got := source.Stats(); got.Accepted+got.Late != pods*readings {
		t.Errorf("got %+v, want %d points", got, pods*readings)
	}
}

// 4 services with 5 pods of 10 series, exporting every 15 s for 3.5 hours, must fit
// into 20 MB with all samples kept raw.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("pushes 168,000 points")
	}
	source := newSource(t, func(c *otlp.Config) { c.Retention = 4 * time.Hour })
	if err := source.Track([]analysis.Signal{errorsOfRequests()}); err != nil {
		t.Fatal(err)
	}
	before := heap()
	load(t, source, 210*time.Minute, 10)
	after := heap()
	if got := source.Stats(); got.Accepted != 4*5*10*841 || got.Series != 200 {
		t.Errorf("got %+v", got)
	}
	used := int64(after) - int64(before)
	t.Logf("%.1f MB", float64(used)/1e6)
	if used > 20e6 {
		t.Errorf("%.1f MB, want at most 20", float64(used)/1e6)
	}
	runtime.KeepAlive(source)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// load pushes exports of 4 services with 5 pods.
func load(t testing.TB, source *otlp.Source, span time.Duration, series int) {
	for s := 0.0; s <= span.Seconds(); s += 15 {
		if _, err := source.Consume(t.Context(), bigExport(s, series)); err != nil {
			t.Fatal(err)
		}
	}
}

// bigExport is one export of 4 services with 5 pods, with the attributes that SDKs send.
func bigExport(s float64, series int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for service := range 4 {
		for pod := range 5 {
			rm := md.ResourceMetrics().AppendEmpty()
			putAll(rm.Resource().Attributes(), map[string]string{
				analysis.AttrService: fmt.Sprintf("service-%d", service), analysis.AttrNamespace: "shop", analysis.AttrVersion: "1.0",
				analysis.AttrEnvironment: "production", analysis.AttrPod: fmt.Sprintf("pod-%d-%d", service, pod), analysis.AttrInstance: fmt.Sprintf("i-%d-%d", service, pod),
				"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go",
			})
			metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
			for i := range series {
				m := metrics.AppendEmpty()
				m.SetName("requests")
				sum := m.SetEmptySum()
				sum.SetIsMonotonic(true)
				sum.SetAggregationTemporality(cumulativeSum)
				p := sum.DataPoints().AppendEmpty()
				p.SetTimestamp(stamp(s + float64(pod)))
				p.SetStartTimestamp(stamp(-100))
				p.SetIntValue(int64(s))
				p.Attributes().PutStr("status", fmt.Sprint(200+i*50))
				p.Attributes().PutStr("http.route", "/")
				p.Attributes().PutStr("http.request.method", "GET")
			}
		}
	}
	return md
}

// One request of 20 resources with 3 series each.
func BenchmarkConsume(b *testing.B) {
	source, err := otlp.New(otlp.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		md := bigExport(15*float64(i), 3)
		b.StartTimer()
		if _, err := source.Consume(b.Context(), md); err != nil {
			b.Fatal(err)
		}
	}
}

// One fold of one service of four, with an hour of memory.
func BenchmarkRows(b *testing.B) {
	source, err := otlp.New(otlp.Config{})
	if err != nil {
		b.Fatal(err)
	}
	load(b, source, 2*time.Hour, 10)
	q := checkout(fold(7000, 7015))
	q.Matches[0].Values = []string{"service-1"}
	b.ReportAllocs()
	for b.Loop() {
		answer, err := source.Rows(b.Context(), q)
		if err != nil || len(answer.Rows) != 5 {
			b.Fatal(answer, err)
		}
	}
}

// Two hours of minutes of 5 pods with 10 series, from raw samples.
func BenchmarkHistory(b *testing.B) {
	source, err := otlp.New(otlp.Config{})
	if err != nil {
		b.Fatal(err)
	}
	load(b, source, 2*time.Hour, 10)
	q := historyOf(0, 7200)
	q.Matches[0].Values = []string{"service-1"}
	for b.Loop() {
		if sums, err := source.History(b.Context(), q); err != nil || len(sums) < 500 {
			b.Fatal(len(sums), err)
		}
	}
}
