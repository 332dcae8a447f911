package kafka

import (
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// MaxWrite is the largest record that a writer takes.
const MaxWrite = 1 << 20

// Writer returns a writer to a topic that acknowledges only what all replicas
// have. Write one record per call: a record that is refused fails the whole call
// (P23). A write that failed may arrive later all the same (P19), so records need
// an id by which readers recognise the second.
func (c *Client) Writer(topic string) *kafkago.Writer {
	return &kafkago.Writer{
		Addr:         kafkago.TCP(c.config.Brokers...),
		Topic:        topic,
		RequiredAcks: kafkago.RequireAll,                        // the zero value is fire and forget (P16)
		Balancer:     kafkago.Murmur2Balancer{Consistent: true}, // the default ignores keys (P17); the same as Java's
		BatchSize:    1,
		BatchTimeout: 5 * time.Millisecond, // the default delays each write by a second (P18)
		BatchBytes:   MaxWrite + 4<<10,     // with its headers
		MaxAttempts:  3,                    // who retries for ever is the outbox (P22)
		ReadTimeout:  5 * time.Second,
		WriteTimeout: 5 * time.Second,
		Async:        false, // drops errors (P21)
		Transport:    c.transport,
	}
}
