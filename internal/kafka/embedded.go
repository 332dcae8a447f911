package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// EmbeddedConfig is how the broker inside the process runs.
type EmbeddedConfig struct {
	Addr    string // host:port on loopback; port 0 chooses one
	DataDir string // empty: memory only, for tests and demos
	// SyncWrites makes every record durable before it is acknowledged. It is one
	// switch for all topics of the broker (kfake has no other). Without it the last
	// records are lost with the machine, not with the process.
	SyncWrites bool
	Topics     []Topic // created where they do not exist; nil: Topics
}

// An AddrError says that the address of the embedded broker cannot be used.
type AddrError struct {
	Addr  string
	InUse bool // another program has the port
	Err   error
}

func (e *AddrError) Error() string {
	if e.InUse {
		return fmt.Sprintf("kafka: embedded broker: another program listens on %s", e.Addr)
	}
	return fmt.Sprintf("kafka: embedded broker: %s: %v", e.Addr, e.Err)
}

func (e *AddrError) Unwrap() error { return e.Err }

// An Embedded is a broker inside this process, for installations without one:
// franz-go's kfake on loopback, with its log on disk. It is one node, made by its
// author for tests: no replication, no throttling, one goroutine for all requests.
// It does not check the records that producers send.
type Embedded struct {
	cluster *kfake.Cluster
	addr    string
}

// StartEmbedded starts the broker and returns when it serves. It runs goroutines
// of its own until Close.
func StartEmbedded(ctx context.Context, config EmbeddedConfig) (*Embedded, error) {
	host, portText, err := net.SplitHostPort(config.Addr)
	if err != nil {
		return nil, &AddrError{Addr: config.Addr, Err: err}
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, &AddrError{Addr: config.Addr, Err: err}
	}
	if !isLoopback(host) {
		return nil, &AddrError{Addr: config.Addr, Err: errors.New("only loopback is allowed: the embedded broker authenticates nobody")}
	}
	var refused *AddrError
	options := []kfake.Opt{
		kfake.Ports(int(port)),
		kfake.GroupMinSessionTimeout(time.Second),
		// kfake asks for its own loopback address; the port is what matters, and the
		// host decides between IPv4 and IPv6.
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			l, err := net.Listen(network, config.Addr)
			if err != nil {
				refused = &AddrError{Addr: config.Addr, InUse: errors.Is(err, syscall.EADDRINUSE), Err: err}
			}
			return l, err
		}),
	}
	if config.DataDir != "" {
		options = append(options, kfake.DataDir(config.DataDir))
	}
	if config.SyncWrites {
		options = append(options, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(options...)
	if refused != nil {
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: embedded broker: %w", err)
	}
	e := &Embedded{cluster: cluster, addr: cluster.ListenAddrs()[0]}
	topics := config.Topics
	if topics == nil {
		topics = Topics
	}
	if err := e.ensure(ctx, topics); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Embedded) ensure(ctx context.Context, topics []Topic) error {
	c, err := Connect(e.Config())
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = EnsureTopics(ctx, c, topics...)
	return err
}

// Addr returns host:port of the broker.
func (e *Embedded) Addr() string { return e.addr }

// Config returns how to connect to the broker.
func (e *Embedded) Config() Config { return Config{Brokers: []string{e.addr}} }

// Close writes what is not on disk yet and stops the broker. Its data directory
// can be opened again afterwards.
func (e *Embedded) Close() { e.cluster.Close() }
