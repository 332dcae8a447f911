package lokimirror

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

var issued = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func verdict(service string) verdicts.Verdict {
	return verdicts.Verdict{
		Final: true, IssuedAt: &issued, Verdict: verdicts.Rollback, Service: service, Environment: "production", Version: "2.0", BaselineVersion: "1.0",
		Reason: "errors rose", ReasonCode: "harm_shown", ValidationID: "v-1", DeploymentID: "d-1",
		Findings: []analysis.Finding{
			{Objective: "errors", State: analysis.FindingBreached, Reason: "5 times as many"},
			{Objective: "latency", State: analysis.FindingWithin, Reason: "as fast"},
		},
		Differences: []analysis.Difference{
			{Key: "log:1", What: "new ERROR line", Found: true}, {Key: "log:2", What: "seen, not yet evidence"}, {Key: "log:3", What: "muted", Found: true, Muted: true},
		},
	}
}

// A receiver takes pushes as Loki does.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	lines  []string // labels and text
	tenant string
	status int
	hold   chan struct{} // not nil: answers wait until it is closed
}

func receive(t *testing.T) *receiver {
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		hold := r.hold
		r.mu.Unlock()
		if hold != nil {
			<-hold
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status/100 != 2 {
			w.WriteHeader(r.status)
			return
		}
		if req.URL.Path != "/logs/loki/api/v1/push" {
			t.Errorf("pushed to %s", req.URL)
		}
		body, err := io.ReadAll(req.Body)
		if err == nil {
			body, err = snappy.Decode(nil, body)
		}
		if err != nil {
			t.Errorf("a push: %v", err)
		}
		for _, stream := range fields(t, body, 1) {
			labels := string(fields(t, stream, 1)[0])
			for _, entry := range fields(t, stream, 2) {
				var said struct{ Text string }
				if err := json.Unmarshal(fields(t, entry, 2)[0], &said); err != nil {
					t.Errorf("line %q: %v", entry, err)
				}
				if seconds, _ := protowire.ConsumeVarint(fields(t, entry, 1)[0][1:]); int64(seconds) != issued.Unix() {
					t.Errorf("at %d", seconds)
				}
				r.lines = append(r.lines, labels+" "+said.Text)
			}
		}
		r.tenant = req.Header.Get("X-Scope-OrgID")
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	return r
}

// fields are the values of a field of bytes in a message of protobuf.
func fields(t *testing.T, message []byte, number protowire.Number) (values [][]byte) {
	for len(message) > 0 {
		n, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			t.Fatalf("no protobuf: %q", message)
		}
		message = message[size:]
		if n == number && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message)
			values = append(values, value)
		}
		message = message[protowire.ConsumeFieldValue(n, kind, message):]
	}
	return values
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

func open(t *testing.T, url string, changes ...func(*Config)) *Mirror {
	t.Helper()
	c := DefaultConfig()
	c.URL = url + "/logs/"
	for _, change := range changes {
		change(&c)
	}
	m, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// pump runs Pump; the channel is closed when it has returned.
func pump(t *testing.T, m *Mirror) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Pump(); err != nil {
			t.Error(err)
		}
	}()
	return done
}

func TestLinesArrive(t *testing.T) {
	r := receive(t)
	m := open(t, r.URL, func(c *Config) { c.Tenant, c.Labels = "team-a", map[string]string{"cluster": "eu-1"} })
	done := pump(t, m)
	m.Put(verdict("check\"out\n"))
	m.Put(verdicts.Verdict{Service: "pending"})
	m.Close() // what waits is sent first
	<-done
	labels := `{app="assay", cluster="eu-1", environment="production", kind="%s", service="check\"out\n", verdict="rollback"} `
	want := []string{
		fmt.Sprintf(labels, "finding") + "check\"out\n 2.0: 5 times as many",
		fmt.Sprintf(labels, "finding") + "check\"out\n 2.0: new ERROR line",
		fmt.Sprintf(labels, "verdict") + "rollback check\"out\n 2.0: errors rose",
	}
	got := r.got()
	for _, line := range want {
		if n := strings.Count(strings.Join(got, "\x00")+"\x00", line+"\x00"); n != 1 {
			t.Errorf("%q came %d times: %q", line, n, got)
		}
	}
	if len(got) != len(want) || r.tenant != "team-a" || m.Stats() != (Stats{}) {
		t.Errorf("got %q, tenant %q, %+v", got, r.tenant, m.Stats())
	}
}

// Whatever the server does, nobody waits: not who has a verdict, and not who shuts down.
func TestNobodyWaits(t *testing.T) {
	r := receive(t)
	r.hold = make(chan struct{})
	var lost sync.Map
	m := open(t, r.URL, func(c *Config) { c.Queue, c.Lost = 10, func() { lost.Store(time.Now(), true) } })
	done := pump(t, m)
	began := time.Now()
	for i := range 10_000 {
		m.Put(verdict(fmt.Sprint("service-", i)))
		if i == 0 {
			time.Sleep(batchWait + 300*time.Millisecond) // its batch is on the way, and stays there
			began = time.Now()
		}
	}
	m.Close()
	m.Put(verdict("late"))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	select {
	case <-done:
		t.Error("the pump has ended, though the server does not answer")
	default:
	}
	if s := m.Stats(); s.Dropped < 9900 || s.Dropped > 10_000 {
		t.Errorf("%+v", s)
	}
	n := 0
	lost.Range(func(any, any) bool { n++; return true })
	if n == 0 {
		t.Error("nobody was told of what is lost")
	}
	close(r.hold)
	<-done // the client's own attempts have an end
}

func TestGivenUp(t *testing.T) {
	for _, status := range []int{http.StatusBadRequest, http.StatusServiceUnavailable} {
		r := receive(t)
		r.status = status
		m := open(t, r.URL)
		done := pump(t, m)
		m.Put(verdict("shop"))
		m.Close()
		m.Close()
		<-done
		if s := m.Stats(); s.Failed == 0 || s.Dropped != 0 || len(r.got()) != 0 {
			t.Errorf("status %d: %+v", status, s)
		}
	}
}

func TestManyFindingsAreFewLines(t *testing.T) {
	v := verdict("shop")
	for i := range 500 {
		v.Differences = append(v.Differences, analysis.Difference{Key: fmt.Sprint(i), What: "x", Found: true})
	}
	if n := len(linesOf(v)); n != 1+maxFindings {
		t.Errorf("%d lines", n)
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no address":            func(c *Config) { c.URL = "" },
		"no scheme":             func(c *Config) { c.URL = "loki:3100" },
		"credentials":           func(c *Config) { c.URL = "http://u:p@loki:3100" },
		"no label":              func(c *Config) { c.Labels = map[string]string{"a-b": "x"} },
		"our label":             func(c *Config) { c.Labels = map[string]string{"verdict": "x"} },
		"a tenant by the back":  func(c *Config) { c.Labels = map[string]string{"__tenant_id__": "x"} },
		"no queue":              func(c *Config) { c.Queue = 0 },
		"a tenant of two lines": func(c *Config) { c.Tenant = "a\nX-Evil: 1" },
	} {
		c := DefaultConfig()
		c.URL = "http://loki:3100"
		change(&c)
		if _, err := Open(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
