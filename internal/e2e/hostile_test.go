package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/intake/intaketest"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/testdata/backends"
)

// A hostile event and the word with which it is refused (reliability F6 to F9).
type hostile struct {
	name   string
	m      intake.Message
	reason string
}

// hostileEvents are made from a good one: what is changed is all that is wrong.
func hostileEvents(t *testing.T) []hostile {
	good := encode(t, started("good", time.Now().UTC().Truncate(time.Second)))
	value := func(text string) intake.Message {
		m := good
		m.Value = []byte(text)
		return m
	}
	swap := func(old, new string) intake.Message {
		t.Helper()
		if !bytes.Contains(good.Value, []byte(old)) {
			t.Fatalf("no %s in %s", old, good.Value)
		}
		return value(strings.Replace(string(good.Value), old, new, 1))
	}
	header := func(key, value string) intake.Message {
		m := good
		m.Headers = nil
		for _, h := range good.Headers {
			if h.Key == key {
				h.Value = []byte(value)
			}
			m.Headers = append(m.Headers, h)
		}
		return m
	}
	labels := map[string]string{}
	for i := range 33 {
		labels[fmt.Sprintf("label-%d", i)] = "x"
	}
	many, err := json.Marshal(labels)
	if err != nil {
		t.Fatal(err)
	}
	nobody := good
	nobody.Headers, nobody.ContentType = []store.Header{{Key: "content-type", Value: []byte("application/json")}}, "application/json"
	return []hostile{
		{"no JSON", value("hello"), "malformed"},
		{"null", value("null"), "malformed"},
		{"trailing bytes", value(string(good.Value) + "{}"), "malformed"},
		{"a key twice", swap(`"mode":"live"`, `"mode":"live","mode":"shadow"`), "malformed"},
		{"a key twice but for case", swap(`"mode":"live"`, `"mode":"live","Mode":"shadow"`), "malformed"},
		{"not UTF-8", swap(`"strategy":"canary"`, "\"strategy\":\"\xff\xfe\""), "malformed"},
		{"a NUL", swap(`"strategy":"canary"`, `"strategy":"\u0000"`), "schema"},
		{"nested 100,000 deep", value(strings.Repeat("[", 100_000)), "malformed"},
		{"a number beyond all numbers", swap(`"weight":0.2`, `"weight":1e999`), "malformed"},
		{"a share of 200 %", swap(`"weight":0.2`, `"weight":2`), "schema"},
		{"33 labels", swap(`"mode":"live"`, `"mode":"live","labels":`+string(many)), "schema"},
		{"a service that is a query", swap(`"id":"checkout"`, `"id":"checkout\"} or vector(1)"`), "schema"},
		{"260 KiB", value(string(good.Value) + strings.Repeat(" ", 260<<10)), "too_large"},
		{"CloudEvents of the future", header("ce_specversion", "2.0"), "unsupported_schema"},
		{"no CloudEvent", nobody, "malformed"},
	}
}

// TestHostileEventsOverHTTPAreRefused: each is told what is wrong with it, and a
// good one right after is served.
func TestHostileEventsOverHTTPAreRefused(t *testing.T) {
	a := serve(t, setup{noKafka: true})
	for _, h := range hostileEvents(t) {
		t.Run(h.name, func(t *testing.T) {
			a.in(t)
			header, body := h.m.HTTP()
			status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body)
			var said struct{ Outcome, Reason, Error string }
			if err != nil || json.Unmarshal(answer, &said) != nil {
				t.Fatalf("%d %s %v", status, answer, err)
			}
			want := http.StatusUnprocessableEntity
			if h.reason == "too_large" {
				want = http.StatusRequestEntityTooLarge
			}
			if status != want || said.Outcome != "rejected" || said.Reason != h.reason || said.Error == "" {
				t.Errorf("%d %s, want %d with reason %s and what is wrong", status, answer, want, h.reason)
			}
		})
	}
	e := started("right-after", time.Now().UTC().Truncate(time.Second))
	a.post(e)
	took := a.eventually(2*time.Second, "a good event is seen", seen(a, "right-after"))
	t.Logf("a good event is seen after %v", took.Round(time.Millisecond))

	// The same name with other content: the first stands.
	e.Release.Version = "6.6.6"
	header, body := encode(t, e).HTTP()
	if status, answer, err := a.ask(http.MethodPost, "/v1/events", header, body); err != nil || status != http.StatusConflict {
		t.Errorf("the same event with another version: %d %s %v, want 409", status, answer, err)
	}
	if v, _ := a.verdict("right-after"); v.Version == "6.6.6" {
		t.Error("the second of two events of one name has won")
	}
	if n := a.status().DeadLetters["conflict"]; n != 1 {
		t.Errorf("%d dead letters of conflicts, want 1: it may be a forgery", n)
	}
	a.stop()
}

// TestHostileEventsOnKafkaBecomeDeadLetters: each lies in the dead letters with its
// reason, intake moves on at once, and what says its name can be asked for.
func TestHostileEventsOnKafkaBecomeDeadLetters(t *testing.T) {
	a := serve(t, setup{})
	want := map[string]int{}
	for _, h := range hostileEvents(t) {
		produce(t, a.bus, h.m)
		want[h.reason]++
	}
	produce(t, a.bus, intake.Message{Key: []byte("k")}) // a tombstone
	want["malformed"]++
	produce(t, a.bus, encode(t, started("right-after", time.Now().UTC().Truncate(time.Second))))
	took := a.eventually(time.Second, "a good event right after is taken", func() error {
		if accepted, _ := a.status().intake(); accepted != 1 {
			return fmt.Errorf("%d accepted", accepted)
		}
		return nil
	})
	t.Logf("a good event right after is taken after %v", took.Round(time.Millisecond))
	a.eventually(2*time.Second, "it is seen", seen(a, "right-after"))
	a.eventually(5*time.Second, "all dead letters", func() error {
		if got := a.status().DeadLetters; !maps.Equal(got, want) {
			return fmt.Errorf("got %v, want %v", got, want)
		}
		return nil
	})

	// Events whose content is fine and whose time is not (F5).
	future := started("future", time.Now().UTC().Add(time.Hour))
	produce(t, a.bus, encode(t, future))
	old := started("old", time.Now().UTC().Add(-25*time.Hour))
	produce(t, a.bus, encode(t, old))
	if v, _ := a.final("old", 5*time.Second); v.Verdict.String() != "hold" || v.ReasonCode != analysis.Expired {
		t.Errorf("a live deployment of yesterday: %s (%s), want hold (expired)", v.Verdict, v.ReasonCode)
	}
	a.eventually(5*time.Second, "an event of the future is quarantined", func() error {
		if n := a.status().DeadLetters["quarantined"]; n != 1 {
			return fmt.Errorf("%d", n)
		}
		return nil
	})

	// A newer producer's event is no secret: who asks for it is told to hold.
	m := encode(t, started("of-the-future", time.Now().UTC().Truncate(time.Second)))
	m.Value = bytes.Replace(m.Value, []byte(`.upgraded.0.`), []byte(`.upgraded.9.`), 2)
	for i, h := range m.Headers {
		m.Headers[i].Value = bytes.Replace(h.Value, []byte(`.upgraded.0.`), []byte(`.upgraded.9.`), 1)
	}
	produce(t, a.bus, m)
	a.eventually(5*time.Second, "an event of a newer schema is told of", func() error {
		for _, key := range []string{"of-the-future", "of-the-future-started"} {
			if v, _ := a.verdict(key); v.Verdict.String() == "hold" && v.ReasonCode == analysis.UnsupportedSchema {
				t.Logf("asked for as %s: %s", key, v.Reason)
				return nil
			}
		}
		return fmt.Errorf("not seen; dead letters %v", a.status().DeadLetters)
	})
	a.stop()
	a.verifyAudit()
}

// TestTheCorpusOnKafka: on a real broker and through the whole program every event
// of the corpus becomes a dead letter at its own offset with its own reason, good
// events between them and behind them are taken within a second, and bombs, which
// this topic lets in, cost their offsets and no memory (F6 to F9).
func TestTheCorpusOnKafka(t *testing.T) {
	kafka.InstallCodecs()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	siege := &siege{assay: a, client: kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}}), sent: map[int64]intaketest.Case{}}
	letCompressed(t, siege.client, kafka.TopicDeployments)
	siege.serve("nothing")

	corpus := a.watchMemory()
	siege.corpus()
	corpusGrown := corpus()
	bombs := a.watchMemory()
	siege.bombs()
	bombsGrown := bombs()
	t.Logf("%d hostile events; the slowest of %d good ones was taken after %v; resident memory grew by %.1f MiB with the corpus and by %.1f MiB with the bombs",
		len(siege.sent), siege.good, siege.slowest.Round(time.Millisecond), float64(corpusGrown)/(1<<20), float64(bombsGrown)/(1<<20))
	if corpusGrown > 64<<20 { // a full fetch is 1 MiB: on the wire, as records, decoded and as rows, until they are collected
		t.Errorf("with the corpus resident memory grew by %d MiB, at most 64 are allowed", corpusGrown>>20)
	}
	if bombsGrown > 32<<20 {
		t.Errorf("with the bombs resident memory grew by %d MiB, at most 32 are allowed", bombsGrown>>20)
	}

	reasons := map[string]int{}
	for _, c := range siege.sent {
		reasons[string(c.Reason)]++
	}
	if got := a.status().DeadLetters; !maps.Equal(got, reasons) {
		t.Errorf("dead letters %v, want %v", got, reasons)
	}
	a.stop()
	a.withStore(func(ctx context.Context, s *store.Store) {
		letters, err := s.DeadLetters(ctx, len(siege.sent)+1, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range letters {
			if c := siege.sent[d.Offset]; d.Reason != string(c.Reason) || d.LastOffset != d.Offset {
				t.Errorf("offset %d, %s: %s (%s), want %q", d.Offset, c.Name, d.Reason, d.Error, c.Reason)
			}
		}
	})
	a.verifyAudit()
}

// A siege sends hostile events to one partition, good ones between them, and
// remembers what is to become of each.
type siege struct {
	*assay
	client  *kafka.Client
	sent    map[int64]intaketest.Case // hostile ones, by offset
	good    int
	slowest time.Duration
}

// serve sends a good event, which must be taken within a second.
func (s *siege) serve(after string) {
	s.t.Helper()
	s.good++
	e := started(fmt.Sprintf("good-%d", s.good), time.Now().UTC().Truncate(time.Second))
	kafkatest.Send(s.t, s.client, kafka.TopicDeployments, 0, wire(encode(s.t, e)))
	took := s.eventually(time.Second, "a good event behind "+after, func() error { return s.counted(s.good, 0) })
	s.slowest = max(s.slowest, took)
}

func (s *siege) send(cases ...intaketest.Case) {
	s.t.Helper()
	var records []kafka.Record
	for _, c := range cases {
		records = append(records, wire(c.Message))
	}
	first := kafkatest.Send(s.t, s.client, kafka.TopicDeployments, 0, records...)
	for i, c := range cases {
		s.sent[first+int64(i)] = c
	}
}

// corpus sends all of it, in batches as large as the broker takes them (272 KiB).
func (s *siege) corpus() {
	s.t.Helper()
	var batch []intaketest.Case
	size, batches := 0, 0
	for _, c := range intaketest.Corpus() {
		bytes := len(c.Message.Key) + len(c.Message.Value)
		if size+bytes > 150<<10 && len(batch) > 0 { // leaves room for headers
			s.send(batch...)
			if batches++; batches%5 == 0 {
				s.serve(batch[len(batch)-1].Name)
			}
			batch, size = nil, 0
		}
		batch, size = append(batch, c), size+bytes
	}
	s.send(batch...)
	s.serve("the last of the corpus")
}

func (s *siege) bombs() {
	s.t.Helper()
	for _, b := range []struct {
		name  string
		codec compress.Compression
		size  int
	}{{"zstd", compress.Zstd, 512 << 20}, {"gzip", compress.Gzip, 128 << 20}, {"lz4", compress.Lz4, 32 << 20}} {
		bomb := kafkatest.Bomb(s.t, b.codec, b.size)
		name := fmt.Sprintf("a bomb of %d bytes (%s)", len(bomb.Payload), b.name)
		s.sent[kafkatest.SendRaw(s.t, s.client, kafka.TopicDeployments, 0, bomb)] = intaketest.Case{Name: name, Reason: intake.TooLarge}
		s.serve(name)
	}
}

// letCompressed lets a topic keep batches as producers compress them, against the
// contract: the broker does not look into them then.
func letCompressed(t *testing.T, client *kafka.Client, topic string) {
	t.Helper()
	_, err := client.API().IncrementalAlterConfigs(t.Context(), &kafkago.IncrementalAlterConfigsRequest{Resources: []kafkago.IncrementalAlterConfigsRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic,
		Configs: []kafkago.IncrementalAlterConfigsRequestConfig{{Name: "compression.type", Value: "producer", ConfigOperation: kafkago.ConfigOperationSet}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

// watchMemory tells by how much the process's resident memory has grown at most
// since, in bytes. Linux keeps the peak and lets it be set anew.
func (a *assay) watchMemory() func() int64 {
	a.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.cmd.Process.Pid), []byte("5"), 0); err != nil {
		a.t.Logf("memory is not measured: %v", err)
		return func() int64 { return 0 }
	}
	before := a.peak()
	return func() int64 { return a.peak() - before }
}

// peak is the most memory that was resident.
func (a *assay) peak() int64 {
	a.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`).FindSubmatch(text)
	if m == nil {
		a.t.Fatal("no VmHWM in /proc/PID/status")
	}
	kib, _ := strconv.ParseInt(string(m[1]), 10, 64) // digits
	return kib << 10
}

// seen tells whether a deployment's event has come.
func seen(a *assay, id string) func() error {
	return func() error {
		if v, _ := a.verdict(id); v.ReasonCode == analysis.NotSeen {
			return errors.New("no event has come")
		}
		return nil
	}
}
