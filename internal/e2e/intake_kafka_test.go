package e2e

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/testdata/backends"
)

// A bay is where intake alone is tried: a real broker with one topic of events, a
// store, and a client to play the producer.
type bay struct {
	t      testing.TB
	broker *backends.Kafka
	config kafka.Config
	client *kafka.Client
	topic  kafka.Topic
	store  *store.Store
}

func openBay(t testing.TB, topic kafka.Topic) *bay {
	t.Helper()
	b := &bay{t: t, broker: backends.StartKafka(t), topic: topic}
	b.topic.Name = fmt.Sprintf("%s-%d", topic.Name, time.Now().UnixNano()) // the broker may be shared
	b.config = kafka.Config{Brokers: []string{b.broker.Addr}}
	b.client = kafkatest.Connect(t, b.config)
	if deviations, err := kafka.EnsureTopics(t.Context(), b.client, b.topic); err != nil || len(deviations) > 0 {
		t.Fatalf("create the topic: %v, %v", deviations, err)
	}
	b.store = openInbox(t)
	return b
}

func openInbox(t testing.TB) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "assay.db"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// read runs intake until the returned function is called.
func (b *bay) read(owner string, change ...func(*intake.RunConfig)) (*intake.Status, func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	status, done := &intake.Status{}, make(chan error, 1)
	config := intake.RunConfig{
		Kafka: b.config, Topic: b.topic.Name, Group: b.topic.Name, Owner: owner, Store: b.store, Now: time.Now, Status: status,
		SessionTimeout: 6 * time.Second, MetadataWatch: time.Second,
	}
	for _, f := range change {
		f(&config)
	}
	go func() { done <- intake.Run(ctx, config) }()
	var ended atomic.Bool
	stop := func() {
		if ended.Swap(true) {
			return
		}
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("intake of %s: %v", owner, err)
		}
		if took := time.Since(start); took > 2500*time.Millisecond {
			b.t.Errorf("intake of %s took %v to end", owner, took)
		}
	}
	b.t.Cleanup(stop)
	return status, stop
}

// event returns a good event as a record.
func (b *bay) event(id, note string) kafka.Record {
	b.t.Helper()
	m, err := intake.Encode(analysis.Event{
		ID: id, Source: "/ci", Time: time.Unix(1_800_000_000, 0), Phase: analysis.PhaseStarted, Mode: analysis.Live, Labels: map[string]string{"note": note},
		Release: analysis.Release{Environment: "prod", Namespace: "shop", Service: "checkout", Version: "1.5.0"},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	r := kafka.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafka.Header(h))
	}
	return r
}

func (b *bay) send(partition int, prefix string, n int) {
	b.t.Helper()
	list := make([]kafka.Record, n)
	for i := range list {
		list[i] = b.event(fmt.Sprintf("%s-%d", prefix, i), "")
	}
	kafkatest.Send(b.t, b.client, b.topic.Name, partition, list...)
}

// inbox waits until so many events are there, each once.
func (b *bay) inbox(within time.Duration, want int) time.Duration {
	b.t.Helper()
	return eventually(b.t, within, fmt.Sprintf("%d events in the inbox", want), func() error {
		rows, err := b.store.Unhandled(b.t.Context(), 10*want+100)
		if err != nil {
			return err
		}
		if len(rows) != want {
			return fmt.Errorf("%d are there", len(rows))
		}
		return nil
	})
}

func (b *bay) letters() []store.DeadLetter {
	b.t.Helper()
	all, err := b.store.DeadLetters(b.t.Context(), 10_000, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

// small is a topic of the contract with fewer partitions.
func small(partitions int) kafka.Topic {
	topic := kafka.Topics[0]
	topic.Partitions = partitions
	return topic
}

// TestIntakeTakesEventsOnce: duplicates are one row, a forgery and poison are dead
// letters, the next good event is served within a second, and what Kafka believes
// of offsets does not matter (F1, F2, F6, P2).
func TestIntakeTakesEventsOnce(t *testing.T) {
	b := openBay(t, small(2))
	status, stop := b.read("a")
	for range 5 {
		kafkatest.Send(t, b.client, b.topic.Name, 0, b.event("e", "original"), b.event("e", "original"))
	}
	b.inbox(30*time.Second, 1)
	kafkatest.Send(t, b.client, b.topic.Name, 0, b.event("e", "forged"), kafka.Record{Value: []byte("{")}, kafka.Record{Value: nil}, b.event("next", ""))
	if took := b.inbox(5*time.Second, 2); took > time.Second {
		t.Errorf("the event after the poison was served after %v", took)
	}
	counts := status.Snapshot(time.Now()).Counts
	if counts.Accepted != 2 || counts.Duplicates != 9 || counts.Conflicts != 1 || counts.Rejected[intake.Malformed] != 2 {
		t.Errorf("counts %+v", counts)
	}
	if all := b.letters(); len(all) != 3 {
		t.Errorf("dead letters %+v", all)
	}
	stop()

	// The group's offsets are lost; the store's are not.
	if _, err := b.client.API().OffsetDelete(t.Context(), &kafkago.OffsetDeleteRequest{GroupID: b.topic.Name, Topics: map[string][]int{b.topic.Name: {0, 1}}}); err != nil {
		t.Fatal(err)
	}
	b.send(1, "later", 3)
	status, _ = b.read("a")
	b.inbox(30*time.Second, 5)
	if n := status.Snapshot(time.Now()).Counts; n.Duplicates != 0 || n.Accepted != 3 {
		t.Errorf("after the restart: %+v", n)
	}
}

// TestIntakeSurvivesABrokerRestart: events keep coming while the broker is killed
// and started again; none is lost, none is there twice, and intake reads again
// within ten seconds of the broker's return (F13).
func TestIntakeSurvivesABrokerRestart(t *testing.T) {
	b := openBay(t, small(3))
	status, _ := b.read("a")
	for p := range 3 {
		b.send(p, fmt.Sprintf("before-%d", p), 40)
	}
	b.broker.Kill()
	eventually(t, 30*time.Second, "intake says that the broker is down", func() error {
		if s := status.Snapshot(time.Now()).State; s != intake.Down {
			return fmt.Errorf("it says %s", s)
		}
		return nil
	})
	b.broker.Restart()
	back := time.Now()
	b.client = kafkatest.Connect(t, b.config)
	for p := range 3 {
		b.send(p, fmt.Sprintf("after-%d", p), 40)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("status %+v", status.Snapshot(time.Now()))
		}
	})
	b.inbox(30*time.Second, 240)
	took := time.Since(back)
	t.Logf("all events were in the inbox %v after the broker served", took.Round(time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("intake needed %v, 10 s are allowed", took)
	}
	if n := status.Snapshot(time.Now()).Counts; n.Duplicates != 0 || n.Accepted != 240 || n.Gaps != 0 {
		t.Errorf("counts %+v", n)
	}
}

// TestIntakeRebalances: members come and go (F16 in small).
func TestIntakeRebalances(t *testing.T) {
	b := openBay(t, small(6))
	b.read("a")
	sent := 0
	send := func() {
		for p := range 6 {
			b.send(p, fmt.Sprintf("e-%d-%d", sent, p), 5)
		}
		sent += 30
	}
	send()
	b.inbox(30*time.Second, sent)
	for round := range 3 {
		other, stop := b.read(fmt.Sprintf("b-%d", round))
		send()
		eventually(t, 30*time.Second, "the other has its share", func() error {
			send()
			if n := len(other.Snapshot(time.Now()).Assigned); n != 3 {
				return fmt.Errorf("%d partitions", n)
			}
			return nil
		})
		send()
		stop()
		send()
	}
	b.inbox(30*time.Second, sent)
	if all := b.letters(); len(all) != 0 {
		t.Errorf("dead letters %+v", all)
	}
}

// TestIntakeTellsOfGaps: records that were deleted before they could be read are
// an incident, not silence (F10, P5).
func TestIntakeTellsOfGaps(t *testing.T) {
	b := openBay(t, small(1))
	_, stop := b.read("a")
	b.send(0, "read", 3)
	b.inbox(30*time.Second, 3)
	stop()
	b.send(0, "lost", 4)
	b.send(0, "kept", 2)
	deleteRecords(t, b.broker.Addr, b.topic.Name, 0, 7)
	b.read("a")
	b.inbox(30*time.Second, 5)
	gaps, err := b.store.Gaps(t.Context())
	if err != nil || len(gaps) != 1 || gaps[0].From != 3 || gaps[0].To != 7 {
		t.Errorf("gaps %+v, %v; want 3 to 7", gaps, err)
	}
}

// TestIntakeQuarantinesTransactions: kafka-go hands out what was aborted; the
// attribute of its batch gives it away (F12, P11).
func TestIntakeQuarantinesTransactions(t *testing.T) {
	b := openBay(t, small(1))
	status, _ := b.read("a")
	for _, commit := range []bool{false, true} {
		producer, err := kgo.NewClient(kgo.SeedBrokers(b.broker.Addr), kgo.TransactionalID(fmt.Sprint(b.topic.Name, commit)), kgo.DefaultProduceTopic(b.topic.Name))
		if err != nil {
			t.Fatal(err)
		}
		r := b.event(fmt.Sprintf("committed-%v", commit), "")
		out := &kgo.Record{Key: r.Key, Value: r.Value}
		for _, h := range r.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader(h))
		}
		err = errors.Join(producer.BeginTransaction(), producer.ProduceSync(t.Context(), out).FirstErr(), producer.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)))
		producer.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	b.send(0, "plain", 1)
	b.inbox(30*time.Second, 1)
	eventually(t, 10*time.Second, "the log is read to its end", func() error {
		p := status.Snapshot(time.Now()).Partitions
		if len(p) != 1 || p[0].Next != 5 || p[0].Lag != 0 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	all := b.letters()
	if len(all) != 2 || all[0].Reason != string(intake.Quarantined) || all[1].Reason != string(intake.Quarantined) {
		t.Errorf("dead letters %+v", all)
	}
}

// TestIntakeAndBombs: with the settings of the contract the broker itself refuses a
// bomb (which confirms the open point b of reliability 8); without them it keeps
// it, and intake quarantines it (F7).
func TestIntakeAndBombs(t *testing.T) {
	kafka.InstallCodecs()
	bomb := kafkatest.Bomb(t, compress.Zstd, 512<<20)
	b := openBay(t, small(1))
	refuses := func(name string, raw kafkatest.Raw) {
		if err := kafkatest.TryRaw(t.Context(), b.client, b.topic.Name, 0, raw); err == nil {
			t.Errorf("the broker has taken %s", name)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
	refuses("a bomb", kafkatest.Bomb(t, compress.Zstd, 8<<20))
	// What would make kafka-go panic or allocate gigabytes is refused as well, so
	// the guard of internal/kafka is for the embedded broker and for broken ones.
	refuses("a batch of -1 records", kafkatest.Raw{Count: -1, Payload: kafkatest.Records([]byte("x"))})
	refuses("two billion records", kafkatest.Raw{Count: 1<<31 - 1, Payload: kafkatest.Records([]byte("x"))})
	refuses("garbage", kafkatest.Raw{Count: 1, Payload: []byte("no record at all, of course")})

	letCompressed(t, b.client, b.topic.Name)
	deviations, err := kafka.EnsureTopics(t.Context(), b.client, b.topic)
	if err != nil || len(deviations) != 1 {
		t.Errorf("deviations %q, %v; want the compression", deviations, err)
	}
	b.read("a")
	b.send(0, "before", 1)
	b.inbox(30*time.Second, 1)
	at := kafkatest.SendRaw(t, b.client, b.topic.Name, 0, bomb)
	b.send(0, "after", 1)
	if took := b.inbox(10*time.Second, 2); took > time.Second {
		t.Errorf("the event after the bomb was served after %v", took)
	}
	all := b.letters()
	if len(all) != 1 || all[0].Reason != string(intake.TooLarge) || all[0].Offset != at || all[0].LastOffset != at {
		t.Errorf("dead letters %+v, want the bomb at %d", all, at)
	}
}

// BenchmarkIntakeRealKafka compares the records that intake takes from Kafka in a
// second with a bare insert of the same rows, in transactions of the same size,
// into a SQLite file with the same settings: what is left for fetching, decoding,
// hashing and fencing. One of the figures is a ratio, because a rate says more of
// the disk than of us.
func BenchmarkIntakeRealKafka(b *testing.B) {
	const total, perBatch = 20_000, 250 // what a batch of at most 256 KiB holds
	place := openBay(b, small(1))
	for i := range total / perBatch {
		place.send(0, fmt.Sprintf("e-%d", i), perBatch)
	}
	var through, bare time.Duration
	for b.Loop() {
		place.store = openInbox(b)
		start := time.Now()
		status, stop := place.read("a")
		for status.Snapshot(time.Now()).Counts.Accepted < total {
			time.Sleep(time.Millisecond)
		}
		// From the first fetch: joining a group is not what is measured.
		through += time.Since(start) - joining(b, place, start)
		stop()
		bare += bareInsert(b, place.store)
	}
	records := float64(total * b.N)
	b.ReportMetric(records/through.Seconds(), "records/s")
	b.ReportMetric(records/bare.Seconds(), "bare-records/s")
	b.ReportMetric(bare.Seconds()/through.Seconds(), "ratio")
}

// joining tells how long it took from start until the first row was received.
func joining(b *testing.B, place *bay, start time.Time) time.Duration {
	b.Helper()
	rows, err := place.store.Unhandled(b.Context(), 1)
	if err != nil || len(rows) != 1 {
		b.Fatal(rows, err)
	}
	return rows[0].ReceivedAt.Sub(start)
}

// bareInsert copies the inbox into an empty database, in the transactions in which
// it came to be, and tells how long that took.
func bareInsert(b *testing.B, from *store.Store) time.Duration {
	b.Helper()
	rows, err := from.Unhandled(b.Context(), 1_000_000)
	if err != nil {
		b.Fatal(err)
	}
	type encoded struct{ headers, event string }
	texts := make([]encoded, len(rows))
	for i, r := range rows {
		headers, _ := json.Marshal(r.Headers)
		event, _ := json.Marshal(r.Event)
		texts[i] = encoded{string(headers), string(event)}
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, event_id TEXT NOT NULL, content_hash TEXT NOT NULL,
		topic TEXT NOT NULL, partition INTEGER NOT NULL, offset INTEGER NOT NULL, key BLOB, headers TEXT NOT NULL, raw BLOB, event TEXT NOT NULL,
		received_at INTEGER NOT NULL, UNIQUE (source, event_id)) STRICT`); err != nil {
		b.Fatal(err)
	}
	insert, err := db.Prepare(`INSERT INTO inbox (source, event_id, content_hash, topic, partition, offset, key, headers, raw, event, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		b.Fatal(err)
	}
	defer insert.Close()
	start := time.Now()
	for i := 0; i < len(rows); {
		tx, err := db.Begin()
		if err != nil {
			b.Fatal(err)
		}
		statement := tx.Stmt(insert)
		for at := rows[i].ReceivedAt; i < len(rows) && rows[i].ReceivedAt.Equal(at); i++ { // one fetch
			r := rows[i]
			if _, err := statement.Exec(r.Event.Source, r.Event.ID, r.ContentHash, r.Topic, r.Partition, r.Offset, r.Key, texts[i].headers, r.Raw, texts[i].event, r.ReceivedAt.UnixNano()); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start)
}
