package prometheus

import (
	"bytes"
	"compress/gzip"
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

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/sources"
)

var (
	errTooBig   = errors.New("the answer is over the limit of bytes")
	errRedirect = errors.New("redirected to another host")
	errNotJSON  = errors.New("the answer is no JSON: a login page, or cut off on its way")
	errPartial  = errors.New("the answer is partial: some of the storage nodes did not answer")
)

// A statusError is an HTTP status that is no success, with what the body says.
type statusError struct {
	code       int
	errorType  string // Prometheus' own word, if it is an answer of Prometheus
	message    string
	outage     bool // of something behind the server
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("HTTP status %d", e.code)
	}
	return fmt.Sprintf("HTTP status %d: %s", e.code, e.message)
}

// dial makes the client; the connections come with the first query.
func dial(name string, cfg Config, clock *skew) (v1.API, *http.Client, error) {
	rt, err := config.NewRoundTripperFromConfig(cfg.HTTP, name)
	if err != nil {
		return nil, nil, err
	}
	client := &http.Client{Transport: &guard{next: rt, maxBytes: cfg.MaxBytes, clock: clock}}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if !cfg.HTTP.FollowRedirects || len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			return fmt.Errorf("%w: %s://%s", errRedirect, req.URL.Scheme, req.URL.Host)
		}
		return nil
	}
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
	defer resp.Body.Close()
	limit := g.maxBytes
	if resp.StatusCode/100 != 2 {
		limit = 64 << 10
	}
	body, err := read(resp, limit)
	if resp.StatusCode/100 != 2 {
		return nil, failure(resp, body) // however much of the body could be read
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, errNotJSON
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

// read returns at most limit inflated bytes of the body.
func read(resp *http.Response, limit int64) ([]byte, error) {
	var r io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("inflate the answer: %w", err)
		}
		r = z
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return body, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return body[:limit], fmt.Errorf("%w (%d)", errTooBig, limit)
	}
	return body, nil
}

func failure(resp *http.Response, body []byte) error {
	e := &statusError{code: resp.StatusCode, retryAfter: retryAfter(resp.Header)}
	var said struct{ ErrorType, Error string }
	if json.Unmarshal(body, &said) == nil {
		e.errorType, e.message, e.outage = said.ErrorType, clip(said.Error), isOutage(said.Error)
	}
	return e
}

// retryAfter reads seconds or a date; a date is measured against the server's own
// clock.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	at, err := http.ParseTime(text)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// clip makes a stranger's text fit for an error message.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// fault classifies an error of one operation. Prometheus' own error type goes
// before the status, because proxies give it other numbers.
func (s *Source) fault(op string, err error) error {
	e := &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: err}
	var (
		known  *sources.Error
		status *statusError
		answer *v1.Error
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &status):
		e.RetryAfter = status.retryAfter
		if status.code/100 == 4 && !slices.Contains(later, status.code) && !status.outage {
			e.Kind = kindOf(v1.ErrorType(status.errorType), sources.Rejected)
		}
	case errors.Is(err, errTooBig):
		e.Kind = sources.Malformed
	case errors.Is(err, errRedirect):
		e.Kind = sources.Rejected
	case errors.As(err, &answer): // 200 with an error in it, or JSON of another shape
		if !isOutage(answer.Msg) {
			e.Kind = kindOf(answer.Type, sources.Malformed)
		}
	}
	return e
}

// later are the statuses of 4xx that say nothing about the question: 499 is a
// question that a proxy, or the server itself, gave up.
var later = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499}

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
