package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// examined is what doctor says of a configuration. Nothing listens where it listens,
// unless the text says otherwise.
func examined(t *testing.T, text string, args ...string) (exitCode, diagnosis, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "assay.yaml")
	if !strings.Contains(text, "listeners:") {
		text = fmt.Sprintf("listeners: {http: %s, kafka: %s, otlp: {grpc: %s, http: off}}\n", nobody(t), nobody(t), nobody(t)) + text
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, failed := command(t, append([]string{"doctor", "--config", file, "-q", "-o", "json"}, args...)...)
	var d diagnosis
	if out != "" {
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(file)); err != nil || len(entries) != 1 {
		t.Errorf("doctor left something behind: %v %v", entries, err)
	}
	return code, d, failed
}

// nobody is an address that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (d diagnosis) says(l level, about, text string) bool {
	return slices.ContainsFunc(d.Findings, func(f finding) bool { return f.Level == l && f.Path == about && strings.Contains(f.Message, text) })
}

func TestDoctorOfTheDefault(t *testing.T) {
	code, d, failed := examined(t, "")
	if code != exitOK || failed != "" || d.Errors != 0 || d.Warnings != 0 {
		t.Fatalf("exit code %d: %+v %s", code, d.Findings, failed)
	}
	for name, want := range map[string][2]string{
		"server": {embedded, "not running"}, "store": {embedded, "not running, not opened, "}, "kafka": {embedded, "not running"}, "otlp": {embedded, "not running"},
		"prometheus": {notConfigured, "metrics are pushed"}, "policies": {notConfigured, "the built-in plan"}, "authentication": {notConfigured, "loopback only"},
		"traces": {embedded, "not running"}, "logs": {embedded, "not running"},
	} {
		if p := d.about(name); p.Kind != want[0] || !strings.HasPrefix(p.State, want[1]) {
			t.Errorf("%s: %s, %s; want %s, %s", name, p.Kind, p.State, want[0], want[1])
		}
	}
}

func TestDoctorOfAWrongConfiguration(t *testing.T) {
	code, d, failed := examined(t, "dataDirectory: x")
	if code != exitUsage || len(d.Parts) > 0 || !strings.Contains(failed, "assay.yaml:2:1") || !strings.Contains(failed, "dataDirectory") {
		t.Errorf("exit code %d: %s", code, failed)
	}
}

func TestDoctorOfTheDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	code, d, _ := examined(t, "dataDir: "+file)
	if code != exitInternal || !d.says(levelError, "store", "is no directory") {
		t.Errorf("exit code %d: %+v", code, d.Findings)
	}
	code, d, _ = examined(t, "store: {reserveMiB: 65536}\ndataDir: "+filepath.Join(t.TempDir(), "a", "b"))
	if free, err := freeSpace(t.TempDir()); err == nil && (free < 64<<30) != (code == exitInternal) {
		t.Errorf("%d bytes are free; exit code %d: %+v", free, code, d.Findings)
	}
}

func TestDoctorFindsAnotherProgramOnItsPorts(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	taken := other.Listener.Addr().String()
	for about, listeners := range map[string]string{
		"server": fmt.Sprintf("listeners: {http: %s, kafka: %s, otlp: {grpc: off, http: off}}", taken, nobody(t)),
		"kafka":  fmt.Sprintf("listeners: {http: %s, kafka: %s, otlp: {grpc: off, http: off}}", nobody(t), taken),
		"otlp":   fmt.Sprintf("listeners: {http: %s, kafka: %s, otlp: {grpc: %s, http: off}}", nobody(t), nobody(t), taken),
	} {
		if code, d, _ := examined(t, listeners); code != exitInternal || d.Errors != 1 || !d.says(levelError, about, taken) {
			t.Errorf("%s: exit code %d: %+v", about, code, d.Findings)
		}
	}
	if code, d, _ := examined(t, "", "--server", "http://"+nobody(t)); code != exitInternal || d.about("server").State != "down" {
		t.Errorf("a server that was named: exit code %d: %+v", code, d.Findings)
	}
}

// What the running server says is told, and what is wrong there is an error here.
func TestDoctorOfARunningServer(t *testing.T) {
	answer := status{Version: version, Parts: []part{
		{Name: "store", Kind: embedded, State: "ok"},
		{Name: "kafka", Kind: embedded, State: "ok"},
		{Name: "otlp", Kind: embedded, State: "ok", Detail: map[string]any{"Services": 0}},
	}}
	url := answering(t, func(int64) any { return answer })
	code, d, _ := examined(t, "", "--server", url)
	if code != exitOK || d.about("server").State != "ok, version "+version || d.about("kafka").State != "ok" || !strings.HasPrefix(d.about("store").State, "ok, ") ||
		!d.says(levelWarning, "otlp", "no service has pushed telemetry yet") {
		t.Errorf("exit code %d: %+v %+v", code, d.Parts, d.Findings)
	}
	answer.Parts[0].State, answer.Parts[1].State = "disk is full", "down"
	code, d, _ = examined(t, "", "--server", url)
	if code != exitInternal || d.Errors != 2 || !d.says(levelError, "store", "disk is full") || !d.says(levelError, "kafka", "does not read events: down") {
		t.Errorf("exit code %d: %+v", code, d.Findings)
	}
}

func TestDoctorOfBrokers(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic(kafka.TopicDeployments, 1))
	brokers := strings.Join(broker.Config().Brokers, ", ")
	code, d, _ := examined(t, "kafka: {brokers: ["+brokers+"]}\nlisteners: {http: "+nobody(t)+", otlp: {grpc: off, http: off}}")
	if p := d.about("kafka"); code != exitOK || p.Kind != external || p.State != "ok" || !d.says(levelNote, "kafka", "topic "+kafka.TopicVerdicts+" does not exist") {
		t.Errorf("exit code %d: %+v %+v", code, p, d.Findings)
	}
	client := kafkatest.Connect(t, broker.Config())
	if missing, _, err := kafka.InspectTopics(t.Context(), client, kafka.Topics...); err != nil || len(missing) != 2 {
		t.Errorf("doctor has created topics; missing are %v, %v", missing, err)
	}
	code, d, _ = examined(t, "kafka: {brokers: ["+nobody(t)+"]}\nlisteners: {http: "+nobody(t)+", otlp: {grpc: off, http: off}}")
	if p := d.about("kafka"); code != exitInternal || p.State != "down" || d.Errors != 1 {
		t.Errorf("down: exit code %d: %+v %+v", code, p, d.Findings)
	}
}

// A clock that is a little wrong makes verdicts late, one that is far off loses them.
func TestDoctorOfPrometheus(t *testing.T) {
	silent := silentProm(t, nil)
	ahead := func(by time.Duration) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }))
	t.Cleanup(page.Close)
	for _, test := range []struct {
		what, url, state string
		code             exitCode
		level            level
		says             string
	}{
		{"well", silent, "ok", exitOK, "", ""},
		{"a little ahead", ahead(12 * time.Second), "ok", exitOK, levelWarning, "its clock and the one of this machine are at least 1"},
		{"far behind", ahead(-5 * time.Minute), "ok", exitInternal, levelError, "apart"},
		{"down", "http://" + nobody(t), "down", exitInternal, levelError, "no answer from"},
		{"a page", page.URL, "down", exitInternal, levelError, "not as the API of Prometheus"},
	} {
		code, d, _ := examined(t, "sources: {prom: {type: prometheus, url: "+test.url+"}}")
		p := d.about("prom")
		if code != test.code || p.Kind != external || p.Where != test.url || p.State != test.state || (test.level != "") != d.says(test.level, "prom", test.says) {
			t.Errorf("%s: exit code %d: %+v %+v", test.what, code, p, d.Findings)
		}
		if test.level == levelError && d.Findings[0].Level != levelError {
			t.Errorf("%s: the error does not come first: %+v", test.what, d.Findings)
		}
		if !d.says(levelWarning, "policies", "no Prometheus is ever asked") {
			t.Errorf("%s: nothing is asked of it, and nobody says so: %+v", test.what, d.Findings)
		}
	}
	code, d, _ := examined(t, "sources: {prom: {type: prometheus, url: "+silent+"}}\nbuiltIn: {source: prom}")
	if code != exitOK || !d.says(levelWarning, "prom", "none of the built-in signals") || d.says(levelWarning, "policies", "no Prometheus is ever asked") {
		t.Errorf("built-in: exit code %d: %+v", code, d.Findings)
	}
}

func TestDoctorOfOpenListeners(t *testing.T) {
	_, port, _ := net.SplitHostPort(nobody(t))
	code, d, _ := examined(t, fmt.Sprintf("listeners: {http: '0.0.0.0:%s', kafka: %s, otlp: {grpc: off, http: off}}", port, nobody(t)))
	if code != exitOK || !d.says(levelWarning, "authentication", "0.0.0.0:"+port+" can be reached from other machines") || d.about("server").Where != "http://127.0.0.1:"+port {
		t.Errorf("exit code %d: %+v %+v", code, d.Parts, d.Findings)
	}
	if got := dialled("[::]:8080"); got != "127.0.0.1:8080" {
		t.Errorf("[::]:8080 is dialled as %s", got)
	}
	if got := dialled(config.Defaults().Listeners.HTTP); got != "127.0.0.1:8080" {
		t.Errorf("the default is dialled as %s", got)
	}
}
