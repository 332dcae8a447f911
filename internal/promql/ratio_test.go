package promql

import (
	"strings"
	"testing"
)

func TestRatio(t *testing.T) {
	for query, want := range map[string][2]string{
		`errors_total / requests_total`:                                     {"errors_total", "requests_total"},
		`(requests_total{code=~"5.."}) / requests_total`:                    {"requests_total", "requests_total"},
		`(sum(rate(e_total{a="}/"}[5m])) / sum by (x) (rate(t_total[5m])))`: {"e_total", "t_total"},
		`e_total / ignoring(code) group_left t_total`:                       {"e_total", "t_total"},
	} {
		events, total, err := Ratio(query)
		if err != nil || events.Metric != want[0] || total.Metric != want[1] {
			t.Errorf("%s: %+v, %+v, %v", query, events, total, err)
		}
	}
	for query, want := range map[string]string{
		`errors_total`:              "no quotient",
		`e_total * t_total`:         "no quotient",
		`1 - e_total / t_total`:     "no quotient",
		`e_total /`:                 "is no PromQL",
		`100 * e_total / t_total`:   "left of the division",
		`e_total / 5`:               "right of the division",
		strings.Repeat(" ", 17<<10): "is longer than",
	} {
		if _, _, err := Ratio(query); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", query, err, want)
		}
	}
}
