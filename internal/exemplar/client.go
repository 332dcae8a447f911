package exemplar

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

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
	client, err := httpquery.Client(source, c.HTTP)
	if err != nil {
		return nil, err
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
	return httpquery.Answer(resp, c.maxBytes)
}

// Close closes idle connections. A closed client opens new ones when asked.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Fault classifies an error of one operation ("exemplars", "probe").
func (c *Client) Fault(op string, err error) error {
	if known := (*sources.Error)(nil); errors.As(err, &known) {
		return err
	}
	e := httpquery.Fault(c.source, op, err)
	if errors.Is(err, ErrMalformed) {
		e.Kind = sources.Malformed
	}
	return e
}

// Rejected returns an error about a question that cannot be put to the store.
func (c *Client) Rejected(op, format string, args ...any) error {
	return &sources.Error{Kind: sources.Rejected, Source: c.source, Op: op, Err: fmt.Errorf(format, args...)}
}
