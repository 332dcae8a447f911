package exemplar

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/redact"
)

// Config says where a trace store is and how much of it is read. Credentials, TLS, proxy
// and headers are written as for a Prometheus (basic_auth,
// authorization, tls_config, http_headers, ...), on the same level. Decode into
// DefaultConfig.
type Config struct {
	// URL is the root of the API, with the prefix that the server is served under.
	URL string `yaml:"url"`
	// Tenant is sent with every request: to Tempo as X-Scope-OrgID (several are joined by
	// |), to Jaeger as x-tenant.
	Tenant string `yaml:"tenant,omitempty"`
	// Timeout is for one question with all its requests.
	Timeout analysis.Duration `yaml:"timeout,omitempty"`
	// SearchDepth is how many traces a search returns, of which some are shown. Where
	// none of them shows what is asked, ten times as many are searched once.
	SearchDepth int `yaml:"searchDepth,omitempty"`
	// MaxBytes limits the inflated body of one answer.
	MaxBytes int64 `yaml:"maxBytes,omitempty"`

	HTTP config.HTTPClientConfig `yaml:",inline"`

	// Redactor hides secrets in what is shown; nil knows the built-in rules.
	Redactor *redact.Redactor `yaml:"-"`
}

// DefaultConfig returns the configuration that a user starts from; only the URL has to
// be set.
func DefaultConfig() Config {
	return Config{
		Timeout:     analysis.Duration(10 * time.Second),
		SearchDepth: 100,
		MaxBytes:    32 << 20,
		HTTP:        config.DefaultHTTPClientConfig,
	}
}

// MaxDepth is the most traces that a search may return.
const MaxDepth = 1000

// Validate returns every fault of c, joined. The example is an address as users write it.
func (c Config) Validate(example string) error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch u, err := url.Parse(c.URL); {
	case c.URL == "":
		fault("url: missing (write %s)", example)
	case err != nil:
		fault("url: %w", err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fault("url: %q is no address (write %s)", c.URL, example)
	case u.User != nil:
		fault("url: credentials in the address end up in logs (use basic_auth)")
	case u.Fragment != "" || u.RawQuery != "":
		fault("url: %q has parameters or a fragment", c.URL)
	}
	if strings.ContainsFunc(c.Tenant, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		fault("tenant: %q is no tenant: letters, digits and punctuation only", c.Tenant)
	}
	if c.Timeout <= 0 {
		fault("timeout: %v is not positive", c.Timeout)
	}
	if c.SearchDepth < 1 || c.SearchDepth > MaxDepth {
		fault("searchDepth: %d is not between 1 and %d", c.SearchDepth, MaxDepth)
	}
	if c.MaxBytes <= 0 {
		fault("maxBytes: %d is not positive", c.MaxBytes)
	}
	if err := c.HTTP.Validate(); err != nil { // works on our copy
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
