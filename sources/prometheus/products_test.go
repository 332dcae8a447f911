package prometheus

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// What the products say when they do not answer, in their own words. To wait or
// not to wait decides whether a fold is lost, or asked for in vain until the
// deadline.
func TestWordsOfTheProducts(t *testing.T) {
	for _, test := range []struct {
		product string
		status  int
		kind    string // errorType
		says    string
		want    sources.Kind
	}{
		{"Prometheus: limit of samples", 422, "execution", "query processing would load too many samples into memory in query execution", sources.Rejected},
		{"Prometheus: out of time", 503, "timeout", "query timed out in query execution", sources.Unavailable},
		{"Prometheus: canceled", 499, "canceled", "query was canceled in query execution", sources.Unavailable},
		{"Prometheus: storage", 500, "internal", "expanding series: open block: no such file", sources.Unavailable},
		{"Prometheus: points", 400, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)", sources.Rejected},

		{
			"Thanos: a store is gone", 422, "execution",
			`expanding series: proxy Series(): rpc error: code = Aborted desc = fetch series for {prometheus="eu-1"} Addr: 10.0.0.7:10901 MinTime: 1 MaxTime: 2: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.7:10901: connect: connection refused"`,
			sources.Unavailable,
		},
		{
			"Thanos: a store is slow", 422, "execution",
			`expanding series: proxy Series(): rpc error: code = Aborted desc = receive series from Addr: 10.0.0.7:10901: rpc error: code = DeadlineExceeded desc = context deadline exceeded`,
			sources.Unavailable,
		},
		{
			"Thanos: limit of a store", 422, "execution",
			`expanding series: proxy Series(): rpc error: code = Aborted desc = fetch series: rpc error: code = ResourceExhausted desc = exceeded series limit: limit 50000 violated (got 50001)`,
			sources.Rejected,
		},

		{
			"Mimir: limit of series", 422, "execution",
			"the query exceeded the maximum number of series (limit: 100000 series) (err-mimir-max-series-per-query). Consider reducing the time range and/or number of series selected by the query.",
			sources.Rejected,
		},
		{"Mimir: length", 422, "bad_data", "the query time range exceeds the limit (query length: 800h0m0s, limit: 721h0m0s) (err-mimir-max-total-query-length)", sources.Rejected},
		{"Mimir: blocks", 422, "execution", "expanding series: failed to fetch some blocks (err-mimir-store-consistency-check-failed). The failed blocks are: 01H", sources.Unavailable},
		{"Mimir: ingesters", 422, "execution", "expanding series: too many unhealthy instances in the ring", sources.Unavailable},
		{"Mimir: queue", 429, "too_many_requests", "too many outstanding requests", sources.Unavailable},
		{"Mimir: no tenant", 401, "", "no org id", sources.Rejected},

		{"VictoriaMetrics: limit of series", 422, "422", "error when executing query: the number of matching timeseries exceeds 30000; either narrow down the search or increase -search.maxUniqueTimeseries", sources.Rejected},
		{"VictoriaMetrics: limit of samples", 422, "422", "cannot select more than -search.maxSamplesPerQuery=1000000000 samples; possible solutions: increase it", sources.Rejected},
		{"VictoriaMetrics: parse", 422, "422", `error when executing query="a{": cannot parse: unexpected end`, sources.Rejected},
		{"VictoriaMetrics: a node is gone", 503, "503", "error occured during search: cannot fetch query results from vmstorage nodes: cannot connect to vmstorage-2:8401", sources.Unavailable},
		{"VictoriaMetrics: a node is gone, as old versions say it", 422, "422", "cannot obtain response from vmstorage node vmstorage-2:8401: dial tcp: i/o timeout", sources.Unavailable},
		{"VictoriaMetrics: busy", 429, "429", "couldn't start executing the request in 10.000 seconds, since -search.maxConcurrentRequests=16 concurrent requests are executed", sources.Unavailable},
	} {
		t.Run(test.product, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				fmt.Fprintf(w, `{"status":"error","errorType":%q,"error":%q}`, test.kind, test.says)
			}))
			defer server.Close()
			_, err := open(t, server.URL).Rows(context.Background(), minuteQuery("v1"))
			if err == nil || sources.KindOf(err) != test.want {
				t.Errorf("got %v, want %v: %v", sources.KindOf(err), test.want, err)
			}
		})
	}
}

// A tenant, and the path below which each product has the API, are configuration;
// every question carries them, and none may be answered in part.
func TestTenantsAndPaths(t *testing.T) {
	for product, test := range map[string]struct{ path, config, header, want string }{
		"Mimir": {
			"/prometheus", "http_headers: {X-Scope-OrgID: {values: [\"team-a|team-b\"]}}", "X-Scope-OrgID", "team-a|team-b",
		},
		"VictoriaMetrics cluster": {"/select/7/prometheus", "", "", ""},
		"Thanos":                  {"", "authorization: {credentials: secret}", "Authorization", "Bearer secret"},
	} {
		t.Run(product, func(t *testing.T) {
			f := newFake(t, requests("a", "v1", "200", readings(0, 1, 60, 2)))
			asked := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked++
				path, below := strings.CutPrefix(r.URL.Path, test.path+"/api/v1/")
				if !below || r.Header.Get(test.header) != test.want {
					t.Errorf("%s with %s %q", r.URL.Path, test.header, r.Header.Get(test.header))
				}
				if r.FormValue("partial_response") != "false" || r.FormValue("deny_partial_response") != "1" {
					t.Errorf("a partial answer would do: %s", r.URL.RawQuery)
				}
				r.URL.Path = "/api/v1/" + path
				f.serve(w, r)
			}))
			defer server.Close()
			cfg := DefaultConfig()
			if err := yaml.Unmarshal([]byte("url: "+server.URL+test.path+"\n"+test.config), &cfg); err != nil {
				t.Fatal(err)
			}
			s, err := Open("prom", cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got, err := s.Rows(context.Background(), minuteQuery("v1")); err != nil || len(got.Rows) != 1 || got.Rows[0].Exposure != 1 {
				t.Errorf("%+v, %v", got, err)
			}
			if asked != 2 { // the counter and the starts
				t.Errorf("%d questions", asked)
			}
		})
	}
}

// A cluster of VictoriaMetrics says in the answer that nodes are missing, where its
// own flags overrule the wish for a whole one.
func TestPartialAnswersOfVictoriaMetrics(t *testing.T) {
	for _, test := range []struct {
		body string
		want bool
	}{
		{`{"status":"success","isPartial":true,"data":{"resultType":"matrix","result":[]}}`, true},
		{`{"status":"success","isPartial":false,"data":{"resultType":"matrix","result":[]}}`, false},
		{`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"a":"\"isPartial\":true"},"values":[]}]}}`, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, test.body) }))
		_, err := open(t, server.URL).Rows(context.Background(), minuteQuery("v1"))
		if partial := err != nil; partial != test.want || partial && sources.KindOf(err) != sources.Unavailable {
			t.Errorf("%s: %v", test.body, err)
		}
		server.Close()
	}
}

// Prometheus refuses a range query of more than 11,000 steps.
func TestRangeQueriesAreShort(t *testing.T) {
	f := newFake(t)
	ranges, most := 0, 0.0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/query_range" {
			step, err := strconv.ParseFloat(r.FormValue("step"), 64)
			if err != nil || step <= 0 {
				t.Errorf("step %q", r.FormValue("step"))
			}
			ranges++
			most = max(most, seconds(r.FormValue("end")).Sub(seconds(r.FormValue("start"))).Seconds()/step)
		}
		f.serve(w, r)
	}))
	defer server.Close()
	s := open(t, server.URL)
	const year = 365 * 24 * 3600
	if _, err := s.History(context.Background(), historyQuery(at(-year), at(0))); err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{-1, -60, -3600, -year} {
		if _, err := s.Seen(context.Background(), analysis.SeenQuery{Signal: errorRatio(), From: at(from), To: at(0)}); err != nil {
			t.Fatal(err)
		}
	}
	if ranges < 5 || most < 60 || most > 11_000 {
		t.Errorf("%d range queries, the longest of %v steps", ranges, most)
	}
}
