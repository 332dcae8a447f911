package jaeger

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/exemplar"
	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
)

// Config says where Jaeger's query service is.
type Config = exemplar.Config

// DefaultConfig returns the configuration that a user starts from; only the URL has to
// be set.
func DefaultConfig() Config { return exemplar.DefaultConfig() }

// A Source finds traces in one Jaeger. It is safe for concurrent use.
type Source struct {
	name     string
	depth    int
	client   *exemplar.Client
	redactor *redact.Redactor
}

var _ sources.ExemplarSource = (*Source)(nil)

// Open returns the source that cfg describes. It makes no network call.
func Open(name string, cfg Config) (*Source, error) {
	if err := cfg.Validate("http://jaeger:16686"); err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	client, err := exemplar.Dial(name, cfg, "x-tenant")
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", name, err)
	}
	return &Source{name: name, depth: cfg.SearchDepth, client: client, redactor: cfg.Redactor}, nil
}

const (
	opExemplars = "exemplars"
	opProbe     = "probe"
)

// margin is how much earlier than the window a span may begin that ends in it. Jaeger
// searches by when spans begin.
const margin = time.Minute

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

var traceID = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)

func (s *Source) byID(ctx context.Context, q analysis.ExemplarQuery) ([]*exemplar.Trace, error) {
	if !traceID.MatchString(q.TraceID) {
		return nil, s.client.Rejected(opExemplars, "%q is no trace id (32 hexadecimal digits)", q.TraceID)
	}
	id := strings.ToLower(q.TraceID)
	traces, err := s.ask(ctx, "/api/v3/traces/"+id, nil)
	if err != nil {
		return nil, err
	}
	traces = slices.DeleteFunc(traces, func(t *exemplar.Trace) bool {
		t.Until(q.To)
		return t.ID != id || t.Empty()
	})
	return traces, nil
}

// search reads the newest traces of the services that are asked about and returns those
// that show what is asked.
func (s *Source) search(ctx context.Context, q analysis.ExemplarQuery) ([]*exemplar.Trace, error) {
	var services []string
	for _, m := range q.Matches {
		if m.Name == analysis.AttrService {
			services = m.Values
		}
	}
	switch {
	case len(services) == 0:
		return nil, s.client.Rejected(opExemplars, "Jaeger searches the traces of a service, and the question names none")
	case q.From.IsZero() || !q.To.After(q.From):
		return nil, s.client.Rejected(opExemplars, "the window from %v to %v is empty", q.From, q.To)
	case !slices.Contains([]analysis.ExemplarKind{analysis.ExemplarFailed, analysis.ExemplarSlow, analysis.ExemplarTypical}, q.Kind):
		return nil, s.client.Rejected(opExemplars, "no traces are searched of the kind %q", q.Kind)
	}
	// Jaeger gives the newest first, and does not look for errors: of a busy service in
	// which few requests fail, more have to be read.
	for depth := s.depth; ; depth = min(10*depth, exemplar.MaxDepth) {
		found, err := s.searchDeep(ctx, services, q, depth)
		if err != nil || len(found) > 0 || depth > s.depth || depth == exemplar.MaxDepth {
			return found, err
		}
	}
}

func (s *Source) searchDeep(ctx context.Context, services []string, q analysis.ExemplarQuery, depth int) ([]*exemplar.Trace, error) {
	byID := map[string]*exemplar.Trace{}
	var candidates []exemplar.Candidate
	for _, service := range services {
		traces, err := s.find(ctx, service, q, depth)
		if err != nil {
			return nil, err
		}
		for _, t := range traces {
			t.Until(q.To)
			if c, ok := t.Candidate(q); ok {
				byID[t.ID] = t
				candidates = append(candidates, c)
			}
		}
	}
	chosen := exemplar.Choose(q.Kind, candidates)
	var out []*exemplar.Trace
	for _, c := range chosen[:min(len(chosen), max(1, q.Limit))] {
		out = append(out, byID[c.ID])
	}
	return out, nil
}

// find reads the traces of a service; fewer where they are too large.
func (s *Source) find(ctx context.Context, service string, q analysis.ExemplarQuery, depth int) ([]*exemplar.Trace, error) {
	for ; ; depth /= 4 {
		number := strconv.Itoa(depth)
		traces, err := s.ask(ctx, "/api/v3/traces", url.Values{
			"query.service_name":   {service},
			"query.start_time_min": {q.From.Add(-margin).UTC().Format(time.RFC3339Nano)},
			"query.start_time_max": {q.To.UTC().Format(time.RFC3339Nano)},
			"query.num_traces":     {number}, // up to Jaeger 2.14 or so
			"query.search_depth":   {number}, // since then
		})
		if errors.Is(err, httpquery.ErrTooBig) && depth >= 4 {
			continue
		}
		return traces, err
	}
}

// ask returns the traces of an answer, none where Jaeger says that there are none.
func (s *Source) ask(ctx context.Context, path string, parameters url.Values) ([]*exemplar.Trace, error) {
	body, err := s.client.Get(ctx, path, parameters)
	if isNone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parse(body)
}

// isNone reports whether an error is Jaeger's word for "no traces". A plain 404 is none:
// it is of a proxy, or the address is wrong.
func isNone(err error) bool {
	var status *httpquery.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusNotFound {
		return false
	}
	var said struct {
		Error struct {
			HTTPCode int `json:"httpCode"`
		} `json:"error"`
	}
	return json.Unmarshal(status.Body, &said) == nil && said.Error.HTTPCode == http.StatusNotFound
}

// parse unwraps OTLP from {"result": …}.
func parse(body []byte) ([]*exemplar.Trace, error) {
	var wrapped struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&wrapped); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", exemplar.ErrMalformed, err)
	}
	if len(wrapped.Result) == 0 || wrapped.Result[0] != '{' {
		return nil, fmt.Errorf("%w: there is no \"result\"", exemplar.ErrMalformed)
	}
	return exemplar.Read(wrapped.Result)
}

// Probe asks for the names of the services and returns nil when Jaeger answers.
func (s *Source) Probe(ctx context.Context) error {
	ctx, cancel := s.client.Question(ctx)
	defer cancel()
	body, err := s.client.Get(ctx, "/api/v3/services", nil)
	if err != nil {
		return s.client.Fault(opProbe, err)
	}
	var said struct{ Services []string }
	if err := json.Unmarshal(body, &said); err != nil {
		return s.client.Fault(opProbe, fmt.Errorf("%w: not as Jaeger answers: %w", exemplar.ErrMalformed, err))
	}
	return nil
}

// Close closes idle connections. A closed source opens new ones when asked.
func (s *Source) Close() error {
	s.client.Close()
	return nil
}
