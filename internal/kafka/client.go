package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

// The settings of every client; each is the answer to a pitfall of kafka-go
// (reliability 5).
const (
	metadataTTL    = 5 * time.Second // a leader that moved is found within this (P22)
	requestTimeout = 10 * time.Second
	groupTimeout   = 3 * time.Second // one request to the coordinator
)

// A Client talks to one cluster. Its methods may be called concurrently.
type Client struct {
	config    Config
	api       *kafkago.Client
	transport *kafkago.Transport
	conns     *conns
	sasl      sasl.Mechanism

	mu        sync.Mutex
	refreshed time.Time
}

// Connect checks the configuration and returns a client. It does not talk to the
// brokers: they may be down when Assay starts. The client must be closed.
func Connect(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	InstallCodecs()
	if config.ClientID == "" {
		config.ClientID = "assay"
	}
	c := &Client{config: config, conns: &conns{open: map[*conn]struct{}{}}}
	var err error
	if config.TLS != nil {
		if c.conns.tls, err = config.TLS.config(); err != nil {
			return nil, err
		}
	}
	if config.SASL != nil {
		if c.sasl, err = config.SASL.mechanism(); err != nil {
			return nil, err
		}
	}
	c.transport = &kafkago.Transport{
		Dial:        c.conns.guarded, // TLS is done there, under the guard
		DialTimeout: dialTimeout,
		IdleTimeout: 30 * time.Second,
		MetadataTTL: metadataTTL,
		ClientID:    config.ClientID,
		SASL:        c.sasl,
	}
	c.api = &kafkago.Client{Addr: kafkago.TCP(config.Brokers...), Timeout: requestTimeout, Transport: c.transport}
	return c, nil
}

// StopBy ends whatever is under way at the given instant at the latest: requests
// fail from then on. It bounds the time that a shutdown takes.
func (c *Client) StopBy(limit time.Time) { c.conns.stopBy(limit) }

// Close closes all connections of the client, also those of its groups and
// writers, which must have been closed before.
func (c *Client) Close() {
	c.conns.close()
	c.transport.CloseIdleConnections()
}

// Refresh forgets what the client knows of the cluster, so that the next request
// asks anew: after an error a reader need not wait until the metadata is too old.
// Requests under way are not disturbed. It does so once a second at most.
func (c *Client) Refresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.refreshed) >= time.Second {
		c.refreshed = now
		c.transport.CloseIdleConnections()
	}
}

// API returns kafka-go's own client, for administrative requests.
func (c *Client) API() *kafkago.Client { return c.api }

// Partitions returns how many partitions a topic has; none while it does not exist.
func (c *Client) Partitions(ctx context.Context, topic string) (int, error) {
	m, err := c.api.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, err
	}
	for _, t := range m.Topics {
		if t.Name == topic && errors.Is(t.Error, kafkago.UnknownTopicOrPartition) {
			return 0, nil
		}
		if t.Name == topic {
			return len(t.Partitions), t.Error
		}
	}
	return 0, nil
}

// Offsets returns the first offset that the log of a partition still has, and the
// one that its next record will get.
func (c *Client) Offsets(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	r, err := c.api.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		topic: {kafkago.FirstOffsetOf(partition), kafkago.LastOffsetOf(partition)},
	}})
	if err != nil {
		return 0, 0, err
	}
	for _, p := range r.Topics[topic] {
		if p.Partition == partition {
			return p.FirstOffset, p.LastOffset, p.Error
		}
	}
	return 0, 0, fmt.Errorf("kafka: the broker tells no offsets of %s/%d", topic, partition)
}

// GroupOptions are what differs between groups.
type GroupOptions struct {
	ID             string
	Topics         []string
	SessionTimeout time.Duration           // 10 s when zero
	Backoff        time.Duration           // before another try to join; 250 ms when zero (kafka-go waits 5 s)
	Balancers      []kafkago.GroupBalancer // nil: kafka-go's
}

// Group joins a consumer group. kafka-go tries for ever and reports errors
// through Next. Partitions without a committed offset start at the first record
// (P4); Assay's own offsets are in its database anyway.
func (c *Client) Group(o GroupOptions) (*kafkago.ConsumerGroup, error) {
	if o.SessionTimeout == 0 {
		o.SessionTimeout = 10 * time.Second
	}
	if o.Backoff == 0 {
		o.Backoff = 250 * time.Millisecond
	}
	return kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:      o.ID,
		Brokers: c.config.Brokers,
		Dialer: &kafkago.Dialer{
			ClientID: c.config.ClientID, Timeout: dialTimeout, DialFunc: c.conns.dial, SASLMechanism: c.sasl,
		},
		Topics:            o.Topics,
		GroupBalancers:    o.Balancers,
		HeartbeatInterval: o.SessionTimeout / 10,
		SessionTimeout:    o.SessionTimeout,
		RebalanceTimeout:  o.SessionTimeout,
		JoinGroupBackoff:  o.Backoff,
		Timeout:           groupTimeout,
		StartOffset:       kafkago.FirstOffset,
	})
}

// IsAuth reports whether an error means that the cluster does not let us in, or
// not let us do this: a person has to act.
func IsAuth(err error) bool {
	for _, code := range []kafkago.Error{
		kafkago.SASLAuthenticationFailed, kafkago.UnsupportedSASLMechanism, kafkago.IllegalSASLState,
		kafkago.TopicAuthorizationFailed, kafkago.GroupAuthorizationFailed, kafkago.ClusterAuthorizationFailed,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var alert *net.OpError // what the broker says of our certificate; crypto/tls has no other type for it
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &invalid) ||
		errors.As(err, &hostname) || errors.As(err, &alert) && alert.Op == "remote error"
}
