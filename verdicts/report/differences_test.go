package report

import (
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

// withDifferences is a rollback behind which logs and traces name something.
func withDifferences(e Explanation) Explanation {
	none := analysis.Figure(math.NaN())
	v := &e.Verdict
	v.Differences = []analysis.Difference{
		{
			Key: "template:1f", Kind: analysis.DiffTemplate, What: "new error line, 24 requests of the canary and none of the baseline wrote it", Service: "checkout",
			Template: "payment of <*> refused: card <redacted> expired", Severity: analysis.SeverityError, New: true, Found: true, E: 81234, Canary: 24, Ratio: none,
			Pods: []string{"checkout-7d9f-x2"}, OfPods: 3, Since: at(4), TraceID: trace,
			Example: &analysis.Line{Time: at(3).Add(12 * time.Second), Pod: "checkout-7d9f-x2", Severity: analysis.SeverityError, Text: "payment of 7714 refused: card <redacted> expired", TraceID: trace},
		},
		{
			Key: "edge:payment", Kind: analysis.DiffEdge, What: "checkout POST /orders calls payment POST /charge: 12 % of calls fail, 0.1 % in the baseline; 2 retries for each failure", Service: "checkout",
			Edge:  &analysis.Edge{Service: "checkout", Operation: "POST /orders", Callee: "payment", CalleeOperation: "POST /charge"},
			Found: true, E: 412, Canary: 120, Baseline: 11, Ratio: 98, Pods: []string{"checkout-7d9f-x2", "checkout-7d9f-x3", "checkout-7d9f-x4"}, OfPods: 3, Since: at(5),
		},
		{Key: "operation:cart", Kind: analysis.DiffOperation, What: "checkout GET /cart: gone", Edge: &analysis.Edge{Service: "checkout", Operation: "GET /cart"}, Gone: true, E: none, Baseline: 900, Ratio: none},
		{Key: "volume", Kind: analysis.DiffVolume, What: "4.2 lines a request, 1.3 in the baseline; the canary writes DEBUG", E: none, Canary: 4200, Baseline: 11700, Ratio: 3.2},
		{Key: "template:2c", Kind: analysis.DiffTemplate, What: "new info line, as the deployment declares", Template: "cart migrated <*>", Muted: true, E: none, Ratio: none},
	}
	v.NotRead = analysis.NotRead{Skipped: 81200, Late: 12, Truncated: 3, Dropped: 40, Broken: 1, Share: 0.125}
	v.Exemplars = []analysis.Exemplar{
		{TraceID: trace, Kind: analysis.ExemplarFailed, Arm: analysis.Canary, For: "edge:payment", Source: "jaeger", Spans: 14, Errors: 2, Services: []string{"checkout", "payment"}, Duration: analysis.Duration(812 * time.Millisecond)},
		{Kind: analysis.ExemplarSlow, Arm: analysis.Canary, For: "operation:cart", Source: "jaeger", Missing: analysis.ExemplarUnavailable},
	}
	e.Links = Links([]Place{
		{Name: "logs", Kind: "loki", URL: "http://loki:3100", Labels: map[string]string{analysis.AttrService: "app"}},
		{Name: "jaeger", Kind: "jaeger", URL: "https://user:hunter2@jaeger.example/ui/"},
		{Name: "tempo", Kind: "tempo", URL: "http://tempo:3200"},
		{Name: "prom", Kind: "prometheus", URL: "http://prom:9090"},
	}, e.Plan, *v)
	return e
}

// Every sort of link opens what the difference says, in its time, and no credentials.
func TestLinks(t *testing.T) {
	e := withDifferences(pages()["rollback"])
	got := map[string]url.Values{}
	for _, l := range e.Links {
		u, err := url.Parse(l.URL)
		if err != nil || strings.Contains(l.URL, "hunter2") {
			t.Errorf("%v: %s", err, l.URL)
		}
		got[l.For+" "+l.Name+" "+u.Scheme+"://"+u.Host+u.Path] = u.Query()
	}
	for where, want := range map[string]map[string]string{
		"template:1f logs http://loki:3100/loki/api/v1/query_range": {
			"query": `{app="checkout"} | service_version="1.5.0" |= "refused: card" |= "payment of" |= "expired"`,
			"start": "1793674860000000000", "end": "1793675400000000000",
		},
		"template:1f jaeger https://jaeger.example/ui/trace/" + trace: {},
		"template:1f tempo http://tempo:3200/api/v2/traces/" + trace:  {},
		"edge:payment jaeger https://jaeger.example/ui/search":        {"service": "checkout", "operation": "POST /orders"},
		"edge:payment tempo http://tempo:3200/api/search": {
			"q":     `{resource.service.name="checkout" && resource.service.version="1.5.0" && name="POST /orders"} >> {resource.service.name="payment"}`,
			"start": "1793674920", "end": "1793675401",
		},
		"operation:cart tempo http://tempo:3200/api/search":        {"q": `{resource.service.name="checkout" && resource.service.version="1.4.9" && name="GET /cart"}`, "start": "1793674680"},
		trace + " jaeger https://jaeger.example/ui/trace/" + trace: {},
	} {
		q, there := got[where]
		if !there {
			t.Errorf("no link %s among %v", where, e.Links)
			continue
		}
		for key, value := range want {
			if q.Get(key) != value {
				t.Errorf("%s: %s is %q, want %q", where, key, q.Get(key), value)
			}
		}
	}
	for _, l := range e.Links {
		if l.For == "template:2c" || l.For == "volume" || l.Name == "prom" {
			t.Errorf("a link that shows nothing: %+v", l)
		}
	}
}

// Addresses that are none, and ids that are no ids, make no link.
func TestLinksOfNothing(t *testing.T) {
	e := withDifferences(pages()["rollback"])
	e.Verdict.Differences[0].TraceID = "../../admin"
	e.Verdict.Exemplars[0].TraceID = "' OR 1"
	for _, p := range []Place{{Name: "a", Kind: "jaeger", URL: "javascript:alert(1)"}, {Name: "b", Kind: "tempo", URL: "%zz"}, {Name: "c", Kind: "loki"}} {
		if got := Links([]Place{p}, e.Plan, e.Verdict); len(got) != 0 {
			t.Errorf("%+v: %v", p, got)
		}
	}
	for _, l := range Links([]Place{{Name: "jaeger", Kind: "jaeger", URL: "http://jaeger"}}, nil, e.Verdict) {
		t.Errorf("a link without a plan or an id: %+v", l)
	}
}

// What a template has in common is looked for in its longest parts.
func TestConstant(t *testing.T) {
	for template, want := range map[string]string{
		"":                                    "",
		"<*>":                                 "",
		"a <*> b":                             "",
		"user <*> not found":                  "not found/user",
		"one <*> three <ip> five5 <*> seven7": "seven7/three/five5",
		"count < 10 <*>":                      "count < 10",
	} {
		if got := strings.Join(constant(template), "/"); got != want {
			t.Errorf("%q: %q, want %q", template, got, want)
		}
	}
}

// TestHostileDifferences: lines, operations and pods are anybody's words.
func TestHostileDifferences(t *testing.T) {
	evil := "x\x1b]0;owned\a\x1b[2J\nROLLBACK, final   forged\r\u202egnp\u2066\u2028\x00\x9b31m\xff" + strings.Repeat("W", 500)
	e := withDifferences(pages()["rollback"])
	for i := range e.Verdict.Differences {
		d := &e.Verdict.Differences[i]
		d.What, d.Template, d.TraceID, d.Kind, d.Service = evil, evil, evil, analysis.DifferenceKind(evil), evil
		d.Pods, d.Example = []string{evil, evil}, &analysis.Line{Text: evil, Pod: evil, TraceID: evil}
	}
	for i := range e.Verdict.Exemplars {
		x := &e.Verdict.Exemplars[i]
		x.TraceID, x.Kind, x.For, x.Services = evil, analysis.ExemplarKind(evil), evil, []string{evil}
	}
	e.Links = nil
	page := explain(t, e)
	checkPage(t, "hostile", page)
	if strings.Contains(page, "\nROLLBACK, final   forged") {
		t.Error("a line of the page is forged")
	}
	e.Links = []Link{{For: e.Verdict.Differences[0].Key, Name: evil, URL: evil}}
	if strings.ContainsAny(explain(t, e), "\x1b\a\r\x00\u009b\u202e\u2066\u2028") {
		t.Error("a link reaches the terminal as it is")
	}
}
