package e2e

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/testdata/backends"
)

// TestLostRecordsAndRecreatedTopic: records that were deleted before they were read
// are told of, and intake goes on; a topic that was created anew stops its
// partitions until an operator has chosen, and says so wherever one looks (F10, F11).
func TestLostRecordsAndRecreatedTopic(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	now := time.Now().UTC().Truncate(time.Second)
	client := kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}})
	send := func(partition int, prefix string, n int) {
		t.Helper()
		for i := range n {
			kafkatest.Send(t, client, kafka.TopicDeployments, partition, wire(encode(t, started(fmt.Sprintf("%s-%d", prefix, i), now))))
		}
	}

	send(0, "read", 2)
	a.eventually(10*time.Second, "two events", func() error { return a.counted(2, 0) })
	a.stop()
	send(0, "lost", 4)
	send(0, "kept", 2)
	deleteRecords(t, broker.Addr, kafka.TopicDeployments, 0, 6)
	a.start()
	a.awaitReady()
	a.eventually(10*time.Second, "the events behind the gap", func() error { return a.counted(2, 0) })
	gaps := a.gaps()
	if len(gaps) != 1 || gaps[0].Topic != kafka.TopicDeployments || gaps[0].Partition != 0 || gaps[0].From != 2 || gaps[0].To != 6 {
		t.Errorf("gaps %+v, want 2 to 6 of partition 0", gaps)
	} else if gaps[0].Since.Before(now) || !gaps[0].Until.After(gaps[0].Since) {
		t.Errorf("the gap is from %v to %v; want from the last event before it to when it was found", gaps[0].Since, gaps[0].Until)
	}
	if err := a.metricIs("assay_consumer_lost_records_total", 4); err != nil {
		t.Error(err)
	}

	recreateTopic(t, broker.Addr, kafka.TopicDeployments)
	client = kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}})
	send(0, "new", 3) // 8 were read
	send(1, "elsewhere", 1)
	const stopped = `assay_consumer_partition_stopped{partition="0",topic="` + kafka.TopicDeployments + `"}`
	took := a.eventually(30*time.Second, "the partition is stopped", func() error { return a.metricIs(stopped, 1) })
	t.Logf("the partition was stopped %v after its topic was created anew", took.Round(time.Millisecond))
	a.eventually(10*time.Second, "a partition of which nothing was read needs no choice", func() error { return a.counted(3, 0) })
	status, body, err := a.ask(http.MethodGet, "/-/ready", nil, nil)
	if err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("ingest=down")) || !bytes.Contains(body, []byte("assay ingest resume")) {
		t.Errorf("/-/ready: %d %s %v; want 503, ingest=down and what to do", status, body, err)
	}
	if v, _ := a.verdict("read-0"); v.ReasonCode == "not_seen" {
		t.Error("a validation of before is not served")
	}

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--from", "yesterday"}, 2, "legal are first, end and an offset"},
		{[]string{"--partition", "1", "--from", "first"}, 2, "not stopped"},
		{[]string{"--from", "4"}, 2, "legal are 0 to 3"},
		{nil, 2, "--from is missing"},
		{[]string{"--from", "first", "--by", "anna", "--reason", "copied back"}, 0, "partition 0 goes on at offset 0 (it was at 8)"},
	} {
		if o := a.run(append([]string{"ingest", "resume"}, c.args...)...); o.code != c.code || !strings.Contains(o.out+o.err, c.says) {
			t.Errorf("ingest resume %v: %v, want code %d and %q", c.args, o, c.code, c.says)
		}
	}
	a.eventually(15*time.Second, "the new log is read from its beginning", func() error { return a.counted(6, 0) })
	a.eventually(15*time.Second, "assay is ready", func() error { return a.answers("/-/ready") })
	if err := a.metricIs(stopped, 0); err != nil {
		t.Error(err)
	}
	a.stop()
	a.verifyAudit()
}

// gap is a gap as status shows it.
type gap struct {
	Topic        string
	Partition    int
	From, To     int64
	Since, Until time.Time
}

func (a *assay) gaps() []gap {
	a.t.Helper()
	var s struct{ Gaps []gap }
	a.get("/v1/status", &s)
	return s.Gaps
}

func deleteRecords(t *testing.T, broker, topic string, partition int32, before int64) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	request.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Partition: partition, Offset: before}}}}
	if response, err := request.RequestWith(t.Context(), client); err != nil || response.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(response, err)
	}
}

// recreateTopic deletes a topic of the contract and creates it anew.
func recreateTopic(t *testing.T, broker, name string) {
	t.Helper()
	client := kafkatest.Connect(t, kafka.Config{Brokers: []string{broker}})
	r, err := client.API().DeleteTopics(t.Context(), &kafkago.DeleteTopicsRequest{Topics: []string{name}})
	if err != nil || r.Errors[name] != nil {
		t.Fatal(r, err)
	}
	topic := kafka.Topics[0]
	topic.Name = name
	eventually(t, 20*time.Second, "the topic is created anew", func() error {
		fresh, err := kafka.Connect(kafka.Config{Brokers: []string{broker}})
		if err != nil {
			return err
		}
		defer fresh.Close()
		_, err = kafka.EnsureTopics(t.Context(), fresh, topic)
		return err
	})
}

// pause is how long TestBrokerIsPaused stops the broker.
var pause = flag.Duration("pause", 15*time.Second, "how long the broker is paused; longer than the 10 s after which a request fails")

// TestBrokerIsPaused: a broker that hangs is an outage like any other (F13).
func TestBrokerIsPaused(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	w := worldOf(t, 12*time.Minute, many("error-regression", 4)...)
	w.push(a)
	tell := func(i int) {
		produce(t, broker.Addr, encode(t, started(fmt.Sprintf("error-regression-%d", i), w.deployed)))
	}
	tell(0)
	published(t, broker.Addr, 1)
	_, want := a.final("error-regression-0", time.Second)

	broker.Pause()
	paused := time.Now()
	readable := a.pollAll(t, "error-regression-0", want)
	a.post(started("error-regression-1", w.deployed))
	if v, _ := a.final("error-regression-1", 10*time.Second); v.Verdict.String() != "rollback" {
		t.Errorf("told over HTTP while the broker is paused: %s (%s), want rollback", v.Verdict, v.ReasonCode)
	}
	a.eventually(*pause, "/-/ready says that intake is down", func() error {
		status, body, err := a.ask(http.MethodGet, "/-/ready", nil, nil)
		if err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("ingest=down")) {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	})
	noticed := time.Since(paused)
	time.Sleep(time.Until(paused.Add(*pause)))
	broker.Resume()
	back := time.Now()
	tell(2)
	tell(3)
	a.eventually(10*time.Second-time.Since(back), "intake reads on within 10 s", func() error { return a.counted(3, 0) })
	resumed := time.Since(back)
	led(t, broker.Addr, kafka.TopicVerdicts)
	_, repeated := published(t, broker.Addr, 4)
	t.Logf("paused for %v, which was noticed after %v; intake read on %v after the broker's return; %d verdicts repeated", *pause, noticed.Round(time.Millisecond), resumed.Round(time.Millisecond), repeated)
	if repeated > 1 {
		t.Errorf("%d records of verdicts are repeated, one is allowed", repeated)
	}
	readable()
	a.stop()
	a.verifyAudit()
}

// led waits until every partition of a topic has a leader: a broker that was paused
// was taken for dead by its controller.
func led(t *testing.T, broker, topic string) {
	t.Helper()
	eventually(t, 20*time.Second, "all partitions have a leader", func() error {
		client, err := kafka.Connect(kafka.Config{Brokers: []string{broker}})
		if err != nil {
			return err
		}
		defer client.Close()
		n, err := client.Partitions(t.Context(), topic)
		for p := 0; p < n && err == nil; p++ {
			_, _, err = client.Offsets(t.Context(), topic, p)
		}
		if err == nil && n == 0 {
			err = errors.New("no partitions")
		}
		return err
	})
}

// pollAll asks for a verdict all the time; the returned function ends that and fails
// the test if it was ever not there, or late.
func (a *assay) pollAll(t *testing.T, key string, want []byte) func() {
	stop := make(chan struct{})
	var polling sync.WaitGroup
	var slowest time.Duration
	var broken error
	polling.Go(func() {
		for broken == nil {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			began := time.Now()
			status, body, err := a.ask(http.MethodGet, "/v1/validations/"+key+"/verdict", nil, nil)
			slowest = max(slowest, time.Since(began))
			if err != nil || status != http.StatusOK || !bytes.Equal(body, want) {
				broken = fmt.Errorf("%d %s %v", status, body, err)
			}
		}
	})
	return func() {
		t.Helper()
		close(stop)
		polling.Wait()
		if broken != nil || slowest > 2*time.Second {
			t.Errorf("the verdict of %s was not readable all the time: %v, the slowest answer took %v", key, broken, slowest)
		}
	}
}

// TestPausedProcessIsFenced: while the process hangs somebody else takes its
// partitions. What it writes when it wakes up is refused and counted, and nothing is
// lost or there twice (F19). The other one is the test: it touches the leases in the
// database, as another replica does.
func TestPausedProcessIsFenced(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	now := time.Now().UTC().Truncate(time.Second)
	client := kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}})
	send := func(prefix string) {
		t.Helper()
		for p := range 3 {
			kafkatest.Send(t, client, kafka.TopicDeployments, p, wire(encode(t, started(fmt.Sprintf("%s-%d", prefix, p), now))))
		}
	}
	send("before")
	a.eventually(10*time.Second, "three events", func() error { return a.counted(3, 0) })

	// Pauses until the process holds no lock on its database.
	var epochs map[int]int
	a.eventually(10*time.Second, "the leases are taken", func() error {
		if err := a.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		var err error
		if epochs, err = steal(a.data("assay.db")); err != nil {
			_ = a.cmd.Process.Signal(syscall.SIGCONT)
		}
		return err
	})
	send("meanwhile")
	time.Sleep(3 * time.Second) // what was fetched for it waits at its door
	if err := a.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	a.eventually(15*time.Second, "all events are taken", func() error { return a.counted(6, 0) })
	fenced, err := a.metric("assay_consumer_fenced_batches_total")
	if err != nil || fenced < 1 {
		t.Errorf("%v batches were fenced (%v), want at least one", fenced, err)
	}
	a.eventually(5*time.Second, "six validations and no dead letter", func() error {
		if n := len(a.validations("")); n != 6 || len(a.status().DeadLetters) != 0 {
			return fmt.Errorf("%d validations, dead letters %v", n, a.status().DeadLetters)
		}
		return nil
	})
	a.eventually(10*time.Second, "assay is ready", func() error { return a.answers("/-/ready") })
	t.Logf("%v batches were fenced; the leases were at the epochs %v", fenced, epochs)
	a.stop()
	a.verifyAudit()
}

// steal takes all partitions, as another replica on the same database does, and
// returns their epochs.
func steal(database string) (map[int]int, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(database)+"?_pragma=busy_timeout(200)")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.Query(`UPDATE partition_lease SET owner = 'another replica', epoch = epoch + 1 RETURNING partition, epoch`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	epochs := map[int]int{}
	for rows.Next() {
		var partition, epoch int
		if err := rows.Scan(&partition, &epoch); err != nil {
			return nil, err
		}
		epochs[partition] = epoch
	}
	return epochs, rows.Err()
}

// TestTopicGrows: a topic that is created after the start and partitions that are
// added are picked up within a minute (F17).
func TestTopicGrows(t *testing.T) {
	t.Parallel()
	b := openBay(t, small(2))
	for _, alone := range []bool{false, true} {
		b.topic.Name = fmt.Sprintf("%s-later-%v", b.topic.Name, alone)
		b.store = openInbox(t)
		status, stop := b.read("a", func(c *intake.RunConfig) { c.Alone = alone })
		eventually(t, 20*time.Second, "it says that the topic does not exist", func() error {
			if s := status.Snapshot(time.Now()); s.State != intake.Down || !strings.Contains(s.LastError, "does not exist") {
				return fmt.Errorf("%s: %s", s.State, s.LastError)
			}
			return nil
		})
		if _, err := kafka.EnsureTopics(t.Context(), b.client, b.topic); err != nil {
			t.Fatal(err)
		}
		b.send(1, "one", 1)
		created := b.inbox(time.Minute, 1)
		r, err := b.client.API().CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{Topics: []kafkago.TopicPartitionsConfig{{Name: b.topic.Name, Count: 4}}})
		if err != nil || r.Errors[b.topic.Name] != nil {
			t.Fatal(r, err)
		}
		b.send(3, "two", 1)
		grown := b.inbox(time.Minute, 2)
		t.Logf("alone %v: the new topic was read after %v, the new partition after %v", alone, created.Round(time.Millisecond), grown.Round(time.Millisecond))
		stop()
	}
}

// TestStartsWhileTheBrokerIsDown: the process serves the verdicts of before, says
// what is missing and does not end; when the broker comes, it reads (F14).
func TestStartsWhileTheBrokerIsDown(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}, slow: true})
	w := worldOf(t, 12*time.Minute, many("error-regression", 2)...)
	w.push(a)
	produce(t, broker.Addr, encode(t, started("error-regression-0", w.deployed)))
	_, want := a.final("error-regression-0", 20*time.Second)
	published(t, broker.Addr, 1)
	a.stop()
	broker.Stop()

	a.start()
	readable := a.pollAll(t, "error-regression-0", want)
	w.push(a) // what was pushed before is gone with the process
	told := a.eventually(10*time.Second, "/-/ready says that intake is down", func() error {
		status, body, err := a.ask(http.MethodGet, "/-/ready", nil, nil)
		if err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("ingest=down")) {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	})
	time.Sleep(3 * time.Second) // in which it tries again and again
	select {
	case <-a.exited:
		t.Fatalf("assay has ended: %v", a.cmd.ProcessState)
	default:
	}
	broker.Restart()
	back := time.Now()
	produce(t, broker.Addr, encode(t, started("error-regression-1", w.deployed)))
	a.eventually(10*time.Second-time.Since(back), "intake reads within 10 s", func() error { return a.counted(1, 0) })
	t.Logf("told after %v; the broker was read %v after its return", told.Round(time.Millisecond), time.Since(back).Round(time.Millisecond))
	published(t, broker.Addr, 2)
	readable()
	a.stop()
}

// ingestState is the word that status has for intake, with what is wrong.
func (a *assay) ingestState() (state, lastError string) {
	a.t.Helper()
	var detail struct{ State, LastError string }
	for _, p := range a.status().Parts {
		if p.Name == "kafka" {
			_ = json.Unmarshal(p.Detail, &detail)
		}
	}
	return detail.State, detail.LastError
}
