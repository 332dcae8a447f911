package intake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
)

// F1, F2: an event that comes a thousand times is one row; one with its name and
// other content is a dead letter.
func TestRunDuplicatesAndConflicts(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	original := record(t, "e-1", "original")
	for range 10 {
		batch := make([]kafka.Record, 100)
		for i := range batch {
			batch[i] = original
		}
		kafkatest.Send(t, c, testTopic, 0, batch...)
	}
	kafkatest.Send(t, c, testTopic, 0, record(t, "e-1", "forged"), record(t, "e-2"))
	eventually(t, 10*time.Second, "the last event is in the inbox", func() bool { return inbox(t, s)["e-2"] == 1 })
	if ids := inbox(t, s); len(ids) != 2 || ids["e-1"] != 1 {
		t.Errorf("inbox %v, want one row for each of two events", ids)
	}
	// The counts follow the transaction that the inbox shows already.
	eventually(t, 10*time.Second, "2 accepted, 999 duplicates and 1 conflict are counted", func() bool {
		counts := m.snapshot().Counts
		return counts.Accepted == 2 && counts.Duplicates == 999 && counts.Conflicts == 1
	})
	if all := letters(t, s); len(all) != 1 || all[0].Reason != string(Conflict) || !strings.Contains(string(all[0].Value), "forged") || all[0].Offset != 1000 {
		t.Errorf("dead letters %+v", all)
	}
}

// F6, F8, F9: each hostile record becomes a dead letter with its reason, and the
// next good event is served within a second.
func TestRunPoisonThenGood(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	want := map[int64]hostileCase{}
	for i, h := range hostileCases(t) {
		at := kafkatest.Send(t, c, testTopic, 0, hostileRecord(h.m))
		want[at] = h
		if i%10 != 0 {
			continue
		}
		id := fmt.Sprintf("good-%d", i)
		kafkatest.Send(t, c, testTopic, 0, record(t, id))
		limit := time.Second
		if i == 0 {
			limit = 10 * time.Second // joining the group
		}
		eventually(t, limit, "the good event after "+h.name, func() bool { return inbox(t, s)[id] == 1 })
	}
	eventually(t, 5*time.Second, "all dead letters", func() bool { return len(letters(t, s)) >= len(want) })
	for _, d := range letters(t, s) {
		h, ok := want[d.Offset]
		if !ok || d.LastOffset != d.Offset || d.Topic != testTopic {
			t.Errorf("a dead letter at %d nobody expects: %+v", d.Offset, d.Reason)
			continue
		}
		delete(want, d.Offset)
		if d.Reason != string(h.reason) {
			t.Errorf("%s: reason %s, want %s (%s)", h.name, d.Reason, h.reason, d.Error)
		}
		if len(d.Value) > maxKept {
			t.Errorf("%s: %d bytes are kept", h.name, len(d.Value))
		}
	}
	if len(want) > 0 {
		t.Errorf("%d records left no dead letter", len(want))
	}
	if st := m.snapshot(); st.State != OK || st.Counts.Rejected[UnsupportedSchema] == 0 {
		t.Errorf("status %+v", st)
	}
}

// hostileRecord puts a message on Kafka, its content type among the headers.
func hostileRecord(m Message) kafka.Record {
	r := recordOf(m)
	for _, h := range m.Headers {
		if h.Key == contentTypeHeader {
			return r
		}
	}
	if m.ContentType != "" {
		r.Headers = append(r.Headers, kafka.Header{Key: contentTypeHeader, Value: []byte(m.ContentType)})
	}
	return r
}

// F7, G10: bombs cost their offsets, an operator's attention and little memory.
func TestRunBombs(t *testing.T) {
	kafka.InstallCodecs()
	bombs := map[string]kafkatest.Raw{
		"gzip 512 MiB": kafkatest.Bomb(t, compress.Gzip, 512<<20),
		"zstd 512 MiB": kafkatest.Bomb(t, compress.Zstd, 512<<20),
		"lz4 64 MiB":   kafkatest.Bomb(t, compress.Lz4, 64<<20),
		"malformed":    {Count: 5, Payload: []byte("no records at all, and not compressed")},
	}
	for _, n := range []string{"gzip 512 MiB", "zstd 512 MiB", "lz4 64 MiB", "malformed"} {
		bomb := bombs[n]
		t.Run(n, func(t *testing.T) {
			broker, c := bench(t, 1)
			s := openStore(t)
			m := startRun(t, s, broker.Config())
			kafkatest.Send(t, c, testTopic, 0, record(t, "before"))
			eventually(t, 10*time.Second, "the event before", func() bool { return inbox(t, s)["before"] == 1 })

			peak := watchMemory(t)
			kafkatest.SendRaw(t, c, testTopic, 0, bomb)
			kafkatest.SendRaw(t, c, testTopic, 0, bomb) // a second one right behind it
			kafkatest.Send(t, c, testTopic, 0, record(t, "after"))
			took := eventually(t, time.Second, "the event after", func() bool { return inbox(t, s)["after"] == 1 })
			grown := peak()
			t.Logf("%d bytes on the wire; memory grew by %.1f MiB; the next good event was served after %v", len(bomb.Payload), float64(grown)/(1<<20), took)
			if grown > 32<<20 {
				t.Errorf("memory grew by %d MiB, at most 32 are allowed", grown>>20)
			}
			all := letters(t, s)
			if len(all) != 2 {
				t.Fatalf("dead letters %+v, want one for each bomb", all)
			}
			want := TooLarge
			if n == "malformed" {
				want = Malformed
			}
			for i, d := range all {
				first := 1 + int64(i)*int64(bomb.Count)
				if d.Reason != string(want) || d.Offset != first || d.LastOffset != first+int64(bomb.Count)-1 {
					t.Errorf("dead letter %s of %d..%d, want %s of %d..%d: %s", d.Reason, d.Offset, d.LastOffset, want, first, first+int64(bomb.Count)-1, d.Error)
				}
			}
			if st := m.snapshot(); st.State != OK {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// watchMemory samples what the process has from the system until the returned
// function is called, which tells by how much it grew.
func watchMemory(t *testing.T) func() int64 {
	t.Helper()
	debug.FreeOSMemory()
	used := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased)
	}
	base := used()
	var peak atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if now := used(); now > peak.Load() {
				peak.Store(now)
			}
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() int64 { close(stop); <-done; return peak.Load() - base }
}

// F12: what was written in a transaction is quarantined, committed or not, and the
// markers at the end of the log are stepped over.
func TestRunTransactions(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	for _, commit := range []bool{false, true} {
		p, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.TransactionalID(fmt.Sprint("tx", commit)), kgo.DefaultProduceTopic(testTopic))
		if err != nil {
			t.Fatal(err)
		}
		r := record(t, fmt.Sprintf("committed-%v", commit))
		message := &kgo.Record{Value: r.Value}
		for _, h := range r.Headers {
			message.Headers = append(message.Headers, kgo.RecordHeader(h))
		}
		err = errors.Join(p.BeginTransaction(), p.ProduceSync(t.Context(), message).FirstErr(), p.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)))
		p.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 10*time.Second, "the markers are stepped over", func() bool {
		st := m.snapshot()
		return len(st.Partitions) == 1 && st.Partitions[0].Next == 4 && st.Partitions[0].Lag == 0
	})
	kafkatest.Send(t, c, testTopic, 0, record(t, "plain"))
	eventually(t, 5*time.Second, "the plain event", func() bool { return inbox(t, s)["plain"] == 1 })
	all := letters(t, s)
	if len(all) != 2 || all[0].Reason != string(Quarantined) || all[1].Reason != string(Quarantined) || len(all[0].Value) == 0 {
		t.Errorf("dead letters %+v", all)
	}
	if n := len(inbox(t, s)); n != 1 {
		t.Errorf("%d events in the inbox", n)
	}
}

// The store's offset counts, whatever Kafka believes, and nothing is read twice.
func TestRunRestartsFromTheStore(t *testing.T) {
	broker, c := bench(t, 2)
	s := openStore(t)
	total := 0
	for round := range 4 {
		kafkatest.Send(t, c, testTopic, round%2, records(t, fmt.Sprintf("down-%d", round), 5)...)
		m := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Group = fmt.Sprintf("group-%d", round) }) // without any offset
		kafkatest.Send(t, c, testTopic, 0, records(t, fmt.Sprintf("up-%d", round), 5)...)
		total += 10
		eventually(t, 10*time.Second, "the events of the round", func() bool { return len(inbox(t, s)) == total })
		m.end()
		if n := m.snapshot().Counts; n.Duplicates != 0 || n.Accepted != 10 {
			t.Errorf("round %d: %+v", round, n)
		}
	}
}

// F19: whoever was overtaken writes nothing.
func TestRunFenced(t *testing.T) {
	broker, c := bench(t, 1)
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	kafkatest.Send(t, c, testTopic, 0, record(t, "first"))
	eventually(t, 10*time.Second, "the first event", func() bool { return inbox(t, s)["first"] == 1 })
	lease, err := s.AcquirePartition(t.Context(), testTopic, 0, "thief", "", time.Now())
	if err != nil || lease.NextOffset != 1 {
		t.Fatal(lease, err)
	}
	kafkatest.Send(t, c, testTopic, 0, record(t, "second"))
	eventually(t, 10*time.Second, "the fence is noticed", func() bool { return m.snapshot().Counts.Fenced == 1 })
	// It joins anew and takes the partition back, as the group's owner may.
	eventually(t, 10*time.Second, "the second event", func() bool { return inbox(t, s)["second"] == 1 })
	if _, err := s.Accept(t.Context(), store.Batch{Lease: &lease, NextOffset: 2, Now: time.Now()}); !errors.Is(err, store.ErrFenced) {
		t.Errorf("the thief writes with its old lease: %v", err)
	}
	eventually(t, 10*time.Second, "both events are counted", func() bool { return m.snapshot().Counts.Accepted == 2 })
	if n := m.snapshot().Counts; n.Duplicates != 0 {
		t.Errorf("counts %+v", n)
	}
}

// F14: a broker that is down is no error, and Run is there when it comes.
func TestRunBrokerDownAtStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	s := openStore(t)
	m := startRun(t, s, kafka.Config{Brokers: []string{addr}})
	if st := m.snapshot().State; st != Starting && st != Down {
		t.Errorf("state %s at start", st)
	}
	eventually(t, 5*time.Second, "it says that the broker is down", func() bool { return m.snapshot().State == Down })
	if text := m.snapshot().LastError; !strings.Contains(text, "refused") {
		t.Errorf("last error %q", text)
	}
	broker, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: addr, Topics: []kafka.Topic{kafkatest.Topic(testTopic, 2)}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	kafkatest.Send(t, kafkatest.Connect(t, broker.Config()), testTopic, 1, record(t, "e"))
	took := eventually(t, 10*time.Second, "the event", func() bool { return inbox(t, s)["e"] == 1 })
	t.Logf("the event was in the inbox %v after the broker served", took)
	eventually(t, 3*time.Second, "all is well", func() bool { st := m.snapshot(); return st.State == OK && len(st.Assigned) == 2 })
	m.end()
}

// F13 in small: the embedded broker restarts in the middle.
func TestRunBrokerRestarts(t *testing.T) {
	dir := t.TempDir()
	start := func(addr string) *kafka.Embedded {
		e, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: addr, DataDir: dir, SyncWrites: true, Topics: []kafka.Topic{kafkatest.Topic(testTopic, 2)}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	broker := start("127.0.0.1:0")
	s := openStore(t)
	m := startRun(t, s, broker.Config())
	for round := range 3 {
		c, err := kafka.Connect(broker.Config())
		if err != nil {
			t.Fatal(err)
		}
		kafkatest.Send(t, c, testTopic, round%2, records(t, fmt.Sprint("r", round), 50)...)
		c.Close()
		if round == 1 {
			time.Sleep(100 * time.Millisecond) // in the middle
		}
		addr := broker.Addr()
		broker.Close()
		broker = start(addr)
	}
	defer func() { broker.Close() }()
	eventually(t, 10*time.Second, "all events", func() bool { return len(inbox(t, s)) == 150 })
	m.end()
}

// F16 in small: members come and go, nothing is lost, nothing is there twice.
func TestRunRebalance(t *testing.T) {
	broker, c := bench(t, 6)
	s := openStore(t)
	a := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Owner = "a" })
	sent := 0
	send := func() {
		for p := range 6 {
			kafkatest.Send(t, c, testTopic, p, records(t, fmt.Sprintf("e-%d-%d", sent, p), 5)...)
		}
		sent++
	}
	send()
	eventually(t, 10*time.Second, "a has all partitions", func() bool { return len(a.snapshot().Assigned) == 6 })
	for round := range 3 {
		b := startRun(t, s, broker.Config(), func(c *RunConfig) { c.Owner = fmt.Sprint("b", round) })
		for range 5 {
			send()
			time.Sleep(20 * time.Millisecond)
		}
		eventually(t, 15*time.Second, "both have three", func() bool { return len(a.snapshot().Assigned) == 3 && len(b.snapshot().Assigned) == 3 })
		for range 5 {
			send()
		}
		b.end()
		send()
	}
	eventually(t, 20*time.Second, "all events", func() bool { return len(inbox(t, s)) == sent*30 })
	for id, n := range inbox(t, s) {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	if all := letters(t, s); len(all) != 0 {
		t.Errorf("dead letters %+v", all)
	}
	t.Logf("%d events; member a: %+v", sent*30, a.snapshot().Counts)
}

// faulty is a store that fails as told.
type faulty struct {
	*store.Store
	fail atomic.Pointer[error]
}

func (f *faulty) Accept(ctx context.Context, b store.Batch) (store.Accepted, error) {
	if err := f.fail.Load(); err != nil {
		return store.Accepted{}, *err
	}
	return f.Store.Accept(ctx, b)
}

// A store that is full makes events wait; it makes none a dead letter.
func TestRunStoreFull(t *testing.T) {
	broker, c := bench(t, 1)
	s := &faulty{Store: openStore(t)}
	full := fmt.Errorf("accept: %w", store.ErrFull)
	s.fail.Store(&full)
	m := startRun(t, s, broker.Config())
	kafkatest.Send(t, c, testTopic, 0, records(t, "e", 3)...)
	eventually(t, 10*time.Second, "it says that the store is full", func() bool {
		st := m.snapshot()
		return st.State == Down && strings.Contains(st.LastError, "full")
	})
	s.fail.Store(nil)
	eventually(t, 5*time.Second, "the events", func() bool { return len(inbox(t, s.Store)) == 3 })
	if all := letters(t, s.Store); len(all) != 0 {
		t.Errorf("dead letters %+v", all)
	}
	eventually(t, 5*time.Second, "all is well", func() bool { return m.snapshot().State == OK })
}

// A disk that fails ends the process.
func TestRunStoreBroken(t *testing.T) {
	broker, c := bench(t, 1)
	s := &faulty{Store: openStore(t)}
	broken := fmt.Errorf("accept: %w", store.ErrIO)
	s.fail.Store(&broken)
	kafkatest.Send(t, c, testTopic, 0, record(t, "e"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := Run(ctx, RunConfig{Kafka: broker.Config(), Topic: testTopic, Group: "g", Owner: "o", Store: s, Now: time.Now})
	if !errors.Is(err, store.ErrIO) {
		t.Errorf("Run: %v, want ErrIO", err)
	}
}

// F15: refused credentials are told within 30 s, and intake heals by itself once
// the password is the right one: no restart is needed.
func TestRunAuth(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret"),
		kfake.SeedTopics(1, testTopic), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	var refusing atomic.Bool // kfake would hang up; Apache Kafka says so first
	refusing.Store(true)
	cluster.ControlKey(int16(kmsg.SASLAuthenticate), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		r := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		r.ErrorCode = 58
		return r, nil, refusing.Load()
	})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("expired"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := kafka.Config{Brokers: cluster.ListenAddrs(), SASL: &kafka.SASL{Mechanism: "plain", Username: "u", PasswordFile: file}}
	s := openStore(t)
	m := startRun(t, s, config)
	took := eventually(t, 30*time.Second, "it says that it is not let in", func() bool { return m.snapshot().State == AuthFailed })
	t.Logf("told after %v: %s", took, m.snapshot().LastError)
	if err := os.WriteFile(file, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusing.Store(false)
	kafkatest.Send(t, kafkatest.Connect(t, config), testTopic, 0, record(t, "e"))
	eventually(t, 15*time.Second, "the event", func() bool { return inbox(t, s)["e"] == 1 })
	eventually(t, 5*time.Second, "all is well", func() bool { return m.snapshot().State == OK })
}

// Run ends in time and leaves nothing behind, also while a broker is paused.
func TestRunEnds(t *testing.T) {
	broker, c := bench(t, 3)
	s := openStore(t)
	kafkatest.Send(t, c, testTopic, 0, record(t, "e"))
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	before := goleak.IgnoreCurrent()
	for name, config := range map[string]kafka.Config{"healthy": broker.Config(), "paused": {Brokers: []string{silent.Addr().String()}}} {
		m := startRun(t, s, config, func(c *RunConfig) { c.Group = name })
		if name == "healthy" {
			eventually(t, 10*time.Second, "the event", func() bool { return inbox(t, s)["e"] == 1 })
		} else {
			time.Sleep(500 * time.Millisecond)
		}
		start := time.Now()
		m.end()
		t.Logf("%s: ended in %v", name, time.Since(start))
	}
	// The broker notices later that its connections are gone.
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).read.func1"),
		goleak.IgnoreAnyFunction("github.com/twmb/franz-go/pkg/kfake.(*clientConn).write"),
		goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

func TestRunConfigIsChecked(t *testing.T) {
	err := Run(t.Context(), RunConfig{})
	for _, part := range []string{"brokers", "group", "owner", "clock"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not mention the %s", err, part)
		}
	}
}
