package prometheus

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"github.com/release-assay/assay/analysis"
)

// Config says where the server is and how its labels are called. Credentials, TLS,
// proxy and headers are written as in Prometheus' own configuration
// (basic_auth, authorization, oauth2, tls_config, http_headers, ...), on the same
// level. Decode into DefaultConfig.
type Config struct {
	// URL is the root of the API, to which /api/v1/query is added. Parameters in
	// it are sent with every query (Thanos: ?dedup=true).
	URL string `yaml:"url"`
	// Labels maps an attribute to the label that carries it, where that is not
	// the attribute's name with underscores for dots. k8s.pod.name is "pod" and
	// service.instance.id is "instance" unless it says otherwise.
	Labels map[string]string `yaml:"labels,omitempty"`
	// Timeout is for one question with all its queries, and for each query of a
	// history.
	Timeout analysis.Duration `yaml:"timeout,omitempty"`
	// Lag is how far the server is behind the moment that its samples describe.
	Lag analysis.Duration `yaml:"lag,omitempty"`
	// Concurrency is how many questions are under way at once while all is well.
	// Prometheus itself evaluates 20 queries at a time, of everybody.
	Concurrency int `yaml:"concurrency,omitempty"`
	// MaxSeries and MaxSamples limit what one question may return, MaxBytes the
	// inflated body of one answer. A history stops at MaxSamples and is shorter.
	MaxSeries  int   `yaml:"maxSeries,omitempty"`
	MaxSamples int   `yaml:"maxSamples,omitempty"`
	MaxBytes   int64 `yaml:"maxBytes,omitempty"`

	HTTP config.HTTPClientConfig `yaml:",inline"`

	// Now is the clock that the server's is held against; nil is that of the host.
	Now func() time.Time `yaml:"-"`
}

// DefaultConfig returns the configuration that a user starts from; only the URL
// has to be set.
func DefaultConfig() Config {
	return Config{
		Timeout:     analysis.Duration(30 * time.Second),
		Lag:         analysis.Duration(analysis.PullLag),
		Concurrency: 4,
		MaxSeries:   10_000,
		MaxSamples:  5_000_000,
		MaxBytes:    16 << 20,
		HTTP:        config.DefaultHTTPClientConfig,
	}
}

// Validate returns every fault of c, joined.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fault("url: missing (write http://prometheus:9090)")
	case err != nil:
		fault("url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("url: %q is no address (write http://prometheus:9090)", c.URL)
	case u.User != nil:
		fault("url: credentials in the address end up in logs (use basic_auth)")
	case u.Fragment != "":
		fault("url: %q has a fragment", c.URL)
	}
	for attr, label := range c.Labels {
		if attr == "" {
			fault("labels: an attribute without a name")
		}
		if !model.UTF8Validation.IsValidLabelName(label) || label == model.MetricNameLabel {
			fault("labels: %s: %q is no label name", attr, label)
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
	if c.MaxSeries <= 0 || c.MaxSamples <= 0 || c.MaxBytes <= 0 {
		fault("maxSeries, maxSamples and maxBytes: %d, %d and %d must be positive", c.MaxSeries, c.MaxSamples, c.MaxBytes)
	}
	if err := c.HTTP.Validate(); err != nil { // works on our copy
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
