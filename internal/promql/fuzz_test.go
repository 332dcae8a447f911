package promql

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

// only returns the matchers of the only selector in a query.
func only(t interface{ Fatalf(string, ...any) }, query string) []*labels.Matcher {
	expr, err := parser.ParseExpr(query)
	if err != nil {
		t.Fatalf("%q: %v", query, err)
	}
	var found []*parser.VectorSelector
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, is := n.(*parser.VectorSelector); is {
			found = append(found, v)
		}
		return nil
	})
	if len(found) != 1 || found[0].OriginalOffset != 0 || found[0].Timestamp != nil || found[0].StartOrEnd != 0 {
		t.Fatalf("%q was accepted with the selectors %v", query, found)
	}
	return found[0].LabelMatchers
}

// matchersOf writes a selector in Prometheus' words.
func matchersOf(t interface{ Fatalf(string, ...any) }, s *analysis.Selector) []*labels.Matcher {
	ms := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, s.Metric)}
	for _, c := range s.Conditions {
		for kind, op := range ops {
			if op != c.Op {
				continue
			}
			m, err := labels.NewMatcher(kind, c.Name, c.Values[0])
			if err != nil {
				t.Fatalf("condition %+v: %v", c, err)
			}
			ms = append(ms, m)
		}
	}
	return ms
}

func sameMatchers(a, b []*labels.Matcher) bool {
	order := func(a, b *labels.Matcher) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Value, b.Value))
	}
	return slices.EqualFunc(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order),
		func(a, b *labels.Matcher) bool { return order(a, b) == 0 })
}

// checkCounter fails unless a query is refused with a place and an advice, or keeps
// its meaning: what is accepted carries the matchers of the one selector in the
// query, and is the same after it was rendered and read again.
func checkCounter(t interface{ Fatalf(string, ...any) }, query string) {
	s, err := Counter(query)
	if err != nil {
		text := err.Error()
		if s != nil || len(text) > 2*maxQuery || len(query) <= maxQuery && !strings.Contains(text, "column ") {
			t.Fatalf("%q: %v, %v", query, s, err)
		}
		return
	}
	ms := matchersOf(t, s)
	if !sameMatchers(ms, only(t, query)) {
		t.Fatalf("%q is not %v", query, ms)
	}
	for _, m := range ms {
		if !utf8.ValidString(m.Name) || !utf8.ValidString(m.Value) {
			t.Fatalf("%q: the matcher %q cannot be recorded: it is no UTF-8", query, m)
		}
	}
	again := Text(s)
	if reread, err := Counter(again); err != nil || !sameMatchers(matchersOf(t, reread), ms) { // the printer sorts
		t.Fatalf("%q was read as %+v, and that (%s) as %+v, %v", query, s, again, reread, err)
	}
}

func FuzzCounter(f *testing.F) {
	for _, query := range []string{
		`http_requests_total{code=~"5..",job="a"}`, `sum by (pod) (rate(m{a!="b"}[5m]))`, `sum without(a)(increase((m)[1h]))`, `irate(m[2m])`,
		`{"http.server.requests", "k8s.pod.name"=~"a|b"}`, `{__name__="m",a!~"x.*"}`, `m{a="\xff"}`, `m{a="\ufffd"}`, "m{a=`\\`}", `m{a='"'}`,
		`m offset 5m`, `m @ start()`, `m[5m]`, `rate(m[5m:1m])`, `a / b`, `-m`, `1`, `"x"`, `job:m:rate5m`, `histogram_quantile(0.9, rate(m_bucket[5m]))`,
		`rate(m[{{.window}}])`, `sum(`, `NaN{a="b"}`, `{__name__="NaN"}`, `sum{a="b"}`, `m{a="b",a="b"}`, `# only a remark`, "m\u2028", "sum(m) by (a) # b",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) { checkCounter(t, query) })
}

// A nesting is a generated query and what must become of it.
type nesting struct {
	text    string
	ranged  bool   // it is a range of samples
	refused string // the outermost node that is no view of a counter; empty: accepted
}

// drawSelector draws a counter with label values of any kind, and its text.
func drawSelector(t *rapid.T) (*analysis.Selector, string) {
	s := &analysis.Selector{Metric: rapid.StringMatching(`[a-z_][a-z0-9_]{0,20}_total`).Draw(t, "metric")}
	var text []string
	for range rapid.IntRange(0, 4).Draw(t, "conditions") {
		op := rapid.SampledFrom([]analysis.Op{analysis.OpEqual, analysis.OpNotEqual, analysis.OpRegexp, analysis.OpNotRegexp}).Draw(t, "op")
		value := rapid.SampledFrom([]string{"5..", "a|b", "", ".+"}).Draw(t, "pattern")
		if op == analysis.OpEqual || op == analysis.OpNotEqual {
			// The parser refuses U+FFFD, as no valid text.
			value = strings.ReplaceAll(rapid.String().Draw(t, "value"), "\ufffd", "")
		}
		name := rapid.StringMatching(`[a-z][a-z0-9_]{0,10}`).Draw(t, "label")
		s.Conditions = append(s.Conditions, analysis.Condition{Name: name, Op: op, Values: []string{value}})
		text = append(text, fmt.Sprintf("%s %s %s", name, op, strconv.Quote(value)))
	}
	return s, s.Metric + "{" + strings.Join(text, " , ") + "}"
}

// wrap draws one more node around a query.
func (n nesting) wrap(t *rapid.T, mayRefuse bool) nesting {
	out := nesting{refused: n.refused}
	if n.ranged {
		f := rapid.SampledFrom([]string{"rate", "increase", "irate"}).Draw(t, "rate")
		if mayRefuse && rapid.IntRange(0, 4).Draw(t, "refuse") == 0 {
			f = rapid.SampledFrom([]string{"delta", "deriv", "max_over_time", "count_over_time", "changes"}).Draw(t, "function")
			out.refused = "the function " + f
		}
		out.text = f + "(" + n.text + ")"
		return out
	}
	if mayRefuse && rapid.IntRange(0, 4).Draw(t, "refuse") == 0 {
		form := rapid.SampledFrom([][2]string{
			{"avg(%s)", "the aggregation avg"},
			{"count by (a) (%s)", "the aggregation count"},
			{"quantile(0.5, %s)", "the aggregation quantile"},
			{"clamp_min(%s, 0)", "the function clamp_min"},
			{"abs(%s)", "the function abs"},
			{"(%s) > 0", "the operator >"},
			{"2 * (%s)", "the operator *"},
			{"-(%s)", "the operator -"},
			{"rate((%s)[5m:1m])", "the subquery"},
		}).Draw(t, "form")
		return nesting{text: fmt.Sprintf(form[0], n.text), refused: form[1]}
	}
	out.text = fmt.Sprintf(rapid.SampledFrom([]string{
		"(%s)", " ( %s ) ", "sum(%s)", "sum by (a) (%s)", "sum by () (%s)", "sum(%s) by (a, b,)", "sum without (pod) (%s)", "sum(# why\n%s)",
	}).Draw(t, "form"), n.text)
	return out
}

// TestNestings draws nestings of everything that is accepted, and now and then of
// something else. The counter comes out as it went in, or the outermost node that
// does not belong there is named.
func TestNestings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counter, text := drawSelector(t)
		n := nesting{text: text}
		if rapid.Bool().Draw(t, "ranged") {
			n = nesting{text: text + rapid.SampledFrom([]string{"[5m]", "[1h30m]", "[1ms]", "[10y]"}).Draw(t, "range"), ranged: true}
		}
		mayRefuse := rapid.Bool().Draw(t, "mayRefuse")
		for range rapid.IntRange(0, 8).Draw(t, "depth") {
			n = n.wrap(t, mayRefuse)
		}
		if n.ranged {
			n.refused = "the range selector"
		}
		checkCounter(t, n.text)
		got, err := Counter(n.text)
		switch {
		case n.refused == "" && (err != nil || !reflect.DeepEqual(got, counter)):
			t.Fatalf("%s\ngot  %+v, %v\nwant %+v", n.text, got, err, counter)
		case n.refused != "" && (err == nil || !strings.HasPrefix(err.Error(), n.refused+" at column ")):
			t.Fatalf("%s\ngot  %+v, %v\nwant %s named", n.text, got, err, n.refused)
		}
	})
}
