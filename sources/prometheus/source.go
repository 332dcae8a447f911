package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/release-assay/assay/sources"
)

// A Source answers from one Prometheus server. It keeps no state between
// questions and is safe for concurrent use.
type Source struct {
	name       string
	labels     naming
	timeout    time.Duration
	lag        time.Duration
	maxSeries  int
	maxSamples int
	api        v1.API
	client     *http.Client
}

var _ sources.Source = (*Source)(nil)

// Open returns the source that cfg describes, under the name that signals call it
// by. It makes no network call.
func Open(name string, cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	api, client, err := dial(name, cfg)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	return &Source{
		name: name, labels: cfg.Labels, timeout: cfg.Timeout.D(), lag: cfg.Lag.D(),
		maxSeries: cfg.MaxSeries, maxSamples: cfg.MaxSamples, api: api, client: client,
	}, nil
}

// Lag returns how far the server is behind the moment that its samples describe.
func (s *Source) Lag() time.Duration { return s.lag }

// Probe asks the server for the value of a literal, which needs no data, and
// returns nil when it answers.
func (s *Source) Probe(ctx context.Context) error {
	_, _, _, err := s.api.Query(ctx, "vector(1)", time.Time{})
	if err != nil {
		return s.fault("probe", err)
	}
	return nil
}

// Close closes idle connections. A closed source opens new ones when asked.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}
