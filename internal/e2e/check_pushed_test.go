package e2e

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// TestCheckPushed lets `assay check` ask a running server about telemetry that was
// pushed to it: three hours of one service, of which two versions run, and a gauge.
func TestCheckPushed(t *testing.T) {
	demo := demoPolicy(t)
	a := serve(t, setup{noKafka: true})
	worldOf(t, 20*time.Minute, "healthy").push(a)
	a.pushGauge("queue.length")

	const (
		bad   = "{metric: http.server.request.duration, field: count, where: {http.response.status_code: [5xx]}}"
		total = "{metric: http.server.request.duration, field: count}"
		at    = ": error: spec.indicator.spec.ratioMetric."
	)
	instead := func(of, spec string) string {
		text := strings.Replace(demo, "spec: "+of+"\n", "spec: "+spec+"\n", 1)
		if text == demo {
			t.Fatalf("the demo's policy has no longer %s", of)
		}
		return text
	}
	for _, test := range []struct {
		name     string
		policies string
		flags    []string
		code     int
		says     []string // on stdout
		silent   []string // not on stdout
	}{
		{
			name: "both arms are there", policies: demo, code: 0,
			says:   []string{"checkout-demo  checkout-availability  critical   otlp    checkout  1.4.9, 1.5.0  4     15s      3h2"},
			silent: []string{"error", "warning", "not checked"},
		},
		{
			name: "a name that nobody sends", policies: instead(total, "{metric: http.server.requests.duration, field: count}"), code: 2,
			says: []string{"policy.yaml:19:28" + at + "total.metricSource.spec.metric: nothing was pushed to source otlp in the last hour that is called http.server.requests.duration; names like it: http.server.request.duration, "},
		},
		{
			name: "a gauge", policies: instead(total, "{metric: queue.length, field: value}"), code: 2,
			says: []string{"policy.yaml:19:28" + at + "total.metricSource.spec.metric: queue.length is a gauge, or a sum that may fall (as its senders say), and only a counter can be counted"},
		},
		{
			name: "the value of a histogram", policies: instead(total, "{metric: http.server.request.duration, field: value}"), code: 2,
			says: []string{"policy.yaml:19:28" + at + "total.metricSource.spec.metric: http.server.request.duration is a histogram (as its senders say), which has no single value: count its observations by field: count"},
		},
		{
			name: "the count of a counter", policies: instead(total, "{metric: process.cpu.time, field: count}"), code: 2,
			says: []string{"total.metricSource.spec.metric: process.cpu.time is a counter (as its senders say), which has no count: write field: value"},
		},
		{
			name: "an attribute that no data point carries", policies: instead(bad, strings.Replace(bad, "http.response.status_code", "http.status_code", 1)), code: 2,
			says: []string{"policy.yaml:15:28" + at + "bad.metricSource.spec.metric: no data point of http.server.request.duration carries the attribute http.status_code (attributes: http.response.status_code)"},
		},
		{
			name: "a service that is called otherwise", policies: strings.Replace(demo, "{service: checkout,", "{service: basket,", 1), code: 2,
			says: []string{"there are series, but none of basket in demo-*; seen: services cart, checkout, payment; environments demo-healthy"},
		},
		{
			name: "a cohort that nothing plays", policies: strings.Replace(demo, `baseline: {matchers: {service.version: "${baseline.version}"}`, `baseline: {matchers: {k8s.pod.label.track: stable}`, 1), code: 2,
			says: []string{`nothing plays the baseline: no series in the last hour has deployment.environment.name="demo-healthy", k8s.pod.label.track="stable"`},
		},
		{
			name: "what the server has not been told of", policies: instead(bad, strings.Replace(bad, "5xx", "'500'", 1)), code: 0,
			says:   []string{"weak", "policy.yaml:19:28: warning: spec.indicator.spec.ratioMetric.total.metricSource.spec.metric: the server keeps no history of it, because no objective that it has loaded names this signal"},
			silent: []string{"error"},
		},
		{
			name: "no server", policies: demo, flags: []string{"--server", "http://" + freeAddress(t)}, code: 0,
			says:   []string{"not checked: telemetry is pushed to a running server", "warning: ", "start 'assay serve', or name it with --server"},
			silent: []string{"error"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			a.in(t)
			a.write("checked/policy.yaml", test.policies)
			o := a.run(append([]string{"check", "-q", a.dir + "/checked/policy.yaml"}, test.flags...)...)
			if o.code != test.code {
				t.Errorf("want code %d, got %v", test.code, o)
			}
			for _, want := range test.says {
				if !strings.Contains(o.out, want) {
					t.Errorf("want %q, got %v", want, o)
				}
			}
			for _, not := range test.silent {
				if strings.Contains(o.out, not) {
					t.Errorf("unwanted %q in %v", not, o)
				}
			}
		})
	}
}

// pushGauge sends one reading of a gauge of the service checkout.
func (a *assay) pushGauge(name string) {
	a.t.Helper()
	metrics := pmetric.NewMetrics()
	resource := metrics.ResourceMetrics().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "checkout")
	m := resource.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	point := m.SetEmptyGauge().DataPoints().AppendEmpty()
	point.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	point.SetIntValue(3)
	body, err := pmetricotlp.NewExportRequestFromMetrics(metrics).MarshalProto()
	if err != nil {
		a.t.Fatal(err)
	}
	res, err := http.Post("http://"+a.otlpHTTP+"/v1/metrics", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		a.t.Fatalf("the gauge is refused: %s", res.Status)
	}
}
