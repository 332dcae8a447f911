// Package lokimirror writes lines about final verdicts and their findings to Loki, so
// that dashboards can show them beside everything else: their labels make annotations.
//
// The mirror is lossy by design. A verdict is kept in the store, served over HTTP and
// delivered by the sinks of the outbox; what is lost here is missing from a picture. So
// nothing waits for it: Put takes a verdict into a bounded queue or drops it, Pump, which
// has a goroutine of its own, hands lines to the client, and Close gives up after a while
// on what has not arrived. What is dropped is counted.
//
// The lines are pushed by grafana/loki-client-go, whose ways are the reason for this
// design: Handle blocks while the server is slow, and for ever once the client is
// stopped; Stop waits until everything was sent or given up; errors are only logged. It
// registers metrics named promtail_* with Prometheus' default registry, which Assay does
// not serve. This package alone imports it.
//
// The package does not decide, does not retry beyond the client's few attempts, and
// keeps nothing.
package lokimirror

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grafana/loki-client-go/loki"
	"github.com/grafana/loki-client-go/pkg/backoff"
	"github.com/grafana/loki-client-go/pkg/labelutil"
	"github.com/grafana/loki-client-go/pkg/urlutil"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/verdicts"
)

const (
	attempts    = 3
	firstPause  = 500 * time.Millisecond
	longPause   = 5 * time.Second
	callTimeout = 5 * time.Second // of one push
	batchWait   = time.Second
	maxQueue    = 100_000
)

// Config says where the lines go. Credentials, TLS, proxy and headers are written as in
// Prometheus' configuration, on the same level. Decode into DefaultConfig.
type Config struct {
	URL    string            `yaml:"url"`              // root of the server, to which /loki/api/v1/push is added
	Tenant string            `yaml:"tenant,omitempty"` // sent as X-Scope-OrgID
	Labels map[string]string `yaml:"labels,omitempty"` // further labels of all lines: cluster: eu-1
	Queue  int               `yaml:"queue,omitempty"`  // verdicts that may wait

	HTTP config.HTTPClientConfig `yaml:",inline"`

	Log *slog.Logger `yaml:"-"` // nil: nothing is logged
	// Lost is called for each verdict that found the queue full and each batch of lines
	// that was given up. It must not block.
	Lost func() `yaml:"-"`
}

// DefaultConfig returns the configuration that a user starts from; only the URL has to
// be set.
func DefaultConfig() Config { return Config{Queue: 1000, HTTP: config.DefaultHTTPClientConfig} }

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fault("url: missing (write http://loki:3100)")
	case err != nil:
		fault("url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Fragment != "":
		fault("url: %q is no address (write http://loki:3100)", c.URL)
	case u.User != nil:
		fault("url: credentials in the address end up in logs (use basic_auth)")
	}
	if strings.ContainsFunc(c.Tenant, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		fault("tenant: %q is no tenant: letters, digits and punctuation only", c.Tenant)
	}
	for name, value := range c.Labels {
		if !labelName.MatchString(name) || strings.HasPrefix(name, "__") || own[name] || value == "" {
			fault("labels: %s: %q is no label of yours: a name of letters, digits and underscores that is not ours, and a value", name, value)
		}
	}
	if c.Queue < 1 || c.Queue > maxQueue {
		fault("queue: %d is not from 1 to %d", c.Queue, maxQueue)
	}
	if err := c.HTTP.Validate(); err != nil { // works on our copy
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// A Mirror writes lines to one Loki. Its methods are safe for concurrent use; Pump is
// called once.
type Mirror struct {
	config loki.Config
	log    *slog.Logger
	lost   func()
	queue  chan []line
	done   chan struct{} // closed by Close
	once   sync.Once

	dropped, failed atomic.Uint64
}

// Open prepares a mirror. It makes no connection.
func Open(c Config) (*Mirror, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/loki/api/v1/push"
	labels := model.LabelSet{}
	for name, value := range c.Labels {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	m := &Mirror{
		config: loki.Config{
			URL: urlutil.URLValue{URL: u}, BatchWait: batchWait, BatchSize: loki.BatchSize, Client: c.HTTP, Timeout: callTimeout, TenantID: c.Tenant,
			BackoffConfig:  backoff.BackoffConfig{MinBackoff: firstPause, MaxBackoff: longPause, MaxRetries: attempts},
			ExternalLabels: labelutil.LabelSet{LabelSet: labels},
		},
		log: c.Log, lost: c.Lost, queue: make(chan []line, c.Queue), done: make(chan struct{}),
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.lost == nil {
		m.lost = func() {}
	}
	return m, nil
}

// Put takes a final verdict, or drops it where too many wait or the mirror is closed. It
// never blocks.
func (m *Mirror) Put(v verdicts.Verdict) {
	lines := linesOf(v)
	if len(lines) == 0 {
		return
	}
	select {
	case <-m.done:
	default:
		select {
		case m.queue <- lines:
			return
		default:
		}
	}
	m.dropped.Add(1)
	m.lost()
}

// Pump hands lines to the server until the mirror is closed, and then what waits. It
// returns when everything was sent or given up, which may take several times as long as
// one push: a caller who is in a hurry leaves it behind.
func (m *Mirror) Pump() error {
	client, err := loki.NewWithLogger(m.config, (*clientLog)(m))
	if err != nil {
		return fmt.Errorf("loki: %w", err)
	}
	defer client.Stop()
	hand := func(lines []line) error {
		var errs []error
		for _, l := range lines {
			errs = append(errs, client.Handle(l.labels, l.at, l.text))
		}
		return errors.Join(errs...)
	}
	for {
		select {
		case lines := <-m.queue:
			if err := hand(lines); err != nil {
				return fmt.Errorf("loki: %w", err)
			}
			continue
		case <-m.done:
		}
		for {
			select {
			case lines := <-m.queue:
				if err := hand(lines); err != nil {
					return fmt.Errorf("loki: %w", err)
				}
				continue
			default:
			}
			return nil
		}
	}
}

// Close makes Pump end. It does not wait.
func (m *Mirror) Close() { m.once.Do(func() { close(m.done) }) }

// Stats are how many verdicts were dropped because too many waited, how many batches of
// lines were given up after some attempts, and how many verdicts wait.
type Stats struct {
	Dropped, Failed uint64
	Waiting         int
}

// Stats returns the counts since Open.
func (m *Mirror) Stats() Stats {
	return Stats{m.dropped.Load(), m.failed.Load(), len(m.queue)}
}

// clientLog is the logger of the client, through which alone it tells of its errors.
type clientLog Mirror

// Log takes keys and values in turn.
func (l *clientLog) Log(pairs ...any) error {
	said := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		said[fmt.Sprint(pairs[i])] = fmt.Sprint(pairs[i+1])
	}
	if said["level"] != "error" {
		l.log.Debug("the mirror will try again", "error", said["error"])
		return nil
	}
	l.failed.Add(1)
	l.lost()
	l.log.Warn("lines about verdicts were not written to Loki", "host", said["host"], "error", said["error"])
	return nil
}
