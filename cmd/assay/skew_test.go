package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/prometheus"
)

// TestSkewIsAgainstTheWorkingClock: where the machine's clock has jumped, and the
// process counts on from before, it is not the server's clock that is off.
func TestSkewIsAgainstTheWorkingClock(t *testing.T) {
	const jump = time.Hour
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-jump).UTC().Format(http.TimeFormat)) // the true time
		_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
	}))
	defer web.Close()
	conf := config.Defaults()
	conf.DataDir = t.TempDir()
	conf.Listeners.OTLP = config.OTLPListeners{GRPC: config.Off, HTTP: config.Off}
	conf.Listeners.Kafka = config.Off
	conf.Policies = []string{writeIn(t, conf.DataDir, "source.yaml", strings.ReplaceAll(`
apiVersion: openslo/v1
kind: DataSource
metadata: {name: shop}
spec: {type: Prometheus, connectionDetails: {url: '{}'}}
`, "{}", web.URL))}
	working := func() time.Time { return time.Now().Add(-jump) }
	s, err := openServer(t.Context(), conf, slog.New(slog.DiscardHandler), working)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	shop := s.table["shop"].(*prometheus.Source)
	if err := shop.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if skew := shop.Skew(); skew.Abs() > time.Minute {
		t.Errorf("a skew of %v", skew)
	}
}
