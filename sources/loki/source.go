package loki

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
)

// A Source answers from one Loki. It keeps no state between questions and is safe for
// concurrent use.
type Source struct {
	name      string
	root      string
	tenant    string
	labels    naming
	redact    *redact.Redactor
	timeout   time.Duration
	lag       time.Duration
	atOnce    int
	pageLines int
	maxLines  int
	maxSeries int
	maxBytes  int64
	client    *http.Client
}

var _ sources.LineSampler = (*Source)(nil)

// Open returns the source that cfg describes, under the name that signals call it by.
// It makes no network call.
func Open(name string, cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	client, err := httpquery.Client(name, cfg.HTTP)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	if cfg.Redactor == nil {
		cfg.Redactor = &redact.Redactor{}
	}
	return &Source{
		name: name, root: cfg.URL, tenant: cfg.Tenant, labels: newNaming(cfg), redact: cfg.Redactor, timeout: cfg.Timeout.D(), lag: cfg.Lag.D(), atOnce: cfg.Concurrency,
		pageLines: cfg.PageLines, maxLines: cfg.MaxLines, maxSeries: cfg.MaxSeries, maxBytes: cfg.MaxBytes, client: client,
	}, nil
}

// Lag returns how far the server is behind the moment at which lines are written.
func (s *Source) Lag() time.Duration { return s.lag }

// Concurrency returns how many questions the server may be asked at once.
func (s *Source) Concurrency() int { return s.atOnce }

// Probe asks the server for the value of a literal, which needs no data, and returns
// nil when it answers.
func (s *Source) Probe(ctx context.Context) error {
	i := &inquiry{Source: s, op: "probe"}
	_, err := i.instant(ctx, "vector(1)", time.Time{})
	return err
}

// Distribution rejects the question: lines have no histogram.
func (s *Source) Distribution(context.Context, analysis.DistributionQuery) (analysis.Histogram, error) {
	return analysis.Histogram{}, s.rejected("distribution", errNoLogs)
}

// Close closes idle connections. A closed source opens new ones when asked.
func (s *Source) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// rejected returns a Rejected error about a question.
func (s *Source) rejected(op string, err error) error {
	return &sources.Error{Kind: sources.Rejected, Source: s.name, Op: op, Err: err}
}

// wrong returns a Malformed error about the answer to a query.
func (s *Source) wrong(op, query, format string, args ...any) error {
	return &sources.Error{Kind: sources.Malformed, Source: s.name, Op: op, Err: fmt.Errorf(format+", in the answer to %.300s", append(args, query)...)}
}
