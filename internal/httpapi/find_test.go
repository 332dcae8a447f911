package httpapi

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// By its deployment id people find the newest live attempt, and what was never live
// only where there is no other.
func TestDeploymentIDPrefersLive(t *testing.T) {
	s := newSite(t)
	first := s.put(analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Promote)
	s.put(analysis.Deployment{ID: "d1", Attempt: 2, Release: release("1.5.0"), Mode: analysis.Shadow, StartedAt: at.Add(time.Hour)}, verdicts.Pending)
	past := s.put(analysis.Deployment{ID: "d2", Release: release("1.6.0"), Mode: analysis.Retrospective, StartedAt: at}, verdicts.Hold)
	for id, want := range map[string]analysis.ValidationID{"d1": first, "d2": past} {
		if code, _, body := s.get("GET", "/v1/validations/"+id); code != http.StatusOK || !strings.Contains(body, `"id":"`+string(want)) {
			t.Errorf("%s: %d %s", id, code, body)
		}
	}
}

// Before the first bundle is sealed there is no directory of them.
func TestBundleBeforeTheFirst(t *testing.T) {
	s := newSite(t)
	s.put(analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Promote)
	if err := os.Remove(s.bundles); err != nil {
		t.Fatal(err)
	}
	if code, header, body := s.get("GET", "/v1/validations/d1/bundle"); code != http.StatusAccepted || header.Get("Retry-After") == "" {
		t.Errorf("%d %s", code, body)
	}
}

// An old promote that does not answer is no record either.
func TestNameTheDeploymentIsNoRecord(t *testing.T) {
	s := newSite(t)
	s.put(analysis.Deployment{ID: "d1", Release: release("1.5.0"), Mode: analysis.Live, StartedAt: at}, verdicts.Promote)
	v := s.verdict("prod:checkout:1.5.0")
	if v.ReasonCode != analysis.NameTheDeployment || v.Final || v.Seq != 0 || v.Bundle != "" || v.IssuedAt != nil || v.NotAfter != nil {
		t.Errorf("%+v", v)
	}
}
