package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/release-assay/assay/analysis"
)

func TestLoadNothing(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n", "document": "---\n", "empty blocks": "kafka:\nsources:\nsinks:\n"} {
		got, err := parseProcess("assay.yaml", []byte(text))
		if err != nil || !reflect.DeepEqual(got, Defaults()) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := Load(""); err != nil || !reflect.DeepEqual(got, Defaults()) {
		t.Errorf("Load(\"\") = %+v, %v", got, err)
	}
	if _, err := Load(filepath.Join(t.TempDir(), "assay.yaml")); err == nil || !strings.HasSuffix(err.Error(), "no such file or directory") {
		t.Errorf("a missing file: %v", err)
	}
}

// What a file does not say stays as it is by default, also inside a block.
func TestLoad(t *testing.T) {
	t.Setenv("ASSAY_TEST_SECRET", "hunter2: ${env:NOT_LOOKED_AT}")
	dir := write(t, map[string]string{
		"user": "assay\n",
		"assay.yaml": `
listeners: {http: ":9000", otlp: {grpc: off}}
dataDir: data
kafka:
  brokers: ['kafka-0:9093', 'kafka-1:9093']
  tls: {caFile: ca.pem}
  sasl: {mechanism: SCRAM-SHA-512, username: "${file:user}", password: "${env:ASSAY_TEST_SECRET}"}
  topics: {deployments: shop.deployments}
store: {retention: 30d}
sinks: []
policies: [policies, /etc/assay/extra.yaml]
`,
	})
	got, err := Load(filepath.Join(dir, "assay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults()
	want.Listeners.HTTP, want.Listeners.OTLP.GRPC = ":9000", Off
	want.DataDir = filepath.Join(dir, "data")
	want.Kafka.Brokers = []string{"kafka-0:9093", "kafka-1:9093"}
	want.Kafka.TLS = &KafkaTLS{CAFile: filepath.Join(dir, "ca.pem")}
	want.Kafka.SASL = &SASL{Mechanism: ScramSHA512, Username: "assay", Password: "hunter2: ${env:NOT_LOOKED_AT}"}
	want.Kafka.Topics.Deployments = "shop.deployments"
	want.Store.Retention = analysis.Duration(30 * 24 * time.Hour)
	want.Sinks = []Sink{}
	want.references = map[string]string{"kafka.sasl.username": "${file:user}", "kafka.sasl.password": "${env:ASSAY_TEST_SECRET}"}
	want.Policies = []string{filepath.Join(dir, "policies"), "/etc/assay/extra.yaml"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v", got.Kafka.SASL, *got.Kafka.SASL), fmt.Sprintf("%#v", *got.Kafka.SASL)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("the password is printed: %s", printed)
		}
	}
}

// promOptions is what an adapter might ask for: options of its own, and a block
// that another package knows how to read.
type promOptions struct {
	URL     string                      `yaml:"url" need:"true"`
	Timeout time.Duration               `yaml:"timeout"`
	Labels  map[string]string           `yaml:"labels"`
	Limit   uint32                      `yaml:"limit"`
	HTTP    promconfig.HTTPClientConfig `yaml:"http"`
}

func sourceOf(t *testing.T, text string) (Source, error) {
	t.Helper()
	c, err := parseProcess("assay.yaml", []byte(text))
	return c.Sources["prom-main"], err
}

func TestSourceDecode(t *testing.T) {
	t.Setenv("ASSAY_TEST_SECRET", "hunter2")
	s, err := sourceOf(t, `
sources:
  prom-main:
    type: prometheus
    url: http://prometheus:9090
    labels: {service.version: version}
    limit: 7
    http:
      basic_auth: {username: assay, password: "${env:ASSAY_TEST_SECRET}"}
      proxy_url: http://proxy:3128
      tls_config: {insecure_skip_verify: true}
      http_headers: {X-Scope-OrgID: {values: [shop]}}
`)
	if err != nil {
		t.Fatal(err)
	}
	got := promOptions{Timeout: 30 * time.Second}
	if err := s.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if s.Name != "prom-main" || s.Kind != KindPrometheus {
		t.Errorf("source %q of kind %q", s.Name, s.Kind)
	}
	if got.URL != "http://prometheus:9090" || got.Timeout != 30*time.Second || got.Labels["service.version"] != "version" || got.Limit != 7 {
		t.Errorf("%+v", got)
	}
	// The foreign block has its own defaults (FollowRedirects).
	if h := got.HTTP; h.BasicAuth == nil || h.BasicAuth.Password != "hunter2" || h.ProxyURL.Host != "proxy:3128" || !h.TLSConfig.InsecureSkipVerify || !h.FollowRedirects ||
		h.HTTPHeaders.Headers["X-Scope-OrgID"].Values[0] != "shop" {
		t.Errorf("%+v", h)
	}
	// A source that nobody wrote about keeps its options.
	options := promOptions{URL: "as it was"}
	if err := Defaults().Sources[OTLPSource].Decode(&options); err != nil || options.URL != "as it was" {
		t.Errorf("%+v, %v", options, err)
	}
}

func TestSourceDecodeMistakes(t *testing.T) {
	t.Setenv("ASSAY_TEST_SECRET", "hunter2")
	for _, test := range []struct{ name, block, want string }{
		{
			"unknown key", "url: http://p:9090\n    time-out: 3s",
			"assay.yaml:5:5: sources.prom-main.time-out: unknown key (legal: http, labels, limit, timeout, url); did you mean timeout?",
		},
		{"needed key", "timeout: 3s", "assay.yaml:2:3: sources.prom-main.url: is required"},
		{
			"unknown key in a block that reads itself", "url: http://p:9090\n    http: {basic_auth: {user: assay}}",
			`assay.yaml:5:25: sources.prom-main.http.basic_auth.user: unknown key (legal: password, password_file, password_ref, username, username_file, username_ref)`,
		},
		{
			"unknown key under a key of any name", "url: http://p:9090\n    http: {http_headers: {X-Scope-OrgID: {value: [shop]}}}",
			`assay.yaml:5:43: sources.prom-main.http.http_headers.X-Scope-OrgID.value: unknown key (legal: files, secrets, values); did you mean values?`,
		},
		{
			"what such a block refuses", "url: http://p:9090\n    http: {bearer_token: a, bearer_token_file: b}",
			"assay.yaml:5:11: sources.prom-main.http: at most one of bearer_token & bearer_token_file must be configured",
		},
		{
			"what such a block refuses about a secret", `url: http://p:9090
    http: {proxy_url: "http://${env:ASSAY_TEST_SECRET}@[::1"}`,
			"assay.yaml:5:11: sources.prom-main.http: is not legal here once its references are resolved",
		},
		{"a number that does not fit", "url: http://p:9090\n    limit: -1", "assay.yaml:5:12: sources.prom-main.limit: line 5: cannot unmarshal !!int `-1` into uint32"},
	} {
		s, err := sourceOf(t, "sources:\n  prom-main:\n    type: prometheus\n    "+test.block+"\n")
		if err != nil {
			t.Fatal(err)
		}
		var into promOptions
		err = s.Decode(&into)
		var faults Faults
		if !errors.As(err, &faults) || err.Error() != test.want {
			t.Errorf("%s:\n%v, want\n%s", test.name, err, test.want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "2w": 336 * time.Hour, "0s": 0} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q = %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "-5m", "5", "1d12h", "1M", "1.5d", "99999999d", "4 w"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q = %v, want an error", text, got)
		}
	}
	for text, legal := range map[string]bool{"4w": true, "1m": true, "1M": true, "30d": true, "0d": false, "1.5h": false, "1h30m": false, "4 w": false, "w": false, "4W": false, "5s": false} {
		var d sloDuration
		if err := d.UnmarshalText([]byte(text)); (err == nil) != legal {
			t.Errorf("OpenSLO duration %q: %v", text, err)
		}
	}
}

func TestNearest(t *testing.T) {
	list := []string{"margin", "role", "signal", "sloRef", "tolerance"}
	for word, want := range map[string]string{
		"margn": "margin", "MARGIN": "margin", "sloref": "sloRef", "tolerence": "tolerance", "singal": "signal",
		"rol": "role", "x": "", "": "", "gates": "", strings.Repeat("role", 100): "",
	} {
		if got := nearest(word, list); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// everyType is what an adapter may ask for, beyond what the process file itself does.
type everyType struct {
	Whole   int8               `yaml:"whole"`
	Share   float64            `yaml:"share"`
	Yes     *bool              `yaml:"yes"`
	Text    sloDuration        `yaml:"text"`
	Any     map[string]any     `yaml:"any"`
	Lists   [][]string         `yaml:"lists"`
	Headers promconfig.Header  `yaml:"headers"`
	Free    promconfig.Headers `yaml:"free"`
	Later   later              `yaml:"later"`
	Plain   string
	_       string // no key
	Skipped string `yaml:"-"`
	inlined `yaml:",inline"`
}

type inlined struct {
	Inner string            `yaml:"inner" need:"true"`
	Rest  map[string]string `yaml:"-"`
}

func decodeText(text string, into any) error {
	docs := parseDocuments("adapter.yaml", []byte(text))
	docs[0].decode(docs[0].root, "", into)
	return docs[0].faults.err()
}

func TestDecodeEveryType(t *testing.T) {
	var got everyType
	err := decodeText(`
whole: -7
share: 1
yes: true
text: 4w
any: {a: [1, two]}
lists: [[a], []]
headers: {values: [x]}
free: {X-Any: {values: [y]}}
plain: 2026-11-23
inner: in
`, &got)
	yes := true
	want := everyType{
		Whole: -7, Share: 1, Yes: &yes, Text: "4w", Any: map[string]any{"a": []any{1, "two"}},
		Lists: [][]string{{"a"}, {}}, Headers: promconfig.Header{Values: []string{"x"}},
		Free: promconfig.Headers{Headers: map[string]promconfig.Header{"X-Any": {Values: []string{"y"}}}}, Plain: "2026-11-23", inlined: inlined{Inner: "in"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, %v, want\n%+v", got, err, want)
	}
	err = decodeText(`
whole: 128
share: .inf
yes: yes please
text: [4w]
lists: [~, b]
headers: {secret: [x]}
later: soon
hidden: x
skipped: x
`, &got)
	want2 := strings.TrimSpace(`
adapter.yaml:2:1: inner: is required
adapter.yaml:2:8: whole: 128 is too large a number
adapter.yaml:3:8: share: .inf is no finite number
adapter.yaml:4:6: yes: is the text "yes please", must be true or false
adapter.yaml:5:7: text: is a list, must be a text
adapter.yaml:6:9: lists[0]: is empty
adapter.yaml:6:12: lists[1]: is the text "b", must be a list
adapter.yaml:7:11: headers.secret: unknown key (legal: files, secrets, values); did you mean secrets?
adapter.yaml:8:1: later: is not known to this version
adapter.yaml:9:1: hidden: unknown key (legal: any, free, headers, inner, lists, plain, share, text, whole, yes)
adapter.yaml:10:1: skipped: unknown key (legal: any, free, headers, inner, lists, plain, share, text, whole, yes)`)
	if err == nil || err.Error() != want2 {
		t.Errorf("got\n%v\nwant\n%s", err, want2)
	}
}
