package loki

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/redact"
)

// Config says where the server is and how its labels are called. Credentials, TLS,
// proxy and headers are written as in Prometheus' configuration (basic_auth,
// authorization, oauth2, tls_config, http_headers, ...), on the same level. Decode into
// DefaultConfig.
type Config struct {
	// URL is the root of the server, to which /loki/api/v1/query is added.
	URL string `yaml:"url"`
	// Tenant is sent as X-Scope-OrgID; several are joined by |.
	Tenant string `yaml:"tenant,omitempty"`
	// Labels maps an attribute to the label, or the key of the structured metadata, that
	// carries it, where that is not the attribute's name with underscores for dots.
	Labels map[string]string `yaml:"labels,omitempty"`
	// Streams are attributes whose labels are known to be labels of streams, besides
	// service.name, which always is: a question is narrowed by them in the index. What is
	// named here and is in the structured metadata finds nothing.
	Streams []string `yaml:"streams,omitempty"`
	// Timeout is for one question with all its queries, and for each query of a history.
	Timeout analysis.Duration `yaml:"timeout,omitempty"`
	// Lag is how far the server is behind the moment at which lines are written.
	Lag analysis.Duration `yaml:"lag,omitempty"`
	// Concurrency is how many questions are under way at once while all is well.
	Concurrency int `yaml:"concurrency,omitempty"`
	// PageLines is how many lines are asked for at once, at most the server's
	// max_entries_limit_per_query.
	PageLines int `yaml:"pageLines,omitempty"`
	// MaxLines and MaxSeries limit what one question may return, MaxBytes the inflated
	// body of one answer, and four times as much the lines of one question.
	MaxLines  int   `yaml:"maxLines,omitempty"`
	MaxSeries int   `yaml:"maxSeries,omitempty"`
	MaxBytes  int64 `yaml:"maxBytes,omitempty"`

	HTTP config.HTTPClientConfig `yaml:",inline"`

	// Redactor hides secrets in lines; nil: with the built-in rules.
	Redactor *redact.Redactor `yaml:"-"`
}

// DefaultConfig returns the configuration that a user starts from; only the URL has to
// be set.
func DefaultConfig() Config {
	return Config{
		Timeout:     analysis.Duration(30 * time.Second),
		Lag:         analysis.Duration(analysis.PullLag),
		Concurrency: 4,
		PageLines:   5_000,
		MaxLines:    100_000,
		MaxSeries:   5_000,
		MaxBytes:    16 << 20,
		HTTP:        config.DefaultHTTPClientConfig,
	}
}

// labelName is what LogQL reads as a name.
var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fault("url: missing (write http://loki:3100)")
	case err != nil:
		fault("url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("url: %q is no address (write http://loki:3100)", c.URL)
	case u.User != nil:
		fault("url: credentials in the address end up in logs (use basic_auth)")
	case u.Fragment != "":
		fault("url: %q has a fragment", c.URL)
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/loki/api/v1"):
		fault("url: %q: write the root of the server, without /loki/api/v1", c.URL)
	}
	if strings.ContainsFunc(c.Tenant, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		fault("tenant: %q is no tenant: letters, digits and punctuation only", c.Tenant)
	}
	for attr, label := range c.Labels {
		if attr == "" {
			fault("labels: an attribute without a name")
		}
		if !labelName.MatchString(label) {
			fault("labels: %s: %q is no label name", attr, label)
		}
	}
	for _, attr := range c.Streams {
		if attr == "" {
			fault("streams: an attribute without a name")
		}
	}
	if c.Timeout <= 0 {
		fault("timeout: %v is not positive", c.Timeout)
	}
	if c.Lag < 0 {
		fault("lag: %v is negative", c.Lag)
	}
	if c.Concurrency < 1 || c.Concurrency > 100 {
		fault("concurrency: %d is not between 1 and 100", c.Concurrency)
	}
	if c.PageLines < 2 {
		fault("pageLines: %d is less than 2", c.PageLines)
	}
	if c.MaxLines <= 0 || c.MaxSeries <= 0 || c.MaxBytes <= 0 {
		fault("maxLines, maxSeries and maxBytes: %d, %d and %d must be positive", c.MaxLines, c.MaxSeries, c.MaxBytes)
	}
	if err := c.HTTP.Validate(); err != nil { // works on our copy
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
