package prometheus

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// An index answers for names and label values, as Prometheus does.
type index struct {
	*httptest.Server
	series []map[string]string
	asked  []string
}

func newIndex(t *testing.T, series ...map[string]string) *index {
	x := &index{series: series}
	x.Server = httptest.NewServer(x)
	t.Cleanup(x.Close)
	return x
}

func (x *index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.asked = append(x.asked, r.URL.Path)
	label, of := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/values"), "/api/v1/label/")
	found := []string{}
	for _, s := range x.series {
		if match := r.FormValue("match[]"); match != "" {
			expr, err := parser.ParseExpr(match)
			if err != nil || !selects(expr.(*parser.VectorSelector), s) {
				continue
			}
		}
		for name, value := range s {
			switch {
			case of && name == label:
				found = append(found, value)
			case !of:
				found = append(found, name)
			}
		}
	}
	json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": unique(append(found, found...))})
}

func look(t *testing.T, url string, q CatalogueQuery, change ...func(*Config)) Catalogue {
	t.Helper()
	q.From, q.To = at(-3600), at(0)
	c, err := open(t, url, change...).Catalogue(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// counterOf makes the series of a counter: the same for each version, one for each
// way to end.
func counterOf(metric string, ended string, statuses, versions []string, rest ...string) (out []map[string]string) {
	for _, version := range versions {
		for _, status := range statuses {
			s := pairs(append([]string{model.MetricNameLabel, metric, ended, status, "instance", "a:80"}, rest...)...)
			if version != "" {
				s["version"] = version
			}
			out = append(out, s)
		}
	}
	return out
}

var (
	bothVersions = []string{"1.4.9", "1.5.0"}
	theirs       = CatalogueQuery{Service: "checkout", Versions: bothVersions}
)

// The counters that can be judged come first, whatever else there is.
func TestCatalogue(t *testing.T) {
	x := newIndex(t, slices.Concat(
		counterOf("promhttp_metric_handler_requests_total", "code", []string{"200", "500"}, bothVersions, "app", "checkout"),
		counterOf("http_client_requests_total", "code", []string{"200", "500"}, bothVersions, "app", "checkout"),
		counterOf("http_requests_total", "code", []string{"200", "404", "500"}, bothVersions, "app", "checkout"),
		counterOf("orders_total", "currency", []string{"EUR"}, bothVersions, "app", "checkout"),
		counterOf("queue_length", "queue", []string{"a"}, bothVersions, "app", "checkout"),
		counterOf("job:requests_total", "code", []string{"200"}, bothVersions, "app", "checkout"),
		counterOf("http_requests_total", "code", []string{"200"}, []string{"7"}, "app", "basket"),
	)...)
	c := look(t, x.URL, theirs)
	if c.Label != "app" || c.Service != "checkout" || c.TargetInfo != "" || c.Omitted != 0 {
		t.Errorf("%+v", c)
	}
	var names []string
	for _, counter := range c.Counters {
		names = append(names, counter.Metric)
	}
	if want := []string{"http_requests_total", "http_client_requests_total", "promhttp_metric_handler_requests_total", "orders_total"}; !slices.Equal(names, want) {
		t.Errorf("counters %v, want %v", names, want)
	}
	best := c.Counters[0]
	if !best.Judgeable || best.VersionLabel != "version" || !slices.Equal(best.Versions, bothVersions) || best.StatusLabel != "code" || best.Bad != `http_requests_total{code=~"5.."}` {
		t.Errorf("%+v", best)
	}
	if last := c.Counters[3]; last.Judgeable || last.Bad != "" || last.StatusLabel != "" {
		t.Errorf("%+v", last)
	}
}

// The label that carries the versions is preferred to one that is only called so.
func TestCatalogueFindsTheLabelOfTheVersion(t *testing.T) {
	for what, test := range map[string]struct {
		labels     []string
		want       string
		judgeable  bool
		seen       []string
		targetInfo string
	}{
		"its value":         {[]string{"version", "v2", "image_tag", "1.5.0"}, "image_tag", false, []string{"1.5.0"}, ""},
		"its name":          {[]string{"http_version", "1.1", "release", "r7"}, "release", false, []string{"r7"}, ""},
		"a name of its own": {[]string{"shop_version", "1.5.0"}, "shop_version", false, []string{"1.5.0"}, ""},
		"none":              {[]string{"zone", "1.5.0"}, "", false, nil, "service_version"},
	} {
		series := counterOf("requests_total", "code", []string{"200", "500"}, []string{""}, append([]string{"service", "checkout"}, test.labels...)...)
		if test.targetInfo != "" {
			series = append(series, pairs(model.MetricNameLabel, "target_info", "service", "checkout", test.targetInfo, "1.5.0"))
		}
		c := look(t, newIndex(t, series...).URL, theirs)
		if got := c.Counters[0]; got.VersionLabel != test.want || got.Judgeable != test.judgeable || !slices.Equal(got.Versions, test.seen) || c.TargetInfo != test.targetInfo {
			t.Errorf("%s: %+v, target_info %q", what, got, c.TargetInfo)
		}
	}
	one := theirs
	one.Versions = bothVersions[1:]
	if c := look(t, newIndex(t, counterOf("requests_total", "code", []string{"200"}, bothVersions, "job", "shop/checkout")...).URL, one); !c.Counters[0].Judgeable || c.Service != "shop/checkout" {
		t.Errorf("one version of a job: %+v", c)
	}
}

// Of several labels that name the service, the one with the best counters is taken;
// the configured one is asked for first.
func TestCatalogueChoosesAmongLabels(t *testing.T) {
	x := newIndex(t, slices.Concat(
		counterOf("builds_total", "result", []string{"success"}, []string{""}, "service", "checkout"),
		counterOf("requests_total", "code", []string{"200", "500"}, bothVersions, "app", "checkout"),
	)...)
	if c := look(t, x.URL, theirs); c.Label != "app" {
		t.Errorf("label %q", c.Label)
	}
	x = newIndex(t, counterOf("requests_total", "code", []string{"200"}, bothVersions, "team_service", "checkout")...)
	if c := look(t, x.URL, theirs, func(c *Config) { c.Labels = map[string]string{"service.name": "team_service"} }); c.Label != "team_service" {
		t.Errorf("configured: %q", c.Label)
	}
}

func TestCatalogueOfAnUnknownService(t *testing.T) {
	var series []map[string]string
	for _, name := range []string{"basket", "check-out", "checkout-worker", "payment", "a", "b", "c", "d", "e", "f", "g"} {
		series = append(series, pairs(model.MetricNameLabel, "up", "job", name))
	}
	c := look(t, newIndex(t, series...).URL, theirs)
	if c.Label != "" || len(c.Counters) != 0 || len(c.Near) != catalogueNear || c.Near[0] != "check-out" || c.Near[1] != "checkout-worker" {
		t.Errorf("%+v", c)
	}
}

// However many counters there are, so many questions are asked and no more.
func TestCatalogueIsBounded(t *testing.T) {
	var series []map[string]string
	for i := range 400 {
		series = append(series, counterOf(fmt.Sprintf("c%d_total", i), "code", []string{"200"}, bothVersions, "app", "checkout")...)
	}
	x := newIndex(t, series...)
	c := look(t, x.URL, theirs)
	if len(c.Counters) != catalogueCounters || c.Omitted != 400-catalogueCounters {
		t.Errorf("%d counters, %d omitted", len(c.Counters), c.Omitted)
	}
	// Each label that a service may have; the names; of each counter its labels, its version, its status.
	if most := len(serviceNames) + 1 + 3*catalogueCounters; len(x.asked) > most {
		t.Errorf("%d questions, want at most %d", len(x.asked), most)
	}
}

func TestFailing(t *testing.T) {
	for _, test := range []struct{ label, values, want string }{
		{"code", "200 404", "5.."},
		{"status_class", "2xx 5xx", "5.."},
		{"grpc_code", "OK", "DataLoss|DeadlineExceeded|Internal|Unavailable|Unimplemented|Unknown"},
		{"code", "OK NotFound", "DataLoss|DeadlineExceeded|Internal|Unavailable|Unimplemented|Unknown"},
		{"rpc_response_status_code", "OK", "DATA_LOSS|DEADLINE_EXCEEDED|INTERNAL|UNAVAILABLE|UNIMPLEMENTED|UNKNOWN"},
		{"rpc_grpc_status_code", "0 5", "2|4|12|13|14|15"},
		{"code", "0 5", ""},
		{"outcome", "SUCCESS CLIENT_ERROR SERVER_ERROR", "SERVER_ERROR"},
		{"result", "success", "error|failure|failed"},
		{"success", "true false", "false"},
		{"status", "active idle", ""},
		{"status", "", ""},
	} {
		if got := failing(test.label, strings.Fields(test.values)); got != test.want {
			t.Errorf("%s: %s: %q, want %q", test.label, test.values, got, test.want)
		}
	}
}

// What is wrong with an address is told apart.
func TestDiagnose(t *testing.T) {
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	for _, test := range []struct {
		what, url string
		want      Trouble
	}{
		{"nothing there", closed.URL, Unreachable},
		{"down", answer(503, "no backend"), Unreachable},
		{"no credentials", answer(401, "Unauthorized"), Denied},
		{"other credentials", answer(403, "{}"), Denied},
		{"a login page", answer(200, "<html>sign in</html>"), NotAnAPI},
		{"another program", answer(404, "page not found"), NotAnAPI},
		{"another API", answer(200, `{"users":[]}`), NotAnAPI},
		{"a refusal", answer(422, `{"status":"error","errorType":"execution","error":"too many samples"}`), Refused},
	} {
		err := open(t, test.url, func(c *Config) { c.Timeout = 1e9 }).Probe(t.Context())
		if err == nil || Diagnose(err) != test.want {
			t.Errorf("%s: %d of %v, want %d", test.what, Diagnose(err), err, test.want)
		}
	}
}
