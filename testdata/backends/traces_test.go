package backends

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is sent to the Collector is found in Jaeger and, with zstd, in Kafka.
func TestCollectorSendsToJaegerAndKafka(t *testing.T) {
	j, k := StartJaeger(t), StartKafka(t)
	topic := fmt.Sprintf("backends-spans-%d", time.Now().UnixNano())
	createTopic(t, k, topic)
	c := StartCollector(t, CollectorConfig{
		Exporters: fmt.Sprintf("otlphttp: {endpoint: %q, compression: none}\nkafka: {brokers: [%q], protocol_version: 2.8.0, traces: {topic: %q, encoding: otlp_json}, producer: {compression: zstd}}", j.OTLP, k.Addr, topic),
		Traces:    []string{"otlphttp", "kafka"},
	})
	const id = "5b8efff798038103d269b633813fc60c"
	now := time.Now().UnixNano()
	body := fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"checkout"}}]},"scopeSpans":[{"spans":[
		{"traceId":%q,"spanId":"eee19b7ec3c1b174","name":"GET /orders","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`, id, now-1e6, now)
	resp, err := http.Post("http://"+c.HTTP+"/v1/traces", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the collector answers %s", resp.Status)
	}
	if got := read(t, k, topic, 1); !strings.Contains(got[0], id) {
		t.Errorf("Kafka holds %s, want the trace", got)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(j.URL + "/api/v3/traces/" + id)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
		if resp.StatusCode != http.StatusNotFound || time.Now().After(deadline) {
			t.Fatalf("Jaeger answers %s", resp.Status)
		}
	}
}
