package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/report"
)

// The page of one validation has the links of its verdict; a plan that is not there, and
// a server that knows no place, take nothing away from it.
func TestLinks(t *testing.T) {
	s := newSite(t)
	id := s.put(analysis.Deployment{ID: "d-1", Release: analysis.Release{Environment: "prod", Service: "checkout", Version: "1.5.0"}}, verdicts.Pending)
	var planned bool
	with := New(Config{Store: s.store, Metrics: http.NotFoundHandler(), Links: func(p *analysis.Plan, v verdicts.Verdict) []report.Link {
		planned = p != nil
		return []report.Link{{For: "template:1", Name: "logs", URL: "http://loki/" + v.Service}}
	}})
	w := httptest.NewRecorder()
	with.ServeHTTP(w, httptest.NewRequest("GET", "/v1/validations/"+string(id), nil))
	if body := w.Body.String(); w.Code != http.StatusOK || planned || !strings.Contains(body, `"links":[{"for":"template:1","name":"logs","url":"http://loki/checkout"}]`) {
		t.Errorf("%d, with a plan %v: %s", w.Code, planned, body)
	}
	if code, _, body := s.get("GET", "/v1/validations/"+string(id)); code != http.StatusOK || strings.Contains(body, "links") {
		t.Errorf("without places: %d %s", code, body)
	}
}
