package prometheus

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

// attacks are values that ended a string, a matcher or a query somewhere.
var attacks = []string{
	`"} or vector(0) #`, `"}[5m]) or up{a="`, "`", "`} or vector(1) #", `'`, `\`, `\"`, `\\"}`, "a\nb", "a\r\n#b", "\x00", "\u2028", "\ufeff", "\u202e",
	`.*`, `.+`, `a|b`, `(?i)a`, `^a$`, `[a-z]`, `a{2}`, `\Qa\E`, `\d`, `$1`, `${version}`, `{{.version}}`, `%s`, `%22`, `&#34;`, `v1.2.3+build`, `"`,
	"ümlaut", "日本", "😀", " ", "  v1", "v1 ", "__name__", `{__name__=~".+"}`, `@ 0`, `offset -1d`, `sum`, `bool`, `Inf`,
}

// checkBound fails unless the query of the given values is a bare selector that
// selects exactly what was bound.
func checkBound(t interface{ Fatalf(string, ...any) }, values []string) {
	n := naming{}
	ms, err := n.bind(&analysis.Selector{Metric: "http_requests_total", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}},
		[]analysis.Match{{Name: analysis.AttrService, Values: []string{"checkout"}}, {Name: analysis.AttrVersion, Values: values}})
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
	bound := map[string]*labels.Matcher{}
	for _, m := range matrix.VectorSelector.(*parser.VectorSelector).LabelMatchers {
		bound[m.Name] = m
	}
	if len(bound) != 4 || len(matrix.VectorSelector.(*parser.VectorSelector).LabelMatchers) != 4 {
		t.Fatalf("%s has other matchers", text)
	}
	for name, want := range map[string]labels.Matcher{
		"__name__":     {Type: labels.MatchEqual, Value: "http_requests_total"},
		"code":         {Type: labels.MatchRegexp, Value: "5.."},
		"service_name": {Type: labels.MatchEqual, Value: "checkout"},
	} {
		if m := bound[name]; m == nil || m.Type != want.Type || m.Value != want.Value {
			t.Fatalf("%s: matcher of %s is %v", text, name, m)
		}
	}
	version := bound["service_version"]
	if version == nil || len(values) == 1 && version.Type != labels.MatchEqual || len(values) > 1 && version.Type != labels.MatchRegexp {
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
	})
}

func TestInjectionGenerated(t *testing.T) {
	piece := rapid.OneOf(rapid.SampledFrom(attacks), rapid.StringMatching("[-a-z\"'`\\\\{}()|.*+?^$\\[\\]\n#@,=~! ]{1,6}"), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 1, 4).Draw(t, "pieces"), "") }), 1, 5, rapid.ID).Draw(t, "values")
		checkBound(t, values)
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
