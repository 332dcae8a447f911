package backends

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Jaeger is a Jaeger in one process that keeps traces in memory, so that Stop, Kill and Restart lose them. They fail the
// test if the server was named by ASSAY_TEST_JAEGER.
type Jaeger struct {
	// URL is the root of the query service, without a slash at the end.
	URL string
	// OTLP and OTLPGRPC are where it takes spans: a URL without /v1/traces, and host:port. Empty for a server of
	// somebody else's.
	OTLP, OTLPGRPC string

	*server
}

// StartJaeger starts a server and returns when it answers; the test's clean-up stops it. With ASSAY_TEST_JAEGER=URL it
// returns that server instead, whose receivers have to be known by OTEL_EXPORTER_OTLP_ENDPOINT.
func StartJaeger(t testing.TB) *Jaeger {
	t.Helper()
	const variable = "ASSAY_TEST_JAEGER"
	if url := os.Getenv(variable); url != "" {
		j := &Jaeger{URL: strings.TrimRight(url, "/"), server: &server{t: t, name: "jaeger", external: variable}}
		if j.OTLP = strings.TrimRight(os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"), "/"); j.OTLP == "" {
			t.Fatalf("the server of %s takes spans nobody knows where: set OTEL_EXPORTER_OTLP_ENDPOINT to its OTLP/HTTP address", variable)
		}
		j.ready = j.serves
		j.start()
		return j
	}
	a, err := jaegerProgram()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := a.ensure(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var ports [11]string
	for i := range ports {
		ports[i] = address(freePort(t))
	}
	j := &Jaeger{
		URL: "http://" + ports[0], OTLP: "http://" + ports[1], OTLPGRPC: ports[2],
		server: &server{t: t, name: "jaeger", program: filepath.Join(dir, a.name)},
	}
	j.args = []string{
		"--query.http-server.host-port=" + ports[0],
		"--collector.otlp.enabled=true",
		"--collector.otlp.http.host-port=" + ports[1],
		"--collector.otlp.grpc.host-port=" + ports[2],
		"--query.grpc-server.host-port=" + ports[3],
		"--collector.grpc-server.host-port=" + ports[4],
		"--collector.http-server.host-port=" + ports[5],
		"--admin.http.host-port=" + ports[6],
		"--http-server.host-port=" + ports[7], // sampling strategies
		"--processor.jaeger-binary.server-host-port=" + ports[8],
		"--processor.jaeger-compact.server-host-port=" + ports[9],
		"--processor.zipkin-compact.server-host-port=" + ports[10],
		"--reporter.grpc.host-port=" + ports[4],
		"--query.enable-tracing=false", // of itself
		"--log-level=warn",
	}
	j.ready = j.serves
	j.start()
	return j
}

func (j *Jaeger) serves() error {
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(j.URL + "/api/v3/services")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/api/v3/services: %s", j.URL, resp.Status)
	}
	return nil
}

func jaegerProgram() (artifact, error) {
	return goProgram("jaeger", "github.com/jaegertracing/jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one")
}
