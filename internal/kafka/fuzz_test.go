package kafka_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/compress"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// FuzzBatch holds the guard to its promise: what it lets through does not make
// kafka-go panic, and kafka-go finds no more records in it than were counted.
func FuzzBatch(f *testing.F) {
	kafka.InstallCodecs()
	good := kafkatest.Records([]byte("one"), nil, []byte("three"))
	for c := range compress.Compression(6) {
		payload := good
		if c > 0 && c < 5 {
			payload = kafkatest.Compress(f, c, good)
		}
		f.Add(int8(c), int32(3), payload)
	}
	for _, h := range hostile(f) {
		if len(h.raw.Payload) < 64<<10 {
			f.Add(int8(h.raw.Codec), h.raw.Count, h.raw.Payload)
		}
	}
	f.Fuzz(func(t *testing.T, codec int8, count int32, payload []byte) {
		b := kafkatest.Raw{Codec: compress.Compression(codec & 7), Count: count, Payload: payload}.Bytes()
		good, err := kafka.CheckBatches(b)
		var bad *kafka.BadBatch
		if err != nil && (!errors.As(err, &bad) || good != 0 || bad.Last < bad.First) {
			t.Fatalf("refused after %d bytes with %v", good, err)
		}
		if err != nil {
			return
		}
		var set protocol.RecordSet
		if _, err := set.ReadFrom(bytes.NewReader(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))); err != nil {
			t.Fatalf("let through, and kafka-go says %v", err)
		}
		n := int32(0)
		for set.Records != nil {
			if _, err := set.Records.ReadRecord(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != count {
			t.Fatalf("kafka-go reads %d records, the header says %d", n, count)
		}
	})
}

// FuzzTopicID: no answer of a broker makes the reader of topic ids panic, and what
// it takes for an id has the length of one.
func FuzzTopicID(f *testing.F) {
	answer := []byte{0, 0, 0, 1, 0, 0, 0, 0, 0}                      // correlation id, no tags, throttle time
	answer = append(answer, 2, 0, 0, 0, 1, 2, 'h', 0, 0, 0, 9, 0, 0) // one broker
	answer = append(answer, 2, 'c', 0, 0, 0, 1)                      // cluster, controller
	answer = append(answer, 2, 0, 0, 2, 't')                         // one topic without an error
	answer = append(answer, bytes.Repeat([]byte{7}, 16)...)
	if id, err := kafka.ReadTopicID(answer, "t"); err != nil || id != "BwcHBwcHBwcHBwcHBwcHBw" {
		f.Fatalf("%q, %v", id, err)
	}
	f.Add(answer)
	f.Add(answer[:len(answer)-1])
	f.Fuzz(func(t *testing.T, answer []byte) {
		if id, err := kafka.ReadTopicID(answer, "t"); err == nil && len(id) != 22 && id != "" {
			t.Errorf("id %q", id)
		}
	})
}
