package instrument

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	m := New("1.2.3")
	m.Final("prod", "", "checkout", "promote", "all_safe", time.Minute)
	m.Final("prod", "", "checkout", "rollback", "harm_shown", 2*time.Minute)
	m.Final("prod", "", "cart", "hold", "no_baseline", time.Minute)
	m.Advanced(time.Millisecond, 3)
	m.Failed("line")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	body := w.Body.String()
	for _, want := range []string{
		`assay_validations_total{reason="harm_shown",verdict="rollback"} 1`,
		`assay_verdict_info{environment="prod",namespace="",reason="harm_shown",service="checkout",verdict="rollback"} 1`,
		`assay_verdict_info{environment="prod",namespace="",reason="no_baseline",service="cart",verdict="hold"} 1`,
		`assay_validations_open 3`, `assay_errors_total{part="line"} 1`, `assay_build_info{version="1.2.3"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, `verdict="promote"} 1`) && strings.Contains(body, `service="checkout",verdict="promote"`) {
		t.Error("the older verdict of a service is still shown")
	}
	problems, err := testutil.GatherAndLint(m.Gatherer(), "assay_validations_total", "assay_verdict_info", "assay_validations_open",
		"assay_time_to_verdict_seconds", "assay_advance_duration_seconds", "assay_errors_total", "assay_build_info")
	if err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
