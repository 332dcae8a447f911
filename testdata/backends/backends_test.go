package backends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

func TestKafkaKeepsItsDataThroughRestartAndKill(t *testing.T) {
	k := StartKafka(t)
	topic := fmt.Sprintf("backends-%d", time.Now().UnixNano())
	createTopic(t, k, topic)
	write(t, k, topic, "first")
	want(t, read(t, k, topic, 1), "first")
	if os.Getenv("ASSAY_TEST_KAFKA") != "" {
		return
	}

	addr := k.Addr
	k.Restart()
	want(t, read(t, k, topic, 1), "first")

	write(t, k, topic, "second")
	k.Kill()
	if conn, err := kafka.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the broker takes connections after Kill")
	}
	k.Restart()
	want(t, read(t, k, topic, 2), "first", "second")

	k.Stop()
	k.Restart()
	want(t, read(t, k, topic, 2), "first", "second")

	t.Setenv("ASSAY_TEST_KAFKA", k.Addr)
	want(t, read(t, StartKafka(t), topic, 2), "first", "second")
}

func createTopic(t *testing.T, k *Kafka, topic string) {
	t.Helper()
	client := kafka.Client{Addr: kafka.TCP(k.Addr), Timeout: 10 * time.Second}
	resp, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err := errors.Join(err, resp.Errors[topic]); err != nil {
		t.Fatalf("create topic: %v", err)
	}
}

func write(t *testing.T, k *Kafka, topic, value string) {
	t.Helper()
	w := kafka.Writer{Addr: kafka.TCP(k.Addr), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
	defer w.Close()
	if err := w.WriteMessages(t.Context(), kafka.Message{Value: []byte(value)}); err != nil {
		t.Fatalf("write %q: %v", value, err)
	}
}

// read returns the first n values of the topic.
func read(t *testing.T, k *Kafka, topic string, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{k.Addr}, Topic: topic, MaxWait: 100 * time.Millisecond})
	defer r.Close()
	var values []string
	for range n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			t.Fatalf("read %s after %q: %v", topic, values, err)
		}
		values = append(values, string(m.Value))
	}
	return values
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestPrometheusAnswersFromABackfilledRecording(t *testing.T) {
	file := filepath.Join(t.TempDir(), "recording.txt")
	const start = 1_600_000_000 // September 2020: far outside the server's default retention
	var recording strings.Builder
	recording.WriteString("# TYPE shop_orders counter\n")
	for i := range 60 {
		fmt.Fprintf(&recording, "shop_orders_total{version=\"1.2.3\"} %d %d\n", 10*i, start+15*i)
	}
	recording.WriteString("# EOF\n")
	if err := os.WriteFile(file, []byte(recording.String()), 0o644); err != nil {
		t.Fatal(err)
	}

	p := StartPrometheus(t, PrometheusConfig{Backfill: []string{file}})
	const end = start + 15*59
	if got := query(t, p, `shop_orders_total{version="1.2.3"}`, end); got != "590" {
		t.Errorf("last sample: got %q, want 590", got)
	}
	if got := query(t, p, `round(increase(shop_orders_total[10m]))`, end); got != "400" {
		t.Errorf("increase over 10 minutes: got %q, want 400", got)
	}
	if got := query(t, p, `shop_orders_total`, start-1); got != "" {
		t.Errorf("before the recording: got %q, want nothing", got)
	}

	p.Kill()
	p.Restart()
	if got := query(t, p, `shop_orders_total`, end); got != "590" {
		t.Errorf("last sample after a restart: got %q, want 590", got)
	}
}

func TestPrometheusScrapesAndNamesItsVersion(t *testing.T) {
	port := freePort(t)
	p := StartPrometheus(t, PrometheusConfig{
		Flags:         []string{"--web.listen-address=" + address(port)}, // a second address: its own target
		ScrapeConfigs: "- job_name: itself\n  static_configs: [{targets: ['" + address(port) + "']}]",
	})
	for deadline := time.Now().Add(30 * time.Second); query(t, p, `up{job="itself"}`, time.Now().Unix()) != "1"; {
		if time.Now().After(deadline) {
			t.Fatal("the target did not come up")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got := string(get(t, p.URL+"/api/v1/status/buildinfo")); !strings.Contains(got, `"version":"3.`) {
		t.Errorf("build information: got %s, want a version 3.x", got)
	}

	t.Setenv("ASSAY_TEST_PROMETHEUS", p.URL+"/")
	if other := StartPrometheus(t, PrometheusConfig{}); other.URL != p.URL {
		t.Errorf("the server of the environment: got %s, want %s", other.URL, p.URL)
	}
}

// query returns the one value of an instant query, or nothing if nothing matches.
func query(t *testing.T, p *Prometheus, expr string, at int64) string {
	t.Helper()
	body := get(t, p.URL+"/api/v1/query?"+url.Values{"query": {expr}, "time": {fmt.Sprint(at)}}.Encode())
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("answer to %s: %v: %s", expr, err, body)
	}
	switch r := answer.Data.Result; len(r) {
	case 0:
		return ""
	case 1:
		return fmt.Sprint(r[0].Value[1])
	default:
		t.Fatalf("answer to %s: %d series", expr, len(r))
		return ""
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", url, resp.Status, err, body)
	}
	return body
}

func TestAServerOfSomebodyElseIsNotTouched(t *testing.T) {
	l := freePort(t)
	t.Setenv("ASSAY_TEST_PROMETHEUS", "http://"+address(l))
	rec := &recorder{TB: t}
	rec.run(func() { StartPrometheus(rec, PrometheusConfig{Backfill: []string{"x"}}) })
	if !strings.Contains(rec.fatal, "ASSAY_TEST_PROMETHEUS cannot be backfilled") {
		t.Errorf("backfill: got %q", rec.fatal)
	}
	for name, do := range map[string]func(*server){"stopped": (*server).Stop, "killed": (*server).Kill, "restarted": (*server).Restart} {
		s := &server{t: rec, name: "kafka", external: "ASSAY_TEST_KAFKA"}
		rec.run(func() { do(s) })
		if !strings.Contains(rec.fatal, "ASSAY_TEST_KAFKA cannot be "+name) {
			t.Errorf("%s: got %q", name, rec.fatal)
		}
	}
}

func TestAServerThatDiesShowsItsLog(t *testing.T) {
	rec := &recorder{TB: t}
	rec.run(func() { StartPrometheus(rec, PrometheusConfig{ScrapeConfigs: "- job_name: 7\n  no_such_key: x"}) })
	if !strings.Contains(rec.fatal, "ended before it was ready") {
		t.Errorf("got %q", rec.fatal)
	}
	rec.cleanup()
	if !strings.Contains(rec.logged, "no_such_key") {
		t.Errorf("the log is not shown: got %q", rec.logged)
	}
}

func TestAnArtifactIsBuiltOnceHoweverManyAsk(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	built := 0
	a := artifact{name: "thing", version: "v1", recipe: []string{"r"}, build: func(dir string, out io.Writer) error {
		built++ // under the file lock
		time.Sleep(50 * time.Millisecond)
		return os.WriteFile(filepath.Join(dir, "made"), nil, 0o644)
	}}
	results := make(chan error)
	for range 4 {
		go func() {
			dir, err := a.ensure(t.Logf)
			if err == nil && !exists(filepath.Join(dir, "made")) {
				err = errors.New("returned before it was made")
			}
			results <- err
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if built != 1 {
		t.Errorf("built %d times, want once", built)
	}

	a.version = "v2"
	a.build = func(dir string, out io.Writer) error {
		fmt.Fprintln(out, "no such compiler")
		return errors.New("exit status 1")
	}
	if dir, err := a.ensure(t.Logf); err == nil || !strings.Contains(err.Error(), "no such compiler") {
		t.Errorf("a build that fails: got %q, %v", dir, err)
	}
	a.build = func(string, io.Writer) error { return nil }
	if _, err := a.ensure(t.Logf); err != nil {
		t.Errorf("the build after one that failed: %v", err)
	}
}

// recorder is a testing.TB that keeps how a test would have failed.
type recorder struct {
	testing.TB
	fatal, logged string
	cleanups      []func()
}

func (r *recorder) run(f func()) {
	r.fatal = ""
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil && p != r {
				panic(p)
			}
		}()
		f()
	}()
	<-done
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) Logf(format string, args ...any) { r.logged += fmt.Sprintf(format, args...) + "\n" }
func (r *recorder) Failed() bool                    { return r.fatal != "" }
func (r *recorder) Cleanup(f func())                { r.cleanups = append(r.cleanups, f) }

func (r *recorder) cleanup() {
	for len(r.cleanups) > 0 {
		last := len(r.cleanups) - 1
		f := r.cleanups[last]
		r.cleanups = r.cleanups[:last]
		f()
	}
}
