package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A full store is said by every pending verdict, and changes no final one.
func TestBlocked(t *testing.T) {
	s := &server{Config: Config{Blocked: func() (analysis.Code, string) { return analysis.StoreFull, "the disk is full" }}}
	pending, _ := json.Marshal(verdicts.Verdict{ReasonCode: analysis.Collecting, Advice: verdicts.Increase})
	body, err := s.blocked(pending)
	var v verdicts.Verdict
	if err != nil || json.Unmarshal(body, &v) != nil || v.Final || v.Verdict != verdicts.Pending || v.ReasonCode != analysis.StoreFull || v.Advice != verdicts.Keep {
		t.Errorf("%s, %v", body, err)
	}
	final, _ := json.Marshal(verdicts.Verdict{Verdict: verdicts.Promote, Final: true, ReasonCode: analysis.AllSafe})
	if body, err := s.blocked(final); err != nil || !bytes.Equal(body, final) {
		t.Errorf("%s, %v", body, err)
	}
	s.Blocked = func() (analysis.Code, string) { return "", "" }
	if body, err := s.blocked(pending); err != nil || !bytes.Equal(body, pending) {
		t.Errorf("%s, %v", body, err)
	}
}
