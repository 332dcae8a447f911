package exemplar

import (
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

// What goes wrong between a client and a trace store, beside the statuses of HTTP.
var (
	ErrTooBig   = errors.New("the answer is over the limit of bytes")
	ErrRedirect = errors.New("redirected to another host")
	ErrNotJSON  = errors.New("the answer is no JSON: a login page, a page of the user interface, or cut off on its way")
)

// A StatusError is an HTTP status that is no success. Body is what came with it, at most
// 64 KiB.
type StatusError struct {
	Code       int
	Body       []byte
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	if text := clean(string(e.Body)); text != "" {
		return fmt.Sprintf("HTTP status %d: %s", e.Code, text)
	}
	return fmt.Sprintf("HTTP status %d", e.Code)
}

// A Client asks one trace store.
type Client struct {
	source   string
	root     *url.URL
	timeout  time.Duration
	maxBytes int64
	header   http.Header // of every request
	http     *http.Client
}

// Dial makes a client of a validated configuration, under the name of its source; the
// connections come with the first question. The tenant is told in the given header.
func Dial(source string, c Config, tenant string) (*Client, error) {
	root, err := url.Parse(strings.TrimRight(c.URL, "/"))
	if err != nil {
		return nil, err
	}
	rt, err := config.NewRoundTripperFromConfig(c.HTTP, source)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: rt}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if !c.HTTP.FollowRedirects || len(via) > 3 || req.URL.Host != root.Host || req.URL.Scheme != root.Scheme {
			return fmt.Errorf("%w: %s://%s", ErrRedirect, req.URL.Scheme, req.URL.Host)
		}
		return nil
	}
	header := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}}
	if c.Tenant != "" {
		header.Set(tenant, c.Tenant)
	}
	return &Client{source: source, root: root, timeout: c.Timeout.D(), maxBytes: c.MaxBytes, header: header, http: client}, nil
}

// Question returns a context for one question with all its requests.
func (c *Client) Question(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}

// Get returns the body of an answer, which is JSON.
func (c *Client) Get(ctx context.Context, path string, parameters url.Values) ([]byte, error) {
	address := c.root.JoinPath(path)
	address.RawQuery = parameters.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = c.header.Clone()
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		body, _ := read(resp, 64<<10) // however much of it could be read
		return nil, &StatusError{Code: resp.StatusCode, Body: body, RetryAfter: retryAfter(resp.Header)}
	}
	body, err := read(resp, c.maxBytes)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, ErrNotJSON
	}
	return body, nil
}

// Close closes idle connections. A closed client opens new ones when asked.
func (c *Client) Close() { c.http.CloseIdleConnections() }

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
		return body[:limit], fmt.Errorf("%w (%d)", ErrTooBig, limit)
	}
	return body, nil
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

// clean makes a stranger's text fit for an error message.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.TrimSpace(text))
	return strings.ToValidUTF8(text[:min(len(text), 200)], "")
}

// later are the statuses of 4xx that say nothing about the question.
var later = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499}

// Fault classifies an error of one operation ("exemplars", "probe").
func (c *Client) Fault(op string, err error) error {
	var (
		known  *sources.Error
		status *StatusError
	)
	if errors.As(err, &known) {
		return err
	}
	e := &sources.Error{Kind: sources.Unavailable, Source: c.source, Op: op, Err: err}
	switch {
	case errors.As(err, &status):
		e.RetryAfter = status.RetryAfter
		if status.Code/100 == 4 && !slices.Contains(later, status.Code) || status.Code/100 == 3 {
			e.Kind = sources.Rejected
		}
	case errors.Is(err, ErrRedirect):
		e.Kind = sources.Rejected
	case errors.Is(err, ErrTooBig), errors.Is(err, ErrMalformed):
		e.Kind = sources.Malformed
	}
	return e
}

// Rejected returns an error about a question that cannot be put to the store.
func (c *Client) Rejected(op, format string, args ...any) error {
	return &sources.Error{Kind: sources.Rejected, Source: c.source, Op: op, Err: fmt.Errorf(format, args...)}
}
