package kafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

func TestEmbeddedKeepsItsLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka")
	for round := range 3 {
		e, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: "127.0.0.1:0", DataDir: dir, SyncWrites: true})
		if err != nil {
			t.Fatal(err)
		}
		c, err := kafka.Connect(e.Config())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range kafka.Topics {
			if n, err := c.Partitions(t.Context(), topic.Name); err != nil || n != topic.Partitions {
				t.Errorf("round %d: %s has %d partitions, error %v; want %d", round, topic.Name, n, err, topic.Partitions)
			}
		}
		if at := kafkatest.Send(t, c, kafka.TopicDeployments, 0, kafka.Record{Value: []byte("x")}); at != int64(round) {
			t.Errorf("round %d: the record got offset %d", round, at)
		}
		c.Close()
		e.Close()
	}
}

func TestEmbeddedAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		addr  string
		inUse bool
	}{
		{l.Addr().String(), true}, {"0.0.0.0:0", false}, {"10.0.0.1:9092", false}, {"127.0.0.1", false}, {"127.0.0.1:x", false},
	} {
		e, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: c.addr})
		if err == nil {
			e.Close()
		}
		var refused *kafka.AddrError
		if !errors.As(err, &refused) || refused.InUse != c.inUse || refused.Addr != c.addr || !strings.Contains(err.Error(), c.addr) {
			t.Errorf("%s: error %v, want an AddrError that names it, in use %v", c.addr, err, c.inUse)
		}
	}
}

func TestEnsureTopicsNamesDeviations(t *testing.T) {
	broker := kafkatest.Start(t)
	c := kafkatest.Connect(t, broker.Config())
	if deviations, err := kafka.EnsureTopics(t.Context(), c, kafka.Topics...); err != nil || len(deviations) > 0 {
		t.Fatalf("creation: %v, %v", deviations, err)
	}
	if deviations, err := kafka.EnsureTopics(t.Context(), c, kafka.Topics...); err != nil || len(deviations) > 0 {
		t.Errorf("topics as created deviate: %v, %v", deviations, err)
	}
	strict := kafka.Topic{Name: kafka.TopicVerdicts, Partitions: 6, MaxMessage: 100 << 10, Retention: 1000 * 24 * time.Hour}
	deviations, err := kafka.EnsureTopics(t.Context(), c, strict)
	if err != nil || len(deviations) != 2 || !strings.Contains(strings.Join(deviations, "\n"), "retention.ms is 7776000000, Assay needs at least 86400000000") {
		t.Errorf("deviations %q, error %v; want the size and the retention", deviations, err)
	}
}

// To look at topics creates none.
func TestInspectTopicsCreatesNothing(t *testing.T) {
	broker := kafkatest.Start(t)
	c := kafkatest.Connect(t, broker.Config())
	for range 2 {
		missing, deviations, err := kafka.InspectTopics(t.Context(), c, kafka.Topics...)
		if want := []string{kafka.TopicDeployments, kafka.TopicDeadLetters, kafka.TopicVerdicts}; err != nil || len(deviations) > 0 || !slices.Equal(missing, want) {
			t.Fatalf("missing %v, deviations %v, %v; want %v", missing, deviations, err, want)
		}
	}
	if _, err := kafka.EnsureTopics(t.Context(), c, kafka.Topics[0]); err != nil {
		t.Fatal(err)
	}
	strict := kafka.Topics[0]
	strict.Retention *= 100
	missing, deviations, err := kafka.InspectTopics(t.Context(), c, strict, kafka.Topics[1])
	if err != nil || !slices.Equal(missing, []string{kafka.TopicDeadLetters}) || len(deviations) != 1 || !strings.Contains(deviations[0], "retention.ms") {
		t.Errorf("missing %v, deviations %v, %v", missing, deviations, err)
	}
}

func TestFetchTellsWhereTheLogIs(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("log", 1))
	c := kafkatest.Connect(t, broker.Config())
	f, err := c.Fetch(t.Context(), kafka.Position{Topic: "log"})
	if err != nil || len(f.Batches) != 0 || f.Next != 0 || f.End != 0 {
		t.Errorf("an empty log: %+v, %v", f, err)
	}
	for range 4 {
		kafkatest.Send(t, c, "log", 0, kafka.Record{Key: []byte("k"), Value: []byte("v"), Headers: []kafka.Header{{Key: "h", Value: []byte("1")}}})
	}
	if _, err := c.Fetch(t.Context(), kafka.Position{Topic: "log", Offset: 9}); !errors.Is(err, kafka.ErrOffsetOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
	if first, end, err := c.Offsets(t.Context(), "log", 0); err != nil || first != 0 || end != 4 {
		t.Errorf("offsets %d..%d, %v", first, end, err)
	}
	f, err = c.Fetch(t.Context(), kafka.Position{Topic: "log", Offset: 3})
	if err != nil || f.Next != 4 || f.End != 4 || len(f.Batches) != 1 {
		t.Fatalf("the last record: %+v, %v", f, err)
	}
	if r := f.Batches[0].Records[0]; r.Offset != 3 || string(r.Key) != "k" || string(r.Value) != "v" || r.Headers[0].Key != "h" || r.Time.IsZero() {
		t.Errorf("the record: %+v", r)
	}
}

// F12: what a transaction wrote is marked, whether it was committed or aborted, and
// the markers at the end of the log do not stop the reader.
func TestFetchMarksTransactions(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("tx", 1))
	c := kafkatest.Connect(t, broker.Config())
	Transact(t, broker.Addr(), "tx", false, "aborted")
	Transact(t, broker.Addr(), "tx", true, "committed")
	var marked []string
	next := int64(0)
	for range 10 {
		f, err := c.Fetch(t.Context(), kafka.Position{Topic: "tx", Offset: next})
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range f.Batches {
			for _, r := range b.Records {
				if b.Transactional {
					marked = append(marked, string(r.Value))
				}
			}
		}
		if next = f.Next; next == f.End {
			break
		}
	}
	if strings.Join(marked, " ") != "aborted committed" || next != 4 {
		t.Errorf("marked %v, next %d; want both records, and 4 after the two markers", marked, next)
	}
}

// Transact writes one record in a transaction.
func Transact(t testing.TB, addr, topic string, commit bool, value string) {
	t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.TransactionalID("id-"+value), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	err = errors.Join(p.BeginTransaction(),
		p.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(),
		p.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)))
	if err != nil {
		t.Fatal(err)
	}
}

func TestSASL(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret"),
		kfake.Superuser("SCRAM-SHA-256", "u", "secret"), kfake.Superuser("SCRAM-SHA-512", "u", "secret"), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	// kfake hangs up on a wrong password; Apache Kafka says so first.
	refuse := func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		r := request.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		r.ErrorCode = 58
		return r, nil, true
	}
	file := filepath.Join(t.TempDir(), "password")
	refusing := false
	for _, password := range []string{"secret", "wrong"} {
		for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
			if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
				t.Fatal(err)
			}
			if password == "wrong" && !refusing {
				refusing = true
				cluster.ControlKey(int16(kmsg.SASLAuthenticate), refuse)
			}
			c := kafkatest.Connect(t, kafka.Config{
				Brokers: cluster.ListenAddrs(),
				SASL:    &kafka.SASL{Mechanism: mechanism, Username: "u", PasswordFile: file},
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err := c.Partitions(ctx, "t")
			_, iderr := c.TopicID(ctx, "t") // on a connection that it authenticates by itself
			cancel()
			if (iderr == nil) != (err == nil) || kafka.IsAuth(iderr) != kafka.IsAuth(err) {
				t.Errorf("%s with %s password: %v, but its id: %v", mechanism, password, err, iderr)
			}
			if (err == nil) != (password == "secret") {
				t.Errorf("%s with %s password: %v", mechanism, password, err)
			}
			if err != nil && !kafka.IsAuth(err) {
				t.Errorf("%s with %s password: %v is not known for what it is", mechanism, password, err)
			}
		}
	}
}

// A paused broker must not hold up the end of the process (P15).
func TestStopByEndsWhatWaits(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := kafkatest.Connect(t, kafka.Config{Brokers: []string{l.Addr().String()}})
	g, err := c.Group(kafka.GroupOptions{ID: "g", Topics: []string{"t"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := g.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Next: %v", err)
	}
	start := time.Now()
	c.StopBy(start.Add(200 * time.Millisecond))
	g.Close()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the group took %v to close", took)
	}
}

func TestWriterKeepsKeysTogether(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("keys", 6))
	c := kafkatest.Connect(t, broker.Config())
	w := c.Writer("keys")
	defer w.Close()
	start := time.Now()
	for range 5 {
		if err := w.WriteMessages(t.Context(), kafkago.Message{Key: []byte("prod/shop/checkout"), Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("5 writes took %v (P18)", took)
	}
	var used []int64
	for p := range 6 {
		_, end, err := c.Offsets(t.Context(), "keys", p)
		if err != nil {
			t.Fatal(err)
		}
		if end > 0 {
			used = append(used, end)
		}
	}
	if len(used) != 1 || used[0] != 5 {
		t.Errorf("one key went to partitions with %v records (P17)", used)
	}
}

// The guard is above TLS, and a certificate that is not trusted is a matter for a
// person.
func TestTLS(t *testing.T) {
	certFile, keyFile := kafkatest.Certificate(t, time.Now().Add(time.Hour))
	server, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	c := kafkatest.Connect(t, kafka.Config{Brokers: cluster.ListenAddrs(), TLS: &kafka.TLS{CAFile: certFile, CertFile: certFile, KeyFile: keyFile}})
	kafkatest.Send(t, c, "t", 0, kafka.Record{Value: []byte("v")})
	if f, err := c.Fetch(t.Context(), kafka.Position{Topic: "t"}); err != nil || len(f.Batches) != 1 {
		t.Errorf("fetch over TLS: %+v, %v", f, err)
	}
	kafkatest.SendRaw(t, c, "t", 0, kafkatest.Raw{Count: 5, Payload: []byte("no records")})
	var bad *kafka.BadBatch
	if _, err := c.Fetch(t.Context(), kafka.Position{Topic: "t", Offset: 1}); !errors.As(err, &bad) {
		t.Errorf("a hostile batch over TLS: %v", err)
	}

	other, _ := kafkatest.Certificate(t, time.Now().Add(time.Hour))
	for name, config := range map[string]*kafka.TLS{"another authority": {CAFile: other, CertFile: certFile, KeyFile: keyFile}, "no client certificate": {CAFile: certFile}} {
		c := kafkatest.Connect(t, kafka.Config{Brokers: cluster.ListenAddrs(), TLS: config})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		_, err := c.Partitions(ctx, "t")
		cancel()
		if err == nil || !kafka.IsAuth(err) {
			t.Errorf("%s: %v is not known for what it is", name, err)
		}
	}
	if _, err := kafka.Connect(kafka.Config{Brokers: cluster.ListenAddrs(), TLS: &kafka.TLS{CAFile: keyFile}}); err == nil {
		t.Error("a key is taken for an authority")
	}
}
