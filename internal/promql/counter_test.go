package promql

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

func errors5xx() *analysis.Selector {
	return &analysis.Selector{Metric: "m", Conditions: []analysis.Condition{{Name: "code", Op: analysis.OpRegexp, Values: []string{"5.."}}}}
}

// Every view of one counter is that counter.
func TestCounter(t *testing.T) {
	for _, query := range []string{
		`m{code=~"5.."}`,
		` ( m { code =~ '5..' , } ) # a remark`,
		"m{\n\tcode=~`5..`\n}",
		`{__name__="m", code=~"5.."}`,
		`{"m", code=~"5.."}`,
		`sum(m{code=~"5.."})`,
		`sum by (pod) (m{code=~"5.."})`,
		`sum(m{code=~"5.."}) by (pod, service_version)`,
		`sum without (instance) (m{code=~"5.."})`,
		`rate(m{code=~"5.."}[5m])`,
		`increase(m{code=~"5.."}[1h30m])`,
		`irate((m{code=~"5.."}[2m]))`,
		`sum by (pod) (rate(m{code=~"5.."}[30d]))`,
		`sum(sum by (pod) (sum by (pod, instance) ((increase((m{code=~"5.."}[1ms]))))))`,
		`SUM(rate(m{code=~"5.."}[5m] offset 0s))`,
	} {
		got, err := Counter(query)
		if err != nil || !reflect.DeepEqual(got, errors5xx()) {
			t.Errorf("%s: %+v, %v", query, got, err)
		}
	}
}

func TestConditions(t *testing.T) {
	got, err := Counter(`sum(rate({"http.server.requests", a="1", a!="2", b=~"x|y", c!~"", "k8s.pod.name"="p"}[1m]))`)
	condition := func(name string, op analysis.Op, value string) analysis.Condition {
		return analysis.Condition{Name: name, Op: op, Values: []string{value}}
	}
	want := &analysis.Selector{Metric: "http.server.requests", Conditions: []analysis.Condition{
		condition("a", analysis.OpEqual, "1"), condition("a", analysis.OpNotEqual, "2"), condition("b", analysis.OpRegexp, "x|y"),
		condition("c", analysis.OpNotRegexp, ""), condition("k8s.pod.name", analysis.OpEqual, "p"),
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A refusal names the node, its column, and what to write; the texts are those that
// a user sees behind the name of the file.
func TestRefusals(t *testing.T) {
	const (
		bare  = `write the bare counter, m{code=~"5.."}: raw samples are read and increases computed from them`
		parts = "write one counter here; the parts of a ratio are two queries, bad (or good) and total"
	)
	reduce := " of the query cannot be reduced to one counter (accepted: " + counter.accepted + "); "
	for query, want := range map[string]string{
		`m{code=~"5.."}[5m]`:                        "the range selector at column 1" + reduce + bare,
		`(m{code=~"5.."}[5m])`:                      "the range selector at column 2" + reduce + bare,
		`sum(rate(m{code=~"5.."}[5m])) * 60`:        "the operator * at column 1" + reduce + bare,
		`sum(-m{code=~"5.."})`:                      "the operator - at column 5" + reduce + bare,
		`sum(avg(m{code=~"5.."}))`:                  "the aggregation avg at column 5" + reduce + bare,
		`sum by (a) (topk(3, m{code=~"5.."}))`:      "the aggregation topk at column 13" + reduce + bare,
		`sum(delta(m{code=~"5.."}[5m]))`:            "the function delta at column 5" + reduce + bare,
		`sum(increase(sum(m{code=~"5.."})[5m:1m]))`: "the subquery at column 14" + reduce + bare,
		`rate(m{code=~"5.."}[5m]) or vector(0)`:     "the operator or at column 1" + reduce + bare,
		`m{code=~"5.."} / m`:                        "the operator / at column 1" + reduce + parts,
		`vector(1)`:                                 "the function vector at column 1" + reduce + counter.example,
		`(1)`:                                       "the literal at column 2" + reduce + counter.example,
		`"m"`:                                       "the literal at column 1" + reduce + counter.example,
		`sum(a:b:rate5m > 0)`:                       "the operator > at column 5" + reduce + counter.example,
		`sum(rate(m{code=~"5.."}[5m] offset 1h))`:   "offset at column 10 of the query shifts the comparison in time and is refused; " + bare,
		`m{code=~"5.."} offset -1m`:                 "offset at column 1 of the query shifts the comparison in time and is refused; " + bare,
		`m{code=~"5.."} @ 1700000000`:               "@ at column 1 of the query pins the comparison to one instant and is refused; " + bare,
		`sum(rate(m{code=~"5.."}[5m] @ end()))`:     "@ at column 10 of the query pins the comparison to one instant and is refused; " + bare,
		`sum(job:m:rate5m)`:                         "job:m:rate5m at column 5 of the query is the result of a recording rule, which has no counts of its own; write the counter that the rule is made from",
		`{"job:m:rate5m"}`:                          "job:m:rate5m at column 1 of the query is the result of a recording rule, which has no counts of its own; write the counter that the rule is made from",
		`{"NaN"}`:                                   "NaN at column 1 of the query is a word of PromQL and cannot be asked for as a metric; " + counter.example,
		`sum({__name__="on", a="b"})`:               "on at column 5 of the query is a word of PromQL and cannot be asked for as a metric; " + counter.example,
		`sum({code="500"})`:                         "the selector at column 5 of the query names no metric; " + counter.example,
		`{__name__=~"a.*", code="500"}`:             `the matcher __name__=~"a.*" at column 1 of the query does not name one metric; ` + counter.example,
		`{__name__="a", __name__="b"}`:              `the matcher __name__="b" at column 1 of the query does not name one metric; ` + counter.example,
		`histogram_quantile(0.95, rate(d_bucket[5m]))`: "the function histogram_quantile at column 1" + reduce + "count the requests that were fast enough instead: " +
			`good is d_bucket with le="...", total is the same metric's _count`,
		`m{a="\xff"}`:                           `the matcher a="\xff" at column 1 of the query holds what is no text (UTF-8), as every label is; ` + counter.example,
		`{"\ufffd"}`:                            "the matcher __name__=\"\ufffd\" at column 1 of the query holds what is no text (UTF-8), as every label is; " + counter.example,
		strings.Repeat("(", maxQuery):           fmt.Sprintf("is no PromQL: column %d of the query: unclosed left parenthesis", maxQuery+1),
		strings.Repeat("m", maxQuery+1):         "is longer than 16384 bytes",
		"avg(" + strings.Repeat("m", 600) + ")": "the aggregation avg at column 1" + reduce + counter.example,
	} {
		s, err := Counter(query)
		if s != nil || err == nil || err.Error() != want {
			t.Errorf("%.60s\ngot  %v, %v\nwant %s", query, s, err, want)
		}
	}
}

// What is no PromQL is said with the column; the words are the parser's.
func TestSyntaxErrors(t *testing.T) {
	for query, want := range map[string]string{
		``:                          "is no PromQL: column 1 of the query: ",
		`m{code=~"5.."`:             "is no PromQL: column 14 of the query: ",
		`rate(m)`:                   "is no PromQL: column 6 of the query: ",
		`sum(m[5m])`:                "is no PromQL: column 5 of the query: ",
		`m{code=~"("}`:              "is no PromQL: column 3 of the query: ",
		`rate(m[5m]) extra`:         "is no PromQL: column 13 of the query: ",
		`rate(m[{{.window}}])`:      "templates such as {{.window}} are not known: " + counter.example,
		`sum(rate(m[5m] smoothed))`: "is no PromQL: column 16 of the query: ",
	} {
		if s, err := Counter(query); s != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %s", query, s, err, want)
		}
	}
}
