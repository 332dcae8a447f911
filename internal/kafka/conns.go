package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const dialTimeout = 3 * time.Second

var errClosed = errors.New("kafka: the client is closed")

// conns makes the connections of a client and remembers them, because kafka-go
// waits for answers in goroutines that only the end of their connection ends: a
// paused broker would hold up the end of the process for its request timeouts,
// which add up to a minute when a group is left.
type conns struct {
	tls *tls.Config

	mu     sync.Mutex
	open   map[*conn]struct{}
	limit  time.Time // no operation goes on longer; zero: no limit
	closed bool
}

func (cs *conns) dial(ctx context.Context, network, address string) (net.Conn, error) {
	cs.mu.Lock()
	limit, closed := cs.limit, cs.closed
	cs.mu.Unlock()
	if closed {
		return nil, errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if !limit.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, limit)
		defer cancel()
	}
	raw, err := (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if cs.tls != nil {
		config := cs.tls
		if config.ServerName == "" {
			config = config.Clone()
			config.ServerName, _, _ = net.SplitHostPort(address)
		}
		encrypted := tls.Client(raw, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		raw = encrypted
	}
	c := &conn{Conn: raw, all: cs}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.closed {
		raw.Close()
		return nil, errClosed
	}
	cs.open[c] = struct{}{}
	if !cs.limit.IsZero() {
		_ = raw.SetDeadline(cs.limit)
	}
	return c, nil
}

// guarded is dial for connections that fetch.
func (cs *conns) guarded(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := cs.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newGuard(c), nil
}

// stopBy ends every operation of every connection, present and future, at the
// given instant at the latest.
func (cs *conns) stopBy(limit time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.limit = limit
	for c := range cs.open {
		_ = c.Conn.SetDeadline(limit)
	}
}

func (cs *conns) close() {
	cs.mu.Lock()
	cs.closed = true
	open := cs.open
	cs.open = map[*conn]struct{}{}
	cs.mu.Unlock()
	for c := range open {
		_ = c.Conn.Close()
	}
}

// A conn keeps the deadlines that kafka-go sets within the limit.
type conn struct {
	net.Conn
	all *conns
}

func (c *conn) bounded(t time.Time) time.Time {
	if limit := c.all.limit; !limit.IsZero() && (t.IsZero() || t.After(limit)) {
		return limit
	}
	return t
}

func (c *conn) SetDeadline(t time.Time) error {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.Conn.SetDeadline(c.bounded(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.Conn.SetReadDeadline(c.bounded(t))
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	return c.Conn.SetWriteDeadline(c.bounded(t))
}

func (c *conn) Close() error {
	c.all.mu.Lock()
	delete(c.all.open, c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}
