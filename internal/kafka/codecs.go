package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/kafka-go/compress"
)

// MaxInflated is the largest decompressed size of one record batch. The events of
// Assay are at most 256 KiB, its verdicts 1 MiB.
const MaxInflated = 4 << 20

// ErrInflated says that a record batch decompresses to more than MaxInflated.
var ErrInflated = errors.New("the batch inflates to more than 4 MiB")

var installCodecs sync.Once

// InstallCodecs bounds the decompressors of kafka-go, for the whole process and
// once. Connect calls it; a program that uses kafka-go directly must call it
// before its first connection. Without it 57 KB on the wire become 512 MiB in
// memory (P13).
//
// Every decompressor is put behind a reader that fails at the limit. For two of
// them that is not enough, because they believe lengths on the wire before a
// single byte comes out: kafka-go's snappy reader allocates up to 4 GiB for a
// header of 20 bytes, and the zstd decoder a window of 512 MiB. They are replaced
// by ones that check first.
func InstallCodecs() {
	installCodecs.Do(func() {
		for i, c := range compress.Codecs {
			if c == nil {
				continue
			}
			b := boundedCodec{Codec: c, open: c.NewReader}
			switch compress.Compression(i) {
			case compress.Snappy:
				b.open = newSnappyReader
			case compress.Zstd:
				b.open = newZstdReader
			}
			compress.Codecs[i] = b
		}
	})
}

type boundedCodec struct {
	compress.Codec
	open func(io.Reader) io.ReadCloser
}

func (c boundedCodec) NewReader(r io.Reader) io.ReadCloser {
	return &boundedReader{ReadCloser: c.open(r), left: MaxInflated, codec: c.Name()}
}

// A boundedReader fails instead of ending at the limit: a batch that was cut
// would look like a whole one.
type boundedReader struct {
	io.ReadCloser
	left  int
	codec string
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if n > b.left {
		return b.left, fmt.Errorf("%s: %w", b.codec, ErrInflated)
	}
	b.left -= n
	return n, err
}

// snappyReader inflates one block after the other of a batch in xerial framing
// (what the Java client writes), or one unframed block.
type snappyReader struct {
	src    io.Reader
	framed bool
	opened bool
	left   int
	out    bytes.Reader
	block  []byte
}

func newSnappyReader(r io.Reader) io.ReadCloser { return &snappyReader{src: r, left: MaxInflated} }

func (s *snappyReader) Close() error { return nil }

func (s *snappyReader) Read(p []byte) (int, error) {
	for s.out.Len() == 0 {
		if err := s.next(); err != nil {
			return 0, err
		}
	}
	return s.out.Read(p)
}

var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

func (s *snappyReader) next() error {
	var in []byte
	if !s.opened {
		s.opened = true
		head := make([]byte, 16) // magic, version, compatible version
		n, err := io.ReadFull(s.src, head)
		if n == 0 {
			return err
		}
		s.framed = bytes.HasPrefix(head[:n], xerialMagic)
		if !s.framed {
			rest, err := io.ReadAll(s.src) // bounded by the batch
			if err != nil {
				return err
			}
			in = append(head[:n], rest...)
		}
	} else if !s.framed {
		return io.EOF
	}
	if s.framed {
		var size [4]byte
		if _, err := io.ReadFull(s.src, size[:]); err != nil {
			return err
		}
		// Read what is there, not what is promised.
		promised := int64(binary.BigEndian.Uint32(size[:]))
		var err error
		if in, err = io.ReadAll(io.LimitReader(s.src, promised)); err != nil {
			return err
		}
		if int64(len(in)) < promised {
			return io.ErrUnexpectedEOF
		}
	}
	n, err := snappy.DecodedLen(in)
	if err != nil {
		return err
	}
	if n > s.left {
		return fmt.Errorf("snappy: %w", ErrInflated)
	}
	s.left -= n
	if s.block, err = snappy.Decode(s.block[:cap(s.block)], in); err != nil {
		return err
	}
	s.out.Reset(s.block)
	return nil
}

// zstdReader is kept for reuse: its tables cost more to make than a batch to read.
type zstdReader struct{ d *zstd.Decoder }

var zstdReaders sync.Pool

// maxWindow is what the format asks every decoder to support. Kafka's default
// level needs 2 MiB.
const maxWindow = 8 << 20

func newZstdReader(r io.Reader) io.ReadCloser {
	z, ok := zstdReaders.Get().(*zstdReader)
	if !ok {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
		if err != nil {
			return io.NopCloser(failing{err})
		}
		z = &zstdReader{d}
	}
	if err := z.d.Reset(r); err != nil {
		return io.NopCloser(failing{err})
	}
	return z
}

func (z *zstdReader) Read(p []byte) (int, error) {
	n, err := z.d.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) || errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = fmt.Errorf("zstd: %w (%w)", ErrInflated, err)
	}
	return n, err
}

func (z *zstdReader) Close() error {
	if err := z.d.Reset(nil); err != nil {
		return err
	}
	zstdReaders.Put(z)
	return nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
