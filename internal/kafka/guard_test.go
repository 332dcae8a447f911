package kafka_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/segmentio/kafka-go/compress"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// hostile are batches that the embedded broker takes. Each of the malformed ones
// ends the process, or asks for gigabytes, if kafka-go gets to decode it.
func hostile(t testing.TB) map[string]struct {
	raw  kafkatest.Raw
	want error
} {
	record := func(fields ...int64) []byte {
		b := []byte{20, 0, 0, 0} // length, attributes, timestamp, offset
		for _, f := range fields {
			b = binary.AppendVarint(b, f)
		}
		return b
	}
	type one = struct {
		raw  kafkatest.Raw
		want error
	}
	return map[string]one{
		"gzip bomb":                {kafkatest.Bomb(t, compress.Gzip, 64<<20), kafka.ErrInflated},
		"zstd bomb":                {kafkatest.Bomb(t, compress.Zstd, 64<<20), kafka.ErrInflated},
		"lz4 bomb":                 {kafkatest.Bomb(t, compress.Lz4, 64<<20), kafka.ErrInflated},
		"just over the limit":      {kafkatest.Bomb(t, compress.Gzip, kafka.MaxInflated), kafka.ErrInflated},
		"two billion records":      {kafkatest.Raw{Count: 1<<31 - 1, Payload: kafkatest.Records([]byte("x"))}, kafka.ErrRecords},
		"too many records":         {kafkatest.Raw{Count: 20_001, Payload: kafkatest.Records(make([][]byte, 20_001)...)}, kafka.ErrRecords},
		"too many records, zstd":   {kafkatest.Raw{Codec: compress.Zstd, Count: 500_000, Payload: kafkatest.Compress(t, compress.Zstd, kafkatest.Records(make([][]byte, 500_000)...))}, kafka.ErrRecords},
		"more records than bytes":  {kafkatest.Raw{Count: 9, Payload: kafkatest.Records([]byte("x"))}, kafka.ErrBatch},
		"a key beyond the batch":   {kafkatest.Raw{Count: 1, Payload: record(1<<40, -1, 0)}, kafka.ErrBatch},
		"a value beyond the batch": {kafkatest.Raw{Count: 1, Payload: record(-1, 1<<20, 0)}, kafka.ErrBatch},
		"headers without end":      {kafkatest.Raw{Count: 1, Payload: record(-1, -1, 1<<60)}, kafka.ErrBatch},
		"negative headers":         {kafkatest.Raw{Count: 1, Payload: record(-1, -1, -7)}, kafka.ErrBatch},
		"a header beyond the batch": {
			kafkatest.Raw{Count: 1, Payload: append(record(-1, -1, 1, 1<<50), 0, 0)},
			kafka.ErrBatch,
		},
		"malformed inside gzip": {kafkatest.Raw{Codec: compress.Gzip, Count: 1, Payload: kafkatest.Compress(t, compress.Gzip, record(-1, -1, 1<<60))}, kafka.ErrBatch},
		"garbage for gzip":      {kafkatest.Raw{Codec: compress.Gzip, Count: 3, Payload: []byte("this is no gzip")}, nil},
		"garbage for snappy":    {kafkatest.Raw{Codec: compress.Snappy, Count: 3, Payload: []byte("this is no snappy")}, nil},
		"garbage for lz4":       {kafkatest.Raw{Codec: compress.Lz4, Count: 3, Payload: []byte("this is no lz4 .....")}, nil},
		"garbage for zstd":      {kafkatest.Raw{Codec: compress.Zstd, Count: 3, Payload: []byte("this is no zstd")}, nil},
	}
}

func TestFetchRefusesHostileBatches(t *testing.T) {
	kafka.InstallCodecs()
	i := 0
	for name, h := range hostile(t) {
		topic := fmt.Sprintf("hostile-%d", i)
		i++
		t.Run(name, func(t *testing.T) {
			broker := kafkatest.Start(t, kafkatest.Topic(topic, 1))
			c := kafkatest.Connect(t, broker.Config())
			kafkatest.Send(t, c, topic, 0, kafka.Record{Value: []byte("before")}, kafka.Record{Value: []byte("before")})
			kafkatest.SendRaw(t, c, topic, 0, h.raw)
			kafkatest.Send(t, c, topic, 0, kafka.Record{Value: []byte("after")})

			// What stands before the bad batch comes first, without an error.
			f, err := c.Fetch(t.Context(), kafka.Position{Topic: topic})
			if err != nil || f.Next != 2 || len(f.Batches) != 1 || len(f.Batches[0].Records) != 2 {
				t.Fatalf("first fetch: %+v, error %v; want the two records before", f, err)
			}
			_, err = c.Fetch(t.Context(), kafka.Position{Topic: topic, Offset: f.Next})
			var bad *kafka.BadBatch
			if !errors.As(err, &bad) {
				t.Fatalf("second fetch: error %v, want a BadBatch", err)
			}
			if h.want != nil && !errors.Is(err, h.want) {
				t.Errorf("error %v, want %v", err, h.want)
			}
			last := int64(2) + int64(max(h.raw.Count, 1)) - 1
			if bad.First != 2 || bad.Last != last {
				t.Errorf("bad batch is %d..%d, want 2..%d", bad.First, bad.Last, last)
			}
			if h.raw.Count < 0 {
				return // kfake itself has lost count
			}
			f, err = c.Fetch(t.Context(), kafka.Position{Topic: topic, Offset: bad.Last + 1})
			if err != nil || len(f.Batches) != 1 || string(f.Batches[0].Records[0].Value) != "after" {
				t.Errorf("third fetch: %+v, error %v; want the record after", f, err)
			}
		})
	}
}

// A response may hold many batches that are each within the limit.
func TestFetchBoundsTheWholeResponse(t *testing.T) {
	const topic, batches = "many", 60
	broker := kafkatest.Start(t, kafkatest.Topic(topic, 1))
	c := kafkatest.Connect(t, broker.Config())
	raw := kafkatest.Bomb(t, compress.Zstd, 3<<20)
	for range batches {
		kafkatest.SendRaw(t, c, topic, 0, raw)
	}
	t.Logf("%d batches of %d bytes, 3 MiB each when inflated", batches, len(raw.Payload))
	debug.FreeOSMemory()
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	seen := 0
	for at := int64(0); at < batches; {
		f, err := c.Fetch(t.Context(), kafka.Position{Topic: topic, Offset: at})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(f.Batches); n == 0 || n > 5 {
			t.Fatalf("a response with %d batches of 3 MiB at %d; 16 MiB is the budget", n, at)
		}
		seen += len(f.Batches)
		at = f.Next
		runtime.ReadMemStats(&m)
		if grown := int64(m.HeapAlloc) - int64(before.HeapAlloc); grown > 160<<20 {
			t.Errorf("the heap has grown by %d MiB", grown>>20)
		}
	}
	if seen != batches {
		t.Errorf("%d batches were read, want %d", seen, batches)
	}
}

func TestFetchReadsEveryCodec(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Topic("codecs", 1))
	c := kafkatest.Connect(t, broker.Config())
	values := [][]byte{[]byte("one"), {}, []byte("three")}
	for _, codec := range append(codecs, compress.None) {
		payload := kafkatest.Records(values...)
		if codec != compress.None {
			payload = kafkatest.Compress(t, codec, payload)
		}
		at := kafkatest.SendRaw(t, c, "codecs", 0, kafkatest.Raw{Codec: codec, Count: 3, Payload: payload})
		f, err := c.Fetch(t.Context(), kafka.Position{Topic: "codecs", Offset: at + 1}) // inside the batch
		if err != nil || len(f.Batches) != 1 || len(f.Batches[0].Records) != 2 {
			t.Errorf("%s: %+v, error %v; want the last two records", codec, f, err)
			continue
		}
		if b := f.Batches[0]; b.First != at || b.Last != at+2 || f.Next != at+3 || string(b.Records[1].Value) != "three" {
			t.Errorf("%s: batch %d..%d, next %d", codec, b.First, b.Last, f.Next)
		}
	}
}
