package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/sources"
)

// A Source answers from one Prometheus server. It keeps no state between
// questions and is safe for concurrent use.
type Source struct {
	name       string
	labels     naming
	timeout    time.Duration
	lag        time.Duration
	atOnce     int
	maxSeries  int
	maxSamples int
	api        v1.API
	client     *http.Client
	clock      *skew
}

var _ sources.Source = (*Source)(nil)

// Open returns the source that cfg describes, under the name that signals call it
// by. It makes no network call.
func Open(name string, cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	clock := newSkew(cfg.Now)
	api, client, err := dial(name, cfg, clock)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	return &Source{
		name: name, labels: cfg.Labels, timeout: cfg.Timeout.D(), lag: cfg.Lag.D(), atOnce: cfg.Concurrency,
		maxSeries: cfg.MaxSeries, maxSamples: cfg.MaxSamples, api: api, client: client, clock: clock,
	}, nil
}

// Lag returns how far the server is behind the moment that its samples describe.
func (s *Source) Lag() time.Duration { return s.lag }

// Skew returns how far the server's clock is ahead of ours, at least, as its newest
// answer told; 0 where none told.
func (s *Source) Skew() time.Duration { return s.clock.latest().D() }

// Concurrency returns how many questions the server may be asked at once.
func (s *Source) Concurrency() int { return s.atOnce }

// Probe asks the server for the value of a literal, which needs no data, and
// returns nil when it answers.
func (s *Source) Probe(ctx context.Context) error {
	v, _, _, err := s.api.Query(ctx, "vector(1)", time.Time{})
	if err != nil {
		return s.fault("probe", err)
	}
	if _, ok := v.(model.Vector); !ok {
		return &sources.Error{Kind: sources.Malformed, Source: s.name, Op: "probe", Err: errNotPrometheus}
	}
	return nil
}

// Close closes idle connections. A closed source opens new ones when asked.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
