package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
)

// maxResponse is the most that all batches of one fetch response may inflate to:
// a response of 1 MiB can hold thousands of batches that are each within
// MaxInflated.
const maxResponse = 16 << 20

// maxFrame is the largest fetch response that is read at all: the 1 MiB that is
// asked for, or one batch of whatever size the broker let in.
const maxFrame = 64 << 20

// slackBytes is what a response has beside its batches, amply.
const slackBytes = 4 << 10

const (
	apiFetch        = 1
	minFetchVersion = 4
	maxFetchVersion = 11 // of kafka-go; later ones are laid out otherwise
)

// A guard is a connection that inspects fetch responses before kafka-go sees
// them. kafka-go decodes batches in goroutines of its own and trusts the lengths
// in them: a count of -1 is a panic that ends the process, a count of 2^31 an
// allocation of 80 GB (P14). Brokers of Apache check what producers send; the
// embedded one does not, and nobody checks a broker.
//
// A response whose first batch is bad is replaced by the error; one with a bad
// batch further on is cut before it, so that the good ones before it are read
// first. Everything else passes through unread.
type guard struct {
	net.Conn

	mu       sync.Mutex
	request  []byte          // head of the request being written
	skip     int             // bytes of it still to come
	awaiting map[int32]int16 // correlation id of a fetch: its version

	reply  []byte // inspected and not yet handed out
	pass   int    // bytes of an uninspected response still to come
	failed error  // kafka-go reads on after an error, to discard the rest
}

func newGuard(c net.Conn) *guard { return &guard{Conn: c, awaiting: map[int32]int16{}} }

// requestHead is size 4, api key 2, version 2, correlation id 4.
const requestHead = 12

// Write notes which correlation ids are fetches. Requests come in pieces.
func (g *guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	for rest := p; len(rest) > 0; {
		if g.skip > 0 {
			n := min(g.skip, len(rest))
			g.skip -= n
			rest = rest[n:]
			continue
		}
		n := min(requestHead-len(g.request), len(rest))
		g.request = append(g.request, rest[:n]...)
		rest = rest[n:]
		if len(g.request) < requestHead {
			break
		}
		h := g.request
		if binary.BigEndian.Uint16(h[4:]) == apiFetch {
			g.awaiting[int32(binary.BigEndian.Uint32(h[8:]))] = int16(binary.BigEndian.Uint16(h[6:]))
		}
		g.skip = max(0, int(binary.BigEndian.Uint32(h))-(requestHead-4))
		g.request = g.request[:0]
	}
	g.mu.Unlock()
	return g.Conn.Write(p)
}

func (g *guard) Read(p []byte) (int, error) {
	for {
		if len(g.reply) > 0 {
			n := copy(p, g.reply)
			g.reply = g.reply[n:]
			return n, nil
		}
		if g.pass > 0 {
			n, err := g.Conn.Read(p[:min(len(p), g.pass)])
			g.pass -= n
			return n, err
		}
		if g.failed == nil {
			g.failed = g.next()
		}
		if g.failed != nil {
			return 0, g.failed
		}
	}
}

// next reads the head of a response and, of a fetch, all of it.
func (g *guard) next() error {
	head := make([]byte, 8) // size, correlation id
	if _, err := io.ReadFull(g.Conn, head); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(head)))
	id := int32(binary.BigEndian.Uint32(head[4:]))
	g.mu.Lock()
	version, fetch := g.awaiting[id]
	delete(g.awaiting, id)
	g.mu.Unlock()
	if !fetch || size < 4 {
		g.reply, g.pass = head, max(0, size-4)
		return nil
	}
	if size > maxFrame {
		return fmt.Errorf("kafka: a fetch response of %d bytes", size)
	}
	if version < minFetchVersion || version > maxFetchVersion {
		return fmt.Errorf("kafka: fetch version %d: the broker is older than Kafka 0.11", version)
	}
	// What was asked for is read into place; what is larger, as it comes: a length
	// alone must not cost memory.
	frame := append(make([]byte, 0, 4+min(size, maxBytes+slackBytes)), head...)
	for len(frame) < 4+size {
		if len(frame) == cap(frame) {
			frame = slices.Grow(frame, min(len(frame), 4+size-len(frame)))
		}
		n, err := g.Conn.Read(frame[len(frame):min(cap(frame), 4+size)])
		frame = frame[:len(frame)+n]
		if err != nil && len(frame) < 4+size {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	frame, err := inspect(frame, version)
	if err != nil {
		return err
	}
	g.reply = frame
	return nil
}

var errFrame = errors.New("kafka: fetch response of unknown layout")

// inspect checks the batches of a fetch response for one partition, which is what
// this package asks for, and returns the response, cut where needed.
func inspect(frame []byte, version int16) ([]byte, error) {
	c := cursor{b: frame, at: 8}
	c.skip(4) // throttle time
	if version >= 7 {
		c.skip(2 + 4) // error, session
	}
	topics := c.int32()
	if topics < 1 { // none, on an error for the whole request
		return frame, c.err
	}
	c.skip(int(c.int16())) // name
	partitions := c.int32()
	if partitions < 1 {
		return frame, c.err
	}
	if topics > 1 || partitions > 1 {
		return nil, errFrame
	}
	c.skip(4 + 2 + 8 + 8) // partition, error, high watermark, last stable offset
	if version >= 5 {
		c.skip(8) // log start
	}
	if n := c.int32(); n > 0 {
		c.skip(int(n) * 16) // aborted transactions
	}
	if version >= 11 {
		c.skip(4) // preferred replica
	}
	atSize := c.at
	size := int(c.int32())
	if c.err != nil {
		return nil, c.err
	}
	if size <= 0 {
		return frame, nil
	}
	start := c.at
	if start+size != len(frame) {
		return nil, errFrame
	}
	good, err := checkBatches(frame[start:])
	if good == 0 && err != nil {
		return nil, err
	}
	if err != nil { // cut, and tell both lengths
		frame = frame[:start+good]
		binary.BigEndian.PutUint32(frame[atSize:], uint32(good))
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	}
	return frame, nil
}

// checkBatches returns how many bytes of whole, good batches stand at the
// beginning, and why it stopped there if it did. A batch that the broker cut at
// the end is not an error: kafka-go skips it.
func checkBatches(b []byte) (good int, err error) {
	left := budget{bytes: maxResponse, records: MaxRecords}
	for len(b)-good >= batchHeader {
		rest := b[good:]
		whole := 12 + int64(int32(binary.BigEndian.Uint32(rest[atLength:])))
		if whole < batchHeader {
			first := int64(binary.BigEndian.Uint64(rest))
			return good, &BadBatch{First: first, Last: first, Err: fmt.Errorf("%w: %d bytes", ErrBatch, whole)}
		}
		if whole > int64(len(rest)) {
			return good, nil
		}
		if err := checkBatch(rest[:whole], &left); err != nil {
			return good, err
		}
		good += int(whole)
	}
	return good, nil
}

// A cursor reads big-endian numbers and remembers the first overrun.
type cursor struct {
	b   []byte
	at  int
	err error
}

func (c *cursor) skip(n int) {
	if n < 0 || c.at+n > len(c.b) {
		c.err, c.at = errFrame, len(c.b)
		return
	}
	c.at += n
}

func (c *cursor) int16() int16 {
	at := c.at
	if c.skip(2); c.err != nil {
		return 0
	}
	return int16(binary.BigEndian.Uint16(c.b[at:]))
}

func (c *cursor) int32() int32 {
	at := c.at
	if c.skip(4); c.err != nil {
		return 0
	}
	return int32(binary.BigEndian.Uint32(c.b[at:]))
}
