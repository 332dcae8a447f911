package prometheus

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// decode reads a block as the caller does: strictly, into the defaults.
func decode(text string) (Config, error) {
	cfg := DefaultConfig()
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	return cfg, d.Decode(&cfg)
}

func TestConfigIsWrittenAsInPrometheus(t *testing.T) {
	cfg, err := decode(`
url: http://example:9090/prometheus
labels: {service.version: app_version}
timeout: 10s
lag: 20s
maxSeries: 500
basic_auth: {username: assay, password: secret}
http_headers: {X-Scope-OrgID: {values: [shop]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	if cfg.Timeout.D() != 10*time.Second || cfg.MaxSeries != 500 || cfg.MaxSamples != 5_000_000 || cfg.Labels[analysis.AttrVersion] != "app_version" || !cfg.HTTP.FollowRedirects {
		t.Errorf("got %+v", cfg)
	}

	f := newFake(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "assay" || password != "secret" || r.Header.Get("X-Scope-OrgID") != "shop" || !strings.HasPrefix(r.URL.Path, "/prometheus/api/v1/") {
			t.Errorf("got %s %s %v", r.URL, user, r.Header)
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/prometheus")
		f.serve(w, r)
	}))
	defer server.Close()
	cfg.URL = server.URL + "/prometheus/"
	s, err := Open("prom", cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Rows(context.Background(), minuteQuery("v1")); err != nil {
		t.Error(err)
	}
	if s.Lag() != 20*time.Second || s.Concurrency() != 4 {
		t.Errorf("lag %v, %d questions at once", s.Lag(), s.Concurrency())
	}
}

func TestConfigFaults(t *testing.T) {
	for text, want := range map[string]string{
		"timeout: 1s":                                     "url: missing",
		"url: prometheus:9090":                            "no address",
		"url: http://":                                    "no address",
		"url: http://u:p@example":                         "credentials",
		"url: http://example#x":                           "fragment",
		"{url: 'http://e', labels: {a: ''}}":              "no label name",
		"{url: 'http://e', labels: {a: __name__}}":        "no label name",
		"{url: 'http://e', labels: {'': a}}":              "without a name",
		"{url: 'http://e', timeout: 0s}":                  "timeout",
		"{url: 'http://e', lag: -1s}":                     "lag",
		"{url: 'http://e', maxBytes: 0}":                  "must be positive",
		"{url: 'http://e', concurrency: 0}":               "between 1 and 100",
		"{url: 'http://e', uri: x}":                       "field uri not found",
		"{url: 'http://e', basic_auth: {user: x}}":        "field user not found",
		"{url: 'http://e', timeout: soon}":                "no duration",
		"{url: 'http://e', authorization: {type: basic}}": "basic_auth",
	} {
		cfg, err := decode(text)
		if err == nil {
			_, err = Open("prom", cfg)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
