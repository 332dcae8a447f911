package prometheus

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// attacks are values that ended a string, a matcher or a query somewhere.
var attacks = []string{
	`"} or vector(0) #`, `"}[5m]) or up{a="`, "`", "`} or vector(1) #", `'`, `\`, `\"`, `\\"}`, "a\nb", "a\r\n#b", "\x00", "\u2028", "\ufeff", "\u202e",
	`.*`, `.+`, `a|b`, `(?i)a`, `^a$`, `[a-z]`, `a{2}`, `\Qa\E`, `\d`, `$1`, `${version}`, `{{.version}}`, `%s`, `%22`, `&#34;`, `v1.2.3+build`, `"`,
	"ümlaut", "日本", "😀", " ", "  v1", "v1 ", "__name__", `{__name__=~".+"}`, `@ 0`, `offset -1d`, `sum`, `bool`, `Inf`,
}

// checkBound fails unless the query of a counter with the given values of the version
// is a bare selector that selects exactly what was bound.
func checkBound(t interface{ Fatalf(string, ...any) }, values []string) {
	checkBoundTo(t, &analysis.Selector{Metric: "http_requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}}, values)
}

func checkBoundTo(t interface{ Fatalf(string, ...any) }, counter *analysis.Selector, values []string) {
	n := naming{}
	ms, err := n.bind(counter, []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}, {Name: analysis.AttrVersion, Values: values}})
	refused := slices.ContainsFunc(values, func(v string) bool {
		return v == "" || len(v) > maxValue || !utf8.ValidString(v) || strings.ContainsRune(v, '\uFFFD')
	})
	if (err != nil) != refused {
		t.Fatalf("bind %q: %v", values, err)
	}
	if refused {
		return
	}
	text, err := render(ms, time.Minute)
	if err != nil {
		t.Fatalf("render %q: %v", values, err)
	}
	expr, err := parser.ParseExpr(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	matrix, ok := expr.(*parser.MatrixSelector)
	if !ok || matrix.Range != time.Minute {
		t.Fatalf("%s is no selector of a minute", text)
	}
	// Whatever the counter and the service bind stands there once, and beside it only
	// the matcher of the version.
	rest := matrix.VectorSelector.(*parser.VectorSelector).LabelMatchers
	bound := []labels.Matcher{{Name: "__name__", Value: counter.Metric}, {Name: "service_name", Value: "checkout"}}
	for _, c := range counter.Conditions {
		bound = append(bound, labels.Matcher{Name: c.Name, Type: matchTypes[c.Op], Value: c.Values[0]})
	}
	for _, want := range bound {
		at := slices.IndexFunc(rest, func(m *labels.Matcher) bool {
			return m.Name == want.Name && m.Type == want.Type && m.Value == want.Value
		})
		if at < 0 {
			t.Fatalf("%s has no matcher %s", text, want.String())
		}
		rest = slices.Delete(rest, at, at+1)
	}
	if len(rest) != 1 || rest[0].Name != "service_version" {
		t.Fatalf("%s has the matchers %v beside what was bound", text, rest)
	}
	version := rest[0]
	if len(values) == 1 && version.Type != labels.MatchEqual || len(values) > 1 && version.Type != labels.MatchRegexp {
		t.Fatalf("%s: matcher of the version is %v", text, version)
	}
	others := append([]string{"", "v1", "other", "checkout", strings.Join(values, "|"), strings.Join(values, "")}, attacks...)
	for _, v := range values {
		others = append(others, v+"x", "x"+v, v[1:], strings.ToUpper(v))
		if !version.Matches(v) {
			t.Fatalf("%s does not match %q", text, v)
		}
	}
	for _, v := range others {
		if utf8.ValidString(v) && version.Matches(v) && !slices.Contains(values, v) {
			t.Fatalf("%s matches %q, which was not bound (%q)", text, v, values)
		}
	}
}

func TestInjection(t *testing.T) {
	for _, v := range attacks {
		checkBound(t, []string{v})
		checkBound(t, []string{v, "v1"})
	}
	checkBound(t, attacks)
	checkBound(t, []string{strings.Repeat("v", maxValue)})
	checkBound(t, []string{strings.Repeat("v", maxValue+1)})
}

func FuzzInjection(f *testing.F) {
	for i, v := range attacks {
		f.Add(v, attacks[len(attacks)-1-i])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		checkBound(t, []string{a})
		if a != b {
			checkBound(t, []string{a, b})
		}
		// The same as conditions of a user's query.
		if counter, err := promql.Counter(userQuery("http_requests_total", []string{"=", "!="}, []string{a, b})); err == nil {
			checkBoundTo(t, counter, []string{"v1", "v2"})
		}
	})
}

// userQuery writes a query as a user might: a rate of a counter with a condition for
// each value, on labels that cohorts are bound to as well.
func userQuery(metric string, ops, values []string) string {
	names := []string{"code", "service_version", "service_name", "code", "k8s.pod.name"}
	text := []string{strconv.Quote(metric)}
	for i, v := range values {
		text = append(text, strconv.Quote(names[i%len(names)])+ops[i%len(ops)]+strconv.Quote(v))
	}
	return "sum by (pod) (rate({" + strings.Join(text, ",") + "}[5m]))"
}

// TestInjectionGenerated binds hostile values to hostile counters, both as they come
// out of a user's query. With -rapid.checks=500000 it makes three million values, in
// two minutes of a processor.
func TestInjectionGenerated(t *testing.T) {
	piece := rapid.OneOf(rapid.SampledFrom(attacks), rapid.StringMatching("[-a-z\"'`\\\\{}()|.*+?^$\\[\\]\n#@,=~! ]{1,6}"), rapid.String())
	hostile := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 1, 4).Draw(t, "pieces"), "") })
	rapid.Check(t, func(t *rapid.T) {
		checkBound(t, rapid.SliceOfNDistinct(hostile, 1, 5, rapid.ID).Draw(t, "values"))

		metric := rapid.OneOf(rapid.StringMatching("[a-z_]{1,9}_total"), hostile).Draw(t, "metric")
		ops := rapid.SliceOfN(rapid.SampledFrom([]string{"=", "!=", "=~", "!~"}), 1, 4).Draw(t, "ops")
		conditions := rapid.SliceOfN(hostile, 0, 5).Draw(t, "conditions")
		// Some are no regular expressions, no names or no UTF-8, which is said before
		// anything is bound; all others are conditions to the letter.
		counter, err := promql.Counter(userQuery(metric, ops, conditions))
		if err != nil {
			return
		}
		if counter.Metric != metric || len(counter.Conditions) != len(conditions) {
			t.Fatalf("%q with %q was read as %+v", metric, conditions, counter)
		}
		for i, c := range counter.Conditions {
			if c.Values[0] != conditions[i] {
				t.Fatalf("condition %q was read as %+v", conditions[i], c)
			}
		}
		checkBoundTo(t, counter, rapid.SliceOfNDistinct(hostile, 1, 3, rapid.ID).Draw(t, "bound"))
	})
}

func TestRefusedSelectors(t *testing.T) {
	match := []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}}
	where := func(name string, op analysis.Op, values ...string) *analysis.Selector {
		return &analysis.Selector{Metric: "m", Conditions: []analysis.Condition{{Name: name, Op: op, Values: values}}}
	}
	for name, test := range map[string]struct {
		selector *analysis.Selector
		matches  []analysis.Match
	}{
		"none":               {nil, match},
		"no metric":          {&analysis.Selector{}, match},
		"a field of OTLP":    {&analysis.Selector{Metric: "m", Field: analysis.FieldCount}, match},
		"in":                 {where("code", analysis.OpIn, "5xx"), match},
		"two values":         {where("code", analysis.OpEqual, "a", "b"), match},
		"no regexp":          {where("code", analysis.OpRegexp, "("), match},
		"another name":       {where("__name__", analysis.OpEqual, "up"), match},
		"no label":           {where("", analysis.OpEqual, "up"), match},
		"no value to match":  {&analysis.Selector{Metric: "m"}, []analysis.Match{{Name: "a"}}},
		"an empty value":     {&analysis.Selector{Metric: "m"}, []analysis.Match{{Name: "a", Values: []string{""}}}},
		"a value, not UTF-8": {&analysis.Selector{Metric: "m"}, []analysis.Match{{Name: "a", Values: []string{"\xff"}}}},
	} {
		if _, err := (naming{}).bind(test.selector, test.matches); err == nil {
			t.Errorf("%s: was bound", name)
		}
	}
}

func TestRender(t *testing.T) {
	for metric, want := range map[string]string{
		"http_requests_total":      `http_requests_total{service_name="checkout"}[1m]`,
		"http.server.requests":     `{__name__="http.server.requests",service_name="checkout"}[1m]`,
		`a"} or vector(0) #`:       `{__name__="a\"} or vector(0) #",service_name="checkout"}[1m]`,
		"job:requests:rate5m":      `job:requests:rate5m{service_name="checkout"}[1m]`,
		"sum":                      `sum{service_name="checkout"}[1m]`,
		regexp.QuoteMeta("a.b.c?"): `{__name__="a\\.b\\.c\\?",service_name="checkout"}[1m]`,
	} {
		ms, err := naming{}.bind(&analysis.Selector{Metric: metric}, []analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := render(ms, time.Minute); got != want || err != nil {
			t.Errorf("got %s, want %s (%v)", got, want, err)
		}
	}
	// What the printer and the parser understand differently is never sent.
	ms := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, "NaN"), labels.MustNewMatcher(labels.MatchEqual, "a", "b")}
	if text, err := render(ms, time.Minute); err == nil {
		t.Errorf("rendered %s", text)
	}
}
