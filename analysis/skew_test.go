package analysis

import (
	"strings"
	"testing"
	"time"
)

// foldEvidence folds e as the next fold of the first objective.
func foldEvidence(t *testing.T, s *State, e Evidence) {
	t.Helper()
	f, _ := s.Next(0)
	e.Objective, e.Fold = "errors", f
	if err := s.Fold(&e); err != nil {
		t.Fatal(err)
	}
	s.Assess()
}

// A clock that is a little off is told of; from one that is far off nothing is learned.
func TestClockSkew(t *testing.T) {
	for _, c := range []struct {
		skew             time.Duration
		learned, warning bool
	}{
		{0, true, false},
		{5 * time.Second, true, false},
		{-6 * time.Second, true, true},
		{30 * time.Second, true, true},
		{31 * time.Second, false, true},
		{-10 * time.Minute, false, true},
	} {
		s := testState(t)
		for range 10 {
			foldEvidence(t, s, Evidence{Rows: rows(1, 9, 100, 900), Skew: Duration(c.skew)})
		}
		coverage := s.Checks().Coverage
		if learned := coverage.State == Good && s.Describe()[0].N.CanaryExposure == 1000; learned != c.learned {
			t.Errorf("%v: coverage %+v, counted %+v", c.skew, coverage, s.Describe()[0].N)
		}
		if !c.learned && (coverage.Code != ClockSkew || !strings.Contains(coverage.Reason, c.skew.Abs().String())) {
			t.Errorf("%v: %+v", c.skew, coverage)
		}
		if warned := strings.Contains(strings.Join(s.Warnings(), "\n"), string(ClockSkew)+": errors: the clock of"); warned != c.warning {
			t.Errorf("%v: warnings %q", c.skew, s.Warnings())
		}
	}
}

// What the newest answer said is the reason of a coverage that is not good, and a
// checkpoint keeps it.
func TestWhyNothingWasLearned(t *testing.T) {
	for _, c := range []struct {
		name     string
		evidence Evidence
		code     Code
		says     string
	}{
		{"partial", Evidence{Rows: rows(1, 9, 100, 900), Partial: true, Warnings: []string{"store-1 is away"}}, TelemetryPartial, "store-1 is away"},
		{"malformed", Evidence{Missing: MisconfiguredQuery, Warnings: []string{"a scalar for up[1m]"}}, MisconfiguredQuery, "a scalar for up[1m]"},
		{"rejected", Evidence{Missing: SourceRejected, Warnings: []string{"HTTP status 401"}}, SourceRejected, "HTTP status 401"},
		{"rejected without a word", Evidence{Missing: SourceRejected}, SourceRejected, "refused"},
		{"no requests", Evidence{Rows: []ArmRow{row(Baseline, "b", 0, 900), {Arm: Canary, Pod: "c", Fresh: true, Version: "1.5.0"}}}, NoTraffic, "report, but count no requests"},
		{"silent", Evidence{Rows: []ArmRow{row(Baseline, "b", 0, 900)}}, CanaryTelemetryMissing, ""},
	} {
		s := testState(t)
		for range 20 {
			foldEvidence(t, s, c.evidence)
		}
		if got := s.Checks().Coverage; got.State == Good || got.Code != c.code || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s: %+v", c.name, got)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		again, err := RestoreState(s.Plan(), snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := again.Checks().Coverage, s.Checks().Coverage; got != want {
			t.Errorf("%s: restored as %+v, was %+v", c.name, got, want)
		}
	}
}

// A canary that was shown safe and then serves nothing any more is not promoted on what
// it once was.
func TestSafetyNeedsTraffic(t *testing.T) {
	s := testState(t, withSLO)
	for range 200 {
		foldEvidence(t, s, Evidence{Rows: rows(5, 45, 1000, 9000)})
	}
	if got := s.Checks().Safety; got.State != Good {
		t.Fatalf("%+v", got)
	}
	for k := range 3 {
		foldEvidence(t, s, Evidence{Rows: rows(0, 0, 0, 0)})
		if got := s.Checks().Safety; (got.State == Good) != (k < 2) || k == 2 && got.Code != NoTraffic {
			t.Errorf("after %d idle folds: %+v", k+1, got)
		}
	}
	foldEvidence(t, s, Evidence{Rows: rows(5, 45, 1000, 9000)})
	if got := s.Checks().Safety; got.State != Good {
		t.Errorf("it serves again: %+v", got)
	}
}
