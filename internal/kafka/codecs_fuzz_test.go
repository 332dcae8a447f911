package kafka_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/segmentio/kafka-go/compress"

	"github.com/release-assay/assay/internal/fuzztest"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// FuzzCodecs inflates anything by every codec: at most MaxInflated bytes come out, and
// what was compressed comes out as it was.
func FuzzCodecs(f *testing.F) {
	kafka.InstallCodecs()
	for c := compress.Compression(1); c < 5; c++ {
		f.Add(int8(c), kafkatest.Compress(f, c, []byte("some text some text some text")))
		f.Add(int8(c), kafkatest.Compress(f, c, make([]byte, 5<<20))[:64])
	}
	f.Add(int8(2), []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, which int8, data []byte) {
		c := compress.Compression(1 + which&3)
		inflate := func(data []byte) (int, []byte, error) {
			r := c.Codec().NewReader(bytes.NewReader(data))
			defer r.Close()
			var out bytes.Buffer
			n, err := io.Copy(&out, io.LimitReader(r, 2*kafka.MaxInflated))
			return int(n), out.Bytes(), err
		}
		fuzztest.Within(t, func() {
			if n, _, _ := inflate(data); n > kafka.MaxInflated {
				t.Fatalf("%s: %d bytes from %d", c, n, len(data))
			}
		})
		if len(data) > 0 {
			if _, back, err := inflate(kafkatest.Compress(t, c, data)); err != nil || !bytes.Equal(back, data) {
				t.Fatalf("%s: %d bytes back of %d, %v", c, len(back), len(data), err)
			}
		}
	})
}
