package tempo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/exemplar"
	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
)

// Config says where Tempo's query frontend is.
type Config = exemplar.Config

// DefaultConfig returns the configuration that a user starts from; only the URL has to
// be set.
func DefaultConfig() Config { return exemplar.DefaultConfig() }

// A Source finds traces in one Tempo. It is safe for concurrent use.
type Source struct {
	name     string
	depth    int
	client   *exemplar.Client
	redactor *redact.Redactor
}

var _ sources.ExemplarSource = (*Source)(nil)

// Open returns the source that cfg describes. It makes no network call.
func Open(name string, cfg Config) (*Source, error) {
	if err := cfg.Validate("http://tempo:3200"); err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	client, err := exemplar.Dial(name, cfg, "X-Scope-OrgID")
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	return &Source{name: name, depth: cfg.SearchDepth, client: client, redactor: cfg.Redactor}, nil
}

const (
	opExemplars = "exemplars"
	opProbe     = "probe"
)

// spare is how many more traces are read than are asked for, where some of those that the
// search named do not fit after all.
const spare = 5

// Exemplars implements sources.ExemplarSource.
func (s *Source) Exemplars(ctx context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	ctx, cancel := s.client.Question(ctx)
	defer cancel()
	var found []*exemplar.Trace
	var err error
	if q.TraceID != "" {
		q.Kind = cmp.Or(q.Kind, analysis.ExemplarNamed)
		found, err = s.byID(ctx, q)
	} else {
		found, err = s.search(ctx, q)
	}
	if err == nil {
		var out []analysis.Exemplar
		if out, err = exemplar.Show(s.name, q.Kind, found, q.MaxBytes, s.redactor); err == nil {
			return out, nil
		}
	}
	return nil, s.client.Fault(opExemplars, err)
}

// byID returns the trace of an id, if it is there.
func (s *Source) byID(ctx context.Context, q analysis.ExemplarQuery) ([]*exemplar.Trace, error) {
	id, err := fullID(q.TraceID)
	if err != nil || len(q.TraceID) != len(id) {
		return nil, s.client.Rejected(opExemplars, "%q is no trace id (32 hexadecimal digits)", q.TraceID)
	}
	body, err := s.client.Get(ctx, "/api/v2/traces/"+id, nil)
	var status *httpquery.StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	traces, err := parseTrace(body)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(traces, func(t *exemplar.Trace) bool {
		t.Until(q.To)
		return t.ID != id || t.Empty()
	}), nil
}

func (s *Source) search(ctx context.Context, q analysis.ExemplarQuery) ([]*exemplar.Trace, error) {
	if q.From.IsZero() || !q.To.After(q.From) {
		return nil, s.client.Rejected(opExemplars, "the window from %v to %v is empty", q.From, q.To)
	}
	query, err := traceQL(q)
	if err != nil {
		return nil, s.client.Rejected(opExemplars, "%w", err)
	}
	body, err := s.client.Get(ctx, "/api/search", url.Values{
		"q": {query}, "limit": {strconv.Itoa(s.depth)}, "spss": {"1"},
		"start": {strconv.FormatInt(q.From.Unix(), 10)}, "end": {strconv.FormatInt(q.To.Unix()+1, 10)}, // whole seconds
	})
	if err != nil {
		return nil, err
	}
	candidates, err := parseSearch(body, q.Kind)
	if err != nil {
		return nil, err
	}
	limit := max(1, q.Limit)
	chosen := exemplar.Choose(q.Kind, candidates)
	var out []*exemplar.Trace
	for _, c := range chosen[:min(len(chosen), limit+spare)] {
		traces, err := s.byID(ctx, analysis.ExemplarQuery{TraceID: c.ID, To: q.To})
		if err != nil {
			return nil, err
		}
		for _, t := range traces {
			if c, ok := t.Candidate(q); ok && len(exemplar.Choose(q.Kind, []exemplar.Candidate{c})) > 0 {
				out = append(out, t)
			}
		}
		if len(out) == limit {
			break
		}
	}
	return out, nil
}

// Probe asks for the build of the server and returns nil when Tempo answers.
func (s *Source) Probe(ctx context.Context) error {
	ctx, cancel := s.client.Question(ctx)
	defer cancel()
	body, err := s.client.Get(ctx, "/api/status/buildinfo", nil)
	if err != nil {
		return s.client.Fault(opProbe, err)
	}
	var said struct{ Version string }
	if err := json.Unmarshal(body, &said); err != nil || said.Version == "" {
		return s.client.Fault(opProbe, fmt.Errorf("%w: not as Tempo answers", exemplar.ErrMalformed))
	}
	return nil
}

// Close closes idle connections. A closed source opens new ones when asked.
func (s *Source) Close() error {
	s.client.Close()
	return nil
}
