// Package kafkatest helps the tests of what reads from and writes to Kafka: a
// broker in memory, and record batches as a hostile producer would send them.
//
// It does not replace the real broker of testdata/backends: kfake checks less than
// Apache Kafka does, which is what makes it good for hostile input.
package kafkatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/release-assay/assay/internal/kafka"
)

// Start runs a broker in memory with the given topics until the test ends.
func Start(t testing.TB, topics ...kafka.Topic) *kafka.Embedded {
	t.Helper()
	if topics == nil {
		topics = []kafka.Topic{}
	}
	e, err := kafka.StartEmbedded(t.Context(), kafka.EmbeddedConfig{Addr: "127.0.0.1:0", Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// Connect returns a client that is closed when the test ends.
func Connect(t testing.TB, config kafka.Config) *kafka.Client {
	t.Helper()
	c, err := kafka.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Topic returns a topic for tests, with room for hostile batches.
func Topic(name string, partitions int) kafka.Topic {
	return kafka.Topic{Name: name, Partitions: partitions, MaxMessage: 1 << 20, Retention: time.Hour}
}

// Send writes records to a partition as one batch and returns the first offset.
func Send(t testing.TB, c *kafka.Client, topic string, partition int, records ...kafka.Record) int64 {
	t.Helper()
	for start := time.Now(); ; pause(t.Context()) {
		r, err := c.API().Produce(t.Context(), &kafkago.ProduceRequest{
			Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll, Records: readers(records),
		})
		if err == nil {
			err = r.Error
		}
		if err == nil {
			return r.BaseOffset
		}
		// A broker that has just started, or just created the topic or a partition, is not ready;
		// with these answers it has surely not taken the records.
		early := errors.Is(err, kafkago.NotLeaderForPartition) || errors.Is(err, kafkago.LeaderNotAvailable) || errors.Is(err, kafkago.UnknownTopicOrPartition) ||
			errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition)
		if !early || time.Since(start) > 10*time.Second {
			t.Fatalf("produce to %s/%d: %v", topic, partition, err)
		}
		c.Refresh() // kafka-go would answer from memory for seconds
	}
}

// readers makes what kafka-go sends; it can be read once.
func readers(records []kafka.Record) kafkago.RecordReader {
	list := make([]kafkago.Record, len(records))
	for i, r := range records {
		list[i].Key = kafkago.NewBytes(r.Key)
		if r.Value != nil {
			list[i].Value = kafkago.NewBytes(r.Value)
		}
		for _, h := range r.Headers {
			list[i].Headers = append(list[i].Headers, protocol.Header(h))
		}
	}
	return kafkago.NewRecordReader(list...)
}

// pause waits a little before another try.
func pause(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	<-ctx.Done()
}

// A Raw is a record batch with every lie that a producer can tell.
type Raw struct {
	Codec   compress.Compression
	Count   int32  // as the header says
	Payload []byte // what stands after the header, compressed already
}

// Bytes returns the batch with a valid checksum.
func (r Raw) Bytes() []byte {
	b := make([]byte, 61, 61+len(r.Payload))
	binary.BigEndian.PutUint32(b[8:], uint32(49+len(r.Payload)))
	b[16] = 2
	binary.BigEndian.PutUint16(b[21:], uint16(r.Codec))
	binary.BigEndian.PutUint32(b[23:], uint32(r.Count-1))
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint64(b[27:], now)
	binary.BigEndian.PutUint64(b[35:], now)
	binary.BigEndian.PutUint64(b[43:], ^uint64(0)) // no producer id
	binary.BigEndian.PutUint16(b[51:], ^uint16(0))
	binary.BigEndian.PutUint32(b[53:], ^uint32(0))
	binary.BigEndian.PutUint32(b[57:], uint32(r.Count))
	b = append(b, r.Payload...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// Records encodes values as the records of a batch.
func Records(values ...[]byte) []byte {
	var out []byte
	for i, v := range values {
		body := []byte{0}                          // attributes
		body = binary.AppendVarint(body, 0)        // timestamp
		body = binary.AppendVarint(body, int64(i)) // offset
		body = binary.AppendVarint(body, -1)       // key
		body = binary.AppendVarint(body, int64(len(v)))
		body = append(body, v...)
		body = binary.AppendVarint(body, 0) // headers
		out = binary.AppendVarint(out, int64(len(body)))
		out = append(out, body...)
	}
	return out
}

// Compress compresses with kafka-go's own writer.
func Compress(t testing.TB, c compress.Compression, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := c.Codec().NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Bomb is a batch whose single record inflates to the given size.
func Bomb(t testing.TB, c compress.Compression, size int) Raw {
	t.Helper()
	var b bytes.Buffer
	w := c.Codec().NewWriter(&b)
	head := []byte{0}
	head = binary.AppendVarint(head, 0)
	head = binary.AppendVarint(head, 0)
	head = binary.AppendVarint(head, -1)
	head = binary.AppendVarint(head, int64(size))
	whole := binary.AppendVarint(nil, int64(len(head)+size+1))
	zeros := make([]byte, 1<<20)
	write := func(p []byte) {
		if _, err := w.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	write(append(whole, head...))
	for left := size; left > 0; left -= len(zeros) {
		write(zeros[:min(left, len(zeros))])
	}
	write([]byte{0})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return Raw{Codec: c, Count: 1, Payload: b.Bytes()}
}

// SendRaw writes a batch as it is and returns its first offset.
func SendRaw(t testing.TB, c *kafka.Client, topic string, partition int, r Raw) int64 {
	t.Helper()
	at, err := tryRaw(t.Context(), c, topic, partition, r)
	if err != nil {
		t.Fatalf("produce a raw batch of %d bytes to %s/%d: %v", len(r.Payload), topic, partition, err)
	}
	return at
}

// TryRaw is SendRaw where the broker is expected to refuse.
func TryRaw(ctx context.Context, c *kafka.Client, topic string, partition int, r Raw) error {
	_, err := tryRaw(ctx, c, topic, partition, r)
	return err
}

func tryRaw(ctx context.Context, c *kafka.Client, topic string, partition int, r Raw) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	response, err := c.API().RawProduce(ctx, &kafkago.RawProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafkago.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(withSize(r.Bytes()))},
	})
	if err != nil {
		return 0, err
	}
	return response.BaseOffset, response.Error
}

// withSize puts the size before the batch, as the protocol has it.
func withSize(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}
