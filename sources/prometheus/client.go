package prometheus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

var errPartial = errors.New("the answer is partial: some of the storage nodes did not answer")

// dial makes the client; the connections come with the first query.
func dial(name string, cfg Config, clock *skew) (v1.API, *http.Client, error) {
	client, err := httpquery.Client(name, cfg.HTTP)
	if err != nil {
		return nil, nil, err
	}
	client.Transport = &guard{next: client.Transport, maxBytes: cfg.MaxBytes, clock: clock}
	address := cfg.URL
	for _, whole := range []string{"partial_response=false", "deny_partial_response=1"} { // Thanos; VictoriaMetrics; others ignore them
		name, _, _ := strings.Cut(whole, "=")
		if u, err := url.Parse(address); err != nil || u.Query().Has(name) {
			continue
		}
		sep := "?"
		if strings.Contains(address, "?") {
			sep = "&"
		}
		address += sep + whole
	}
	c, err := api.NewClient(api.Config{Address: address, Client: client})
	if err != nil {
		return nil, nil, err
	}
	return v1.NewAPI(c), client, nil
}

// isPartial is how an answer of a VictoriaMetrics cluster begins that lacks the
// series of nodes which are down. The API client would not notice.
var isPartial = regexp.MustCompile(`^\s*\{\s*"status"\s*:\s*"success"\s*,\s*"isPartial"\s*:\s*true`)

// A guard limits what comes back and gives every failure a type: the API client
// above it would read a body of any size and keep no status.
type guard struct {
	next     http.RoundTripper
	maxBytes int64
	clock    *skew
}

// RoundTrip returns a response whose body is complete, valid JSON, or an error.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("Accept-Encoding", "gzip")
	sent := g.clock.now()
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	g.clock.measure(sent, resp.Header)
	switch {
	case resp.StatusCode/100 == 3:
		return resp, nil // CheckRedirect decides
	case req.Method == http.MethodPost && (resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented):
		return resp, nil // a proxy that refuses POST: the API client asks again by GET
	}
	body, err := httpquery.Answer(resp, g.maxBytes)
	if err != nil {
		return nil, err
	}
	if isPartial.Match(body[:min(len(body), 128)]) {
		return nil, errPartial
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Del("Content-Encoding")
	return resp, nil
}

// CloseIdleConnections is found by http.Client.
func (g *guard) CloseIdleConnections() {
	if c, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// fault classifies an error of one operation. Prometheus' own error type goes
// before the status, because proxies give it other numbers.
func (s *Source) fault(op string, err error) error {
	var (
		known  *sources.Error
		status *httpquery.StatusError
		answer *v1.Error
	)
	if errors.As(err, &known) {
		return err
	}
	e := httpquery.Fault(s.name, op, err)
	switch {
	case errors.As(err, &status):
		if said := saidOf(status); e.Kind == sources.Rejected && isOutage(said.Error) {
			e.Kind = sources.Unavailable
		} else if e.Kind == sources.Rejected {
			e.Kind = kindOf(said.ErrorType, sources.Rejected)
		}
	case errors.As(err, &answer): // 200 with an error in it, or JSON of another shape
		if !isOutage(answer.Msg) {
			e.Kind = kindOf(answer.Type, sources.Malformed)
		}
	}
	return e
}

// said is how Prometheus refuses.
type said struct {
	ErrorType v1.ErrorType
	Error     string
}

// saidOf is empty where it is not Prometheus that refuses.
func saidOf(e *httpquery.StatusError) (words said) {
	if err := json.Unmarshal(e.Body, &words); err != nil {
		return said{}
	}
	return words
}

// isOutage reports whether the text of an execution error (422) is about something
// behind the server that did not answer: a store of Thanos while partial answers
// are refused, the ring or the blocks of Mimir, a vmstorage. To ask again later may
// work. A limit is none, whoever reports it: the question is too large, and stays so.
func isOutage(text string) bool {
	text = strings.ToLower(text)
	has := func(words []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	return has(outages) && !has(limits)
}

var (
	outages = []string{
		"code = unavailable", "code = deadlineexceeded", "code = aborted", "code = canceled", "context deadline exceeded", "context canceled",
		"connection refused", "connection reset", "connection error", "no such host", "i/o timeout", "broken pipe", "unexpected eof",
		"err-mimir-store-consistency-check-failed", "unhealthy instances in the ring", "live replicas required", "empty ring",
		"vmstorage", "timeout exceeded", "query timed out",
	}
	limits = []string{"limit", "too many samples", "maximum", "err-mimir-max", "cannot select more than", "exceeds -search.", "exceeds `-search.", "narrow down"}
)

// kindOf returns what Prometheus' word for an error means, or otherwise.
func kindOf(t v1.ErrorType, otherwise sources.Kind) sources.Kind {
	switch t {
	case v1.ErrTimeout, v1.ErrCanceled, v1.ErrServer, "internal", "unavailable", "too_many_requests":
		return sources.Unavailable
	case v1.ErrBadData, v1.ErrExec:
		return sources.Rejected
	}
	return otherwise
}

// wrong returns a Malformed error about the answer to a query.
func (s *Source) wrong(op, query, format string, args ...any) error {
	return &sources.Error{Kind: sources.Malformed, Source: s.name, Op: op, Err: fmt.Errorf(format+", in the answer to %.300s", append(args, query)...)}
}

// rejected returns a Rejected error about a question.
func (s *Source) rejected(op string, err error) error {
	return &sources.Error{Kind: sources.Rejected, Source: s.name, Op: op, Err: err}
}
