package kafka_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

var codecs = []compress.Compression{compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd}

func inflate(c compress.Compression, b []byte) ([]byte, error) {
	r := c.Codec().NewReader(bytes.NewReader(b))
	defer r.Close()
	return io.ReadAll(r)
}

func TestCodecsKeepWhatFits(t *testing.T) {
	kafka.InstallCodecs()
	kafka.InstallCodecs() // once
	for _, c := range codecs {
		for _, size := range []int{0, 1, 100, 70_000, 1 << 20, kafka.MaxInflated} {
			want := make([]byte, size)
			for i := range want {
				want[i] = byte(i * i >> 7)
			}
			got, err := inflate(c, kafkatest.Compress(t, c, want))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %d bytes: got %d bytes, error %v", c, size, len(got), err)
			}
		}
	}
}

func TestCodecsRefuseBombs(t *testing.T) {
	kafka.InstallCodecs()
	for _, c := range codecs {
		for _, size := range []int{kafka.MaxInflated + 1, 64 << 20} {
			bomb := kafkatest.Bomb(t, c, size).Payload
			before := allocated()
			_, err := inflate(c, bomb)
			if !errors.Is(err, kafka.ErrInflated) {
				t.Errorf("%s, %d bytes in %d: error %v, want ErrInflated", c, size, len(bomb), err)
			}
			// io.ReadAll grows by copying, so a few times the limit is what reading it costs.
			if grown := allocated() - before; grown > 48<<20 {
				t.Errorf("%s: %d MiB were allocated", c, grown>>20)
			}
		}
	}
}

// What is promised on the wire must not be allocated before it is there.
func TestCodecsBelieveNoPromise(t *testing.T) {
	kafka.InstallCodecs()
	xerial := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}
	var window bytes.Buffer
	w, err := zstd.NewWriter(&window, zstd.WithWindowSize(zstd.MaxWindowSize))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Flush() // a stream of unknown length declares its whole window
	_, _ = w.Write([]byte("end"))
	_ = w.Close()

	for _, c := range []struct {
		name  string
		codec compress.Compression
		in    []byte
	}{
		{"snappy chunk of 4 GiB", compress.Snappy, binary.BigEndian.AppendUint32(bytes.Clone(xerial), 0xfffffff0)},
		{"snappy block of 4 GiB", compress.Snappy, append(binary.AppendUvarint(nil, 0xfffffff0), 0, 0, 0)},
		{"snappy framed block of 4 GiB", compress.Snappy, append(append(bytes.Clone(xerial), 0, 0, 0, 5), binary.AppendUvarint(nil, 0xfffffff0)...)},
		{"zstd window of 512 MiB", compress.Zstd, window.Bytes()},
		{"gzip garbage", compress.Gzip, []byte("no gzip")},
		{"lz4 garbage", compress.Lz4, []byte("no lz4 at all")},
		{"zstd garbage", compress.Zstd, []byte("no zstd at all")},
	} {
		before := allocated()
		_, err := inflate(c.codec, c.in)
		if err == nil {
			t.Errorf("%s: no error", c.name)
		}
		if grown := allocated() - before; grown > 16<<20 {
			t.Errorf("%s: %d MiB were allocated", c.name, grown>>20)
		}
	}
}

// allocated is cumulative, so it cannot be fooled by a collection in between.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
