package kafka

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// topicIDVersion is the first version of a metadata answer that tells the ids of
// topics (Kafka 2.8). kafka-go stops at 8, so this one request is written by hand.
const topicIDVersion = 10

// maxMetadata is the largest metadata answer that is read.
const maxMetadata = 1 << 20

// TopicID returns the id that the cluster gave a topic when it was created, in the
// form in which Kafka's tools print it; a topic that is deleted and created anew
// has another one. It is empty where the brokers have no ids. A topic that does
// not exist is UnknownTopicOrPartition.
func (c *Client) TopicID(ctx context.Context, topic string) (string, error) {
	var errs []error
	for _, broker := range c.config.Brokers {
		id, err := c.topicID(ctx, broker, topic)
		var answer kafkago.Error
		if err == nil || errors.As(err, &answer) || ctx.Err() != nil {
			return id, err
		}
		errs = append(errs, err)
	}
	return "", errors.Join(errs...)
}

func (c *Client) topicID(ctx context.Context, broker, topic string) (string, error) {
	// kafka-go's dialer authenticates the connection; what goes over it then is ours.
	var raw net.Conn
	dialer := &kafkago.Dialer{
		ClientID: c.config.ClientID, Timeout: dialTimeout, SASLMechanism: c.sasl,
		DialFunc: func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			raw, err = c.conns.dial(ctx, network, address)
			return raw, err
		},
	}
	conn, err := dialer.DialContext(ctx, "tcp", broker)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	limit := time.Now().Add(requestTimeout)
	if err := conn.SetDeadline(limit); err != nil {
		return "", err
	}
	versions, err := conn.ApiVersions()
	if err != nil {
		return "", err
	}
	for _, v := range versions {
		if v.ApiKey == apiMetadata && v.MinVersion <= topicIDVersion && topicIDVersion <= v.MaxVersion {
			if err := raw.SetDeadline(limit); err != nil { // the dialer's connection has ended its own
				return "", err
			}
			return askTopicID(raw, c.config.ClientID, topic)
		}
	}
	return "", nil
}

const apiMetadata = 3

// askTopicID asks for the metadata of one topic on a connection of which nobody
// else reads.
func askTopicID(conn io.ReadWriter, client, topic string) (string, error) {
	if _, err := conn.Write(metadataRequest(client, topic)); err != nil {
		return "", err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxMetadata {
		return "", fmt.Errorf("kafka: a metadata response of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(conn, body); err != nil {
		return "", err
	}
	return readTopicID(body, topic)
}

// metadataRequest asks for one topic by its name, without creating it. Compact
// lengths are one more than the length; an empty set of tags ends each struct.
func metadataRequest(client, topic string) []byte {
	b := make([]byte, 4, 64+len(client)+len(topic))
	b = binary.BigEndian.AppendUint16(b, apiMetadata)
	b = binary.BigEndian.AppendUint16(b, topicIDVersion)
	b = binary.BigEndian.AppendUint32(b, 1) // correlation id
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	b = append(append(b, client...), 0)
	b = append(b, 2)                   // one topic
	b = append(b, make([]byte, 16)...) // its id is asked for
	b = binary.AppendUvarint(b, uint64(len(topic)+1))
	b = append(append(b, topic...), 0)
	b = append(b, 0, 0, 0, 0) // no creation, no authorized operations of cluster and topic, no tags
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// readTopicID finds the id in the answer: correlation id, throttle time, brokers,
// cluster, controller, topics.
func readTopicID(body []byte, topic string) (string, error) {
	c := cursor{b: body}
	c.skip(4) // correlation id
	c.tags()
	c.skip(4) // throttle time
	for range c.length() {
		c.skip(4)          // id
		c.skip(c.length()) // host
		c.skip(4)          // port
		c.skip(c.length()) // rack
		c.tags()
	}
	c.skip(c.length()) // cluster
	c.skip(4)          // controller
	topics := c.length()
	code := c.int16()
	name := c.bytes(c.length())
	id := c.bytes(16)
	switch {
	case c.err != nil || topics != 1 || string(name) != topic:
		return "", errMetadata
	case code != 0:
		return "", fmt.Errorf("kafka: topic %s: %w", topic, kafkago.Error(code))
	case [16]byte(id) == [16]byte{}:
		return "", nil
	}
	return base64.RawURLEncoding.EncodeToString(id), nil
}

// length reads a compact length: one more than the length, 0 for none.
func (c *cursor) length() int {
	return max(0, c.uvarint()-1)
}

func (c *cursor) uvarint() int {
	n, size := binary.Uvarint(c.b[c.at:])
	if size <= 0 || n > uint64(len(c.b)) {
		c.skip(-1)
		return 0
	}
	c.skip(size)
	return int(n)
}

// tags skips the tagged fields of a struct.
func (c *cursor) tags() {
	for range c.uvarint() {
		c.uvarint() // which
		c.skip(c.uvarint())
	}
}

func (c *cursor) bytes(n int) []byte {
	at := c.at
	if c.skip(n); c.err != nil {
		return nil
	}
	return c.b[at : at+n]
}

var errMetadata = errors.New("kafka: metadata response of unknown layout")
