package loki

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/sources"
)

var (
	errTooBig   = errors.New("the answer is over the limit of bytes")
	errRedirect = errors.New("redirected to another host")
	errNotJSON  = errors.New("the answer is no JSON: a login page, or cut off on its way")
	errNotLoki  = errors.New("the answer is JSON, but not as Loki answers")
	errNoLogs   = errors.New("it knows log lines and nothing else")
)

// A statusError is an HTTP status that is no success, with what the body says.
type statusError struct {
	code       int
	message    string
	page       bool // the body is a page for people
	retryAfter time.Duration
}

func (e *statusError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("HTTP status %d", e.code)
	}
	return fmt.Sprintf("HTTP status %d: %s", e.code, e.message)
}

// dial makes the client; the connections come with the first query.
func dial(name string, cfg Config) (*http.Client, error) {
	rt, err := config.NewRoundTripperFromConfig(cfg.HTTP, name)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: rt}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if !cfg.HTTP.FollowRedirects || len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			return fmt.Errorf("%w: %s://%s", errRedirect, req.URL.Scheme, req.URL.Host)
		}
		return nil
	}
	return client, nil
}

// longest is how long an address may become before the question goes into the body.
const longest = 4 << 10

// get asks the API and returns the body of a success: complete, valid JSON within the
// limit of bytes.
func (s *Source) get(ctx context.Context, path string, parameters url.Values) ([]byte, error) {
	u, err := url.Parse(s.root)
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/loki/api/v1/" + path
	fixed := u.Query() // of the configuration, sent with every query
	method, body := http.MethodGet, ""
	if text := parameters.Encode(); len(text) > longest {
		method, body = http.MethodPost, text
	} else {
		for name, values := range parameters {
			fixed[name] = values
		}
	}
	u.RawQuery = fixed.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	if s.tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.tenant)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	limit := s.maxBytes
	if resp.StatusCode/100 != 2 {
		limit = 64 << 10
	}
	answer, err := inflate(resp, limit)
	if resp.StatusCode/100 != 2 {
		return nil, failure(resp, answer) // however much of the body could be read
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid(answer) {
		return nil, errNotJSON
	}
	return answer, nil
}

// inflate returns at most limit inflated bytes of the body.
func inflate(resp *http.Response, limit int64) ([]byte, error) {
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

// failure reads what Loki says in plain words, and gateways in JSON.
func failure(resp *http.Response, body []byte) error {
	e := &statusError{code: resp.StatusCode, retryAfter: retryAfter(resp.Header)}
	var said struct{ Message, Error string }
	body = bytes.TrimSpace(body)
	switch {
	case json.Unmarshal(body, &said) == nil:
		if e.message = clip(said.Message); e.message == "" {
			e.message = clip(said.Error)
		}
	case bytes.HasPrefix(body, []byte("<")) || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		e.page = true
	default:
		e.message = clip(string(body))
	}
	return e
}

// retryAfter reads seconds or a date; a date is measured against the server's own clock.
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
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), 200)], ""))
}

// later are the statuses of 4xx that say nothing about the question: 499 is a question
// that a proxy, or the server itself, gave up.
var later = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499}

// fault classifies an error of one operation.
func (s *Source) fault(op string, err error) error {
	e := &sources.Error{Kind: sources.Unavailable, Source: s.name, Op: op, Err: err}
	var (
		known  *sources.Error
		status *statusError
	)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &status):
		e.RetryAfter = status.retryAfter
		if status.code/100 == 4 && !slices.Contains(later, status.code) {
			e.Kind = sources.Rejected
		}
	case errors.Is(err, errTooBig), errors.Is(err, errNotLoki):
		e.Kind = sources.Malformed
	case errors.Is(err, errRedirect):
		e.Kind = sources.Rejected
	}
	return e
}

// tooLarge reports whether an answer was larger than we or the server's own parts take,
// so that fewer lines at once may do.
func tooLarge(err error) bool {
	var status *statusError
	return errors.Is(err, errTooBig) || errors.As(err, &status) && status.code/100 == 5 && strings.Contains(status.message, "larger than max")
}
