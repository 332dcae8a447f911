package analysis_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A pod of an outage story reports in the minutes [from, to), with a gap.
type storyPod struct {
	arm      analysis.Arm
	name     string
	from, to float64 // minutes after the deployment
	gap      [2]float64
	factor   float64 // of the error rate; 0 is 1
}

// tell folds a story at 15 s to the deadline of 40 minutes: 1,000 requests a
// second, spread over the pods that are there, 10% of them to the canary. Each is
// called after every fold.
func tell(t *testing.T, pods []storyPod, each func(s *analysis.State, minute float64)) *analysis.State {
	t.Helper()
	w := setting{cadence: 15 * time.Second, deadline: 40 * time.Minute, rps: 1000, share: .1, rate: .005, target: .98}
	h := known
	h.Bad, h.Exposure, h.BadHour, h.HourTotal = 430_000, 86e6, 18_000, 3.6e6
	p := w.plan(t, h)
	s := newState(t, p)
	rng := rand.New(rand.NewPCG(600, 1))
	for {
		f, left := s.Next(0)
		if !left {
			return s
		}
		minute := f.End.Sub(deployedAt).Minutes()
		e := analysis.Evidence{Objective: "errors", Fold: f}
		for _, arm := range []analysis.Arm{analysis.Baseline, analysis.Canary} {
			n, version := w.rps*15*(1-w.share), "1.4.9"
			if arm == analysis.Canary {
				n, version = w.rps*15*w.share, "1.5.0"
			}
			var there []storyPod
			for _, p := range pods {
				if p.arm == arm && p.from < minute && minute <= p.to && !(p.gap[0] < minute && minute <= p.gap[1]) {
					there = append(there, p)
				}
			}
			for _, p := range there {
				x, rate := n/float64(len(there)), w.rate
				if p.factor != 0 {
					rate *= p.factor
				}
				e.Rows = append(e.Rows, analysis.ArmRow{Arm: arm, Pod: p.name, Bad: min(x, poisson(rng, rate*x)), Exposure: x, Received: 1, Fresh: true, Version: version})
			}
		}
		fold(t, s, e)
		s.Assess()
		if each != nil {
			each(s, minute)
		}
	}
}

const always = 1e9

// arms are three pods of the baseline and two of the canary that report all the
// time, with changes.
func arms(change func(p *storyPod)) []storyPod {
	pods := []storyPod{
		{arm: analysis.Baseline, name: "b-1"},
		{arm: analysis.Baseline, name: "b-2"},
		{arm: analysis.Baseline, name: "b-3"},
		{arm: analysis.Canary, name: "c-1"},
		{arm: analysis.Canary, name: "c-2"},
	}
	for i := range pods {
		pods[i].to = always
		if change != nil {
			change(&pods[i])
		}
	}
	return pods
}

// promotable reports whether every check is such that a promote could follow.
func promotable(c analysis.Checks) bool {
	for _, check := range []analysis.Check{c.Harm, c.Safety, c.Coverage, c.Identity, c.Serving, c.Environment} {
		if check.State != analysis.Good && check.State != analysis.NotRequired {
			return false
		}
	}
	return true
}

// actsOn reports whether a rollback could follow.
func actsOn(c analysis.Checks) bool {
	return c.Harm.State == analysis.Bad || c.Serving.State == analysis.Bad
}

func TestStoryWithoutOutage(t *testing.T) {
	tell(t, arms(nil), func(s *analysis.State, minute float64) {
		c := s.Checks()
		if minute >= 10 && !promotable(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
		if actsOn(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// Five good minutes and then an outage must not be promoted when the bake ends,
// nor ever after; and no outage is harm.
func TestOutageIsNeverPromotedAndNeverHarm(t *testing.T) {
	silent := func(who func(p *storyPod) bool) []storyPod {
		return arms(func(p *storyPod) {
			if who(p) {
				p.to = 5
			}
		})
	}
	canary := func(p *storyPod) bool { return p.arm == analysis.Canary }
	for _, c := range []struct {
		name string
		pods []storyPod
		code analysis.Code
	}{
		{"both arms", silent(func(*storyPod) bool { return true }), analysis.TelemetryOutage},
		{"the canary", silent(canary), analysis.CanaryTelemetryMissing},
		{"the baseline", silent(func(p *storyPod) bool { return !canary(p) }), analysis.BaselineTelemetryMissing},
	} {
		t.Run(c.name, func(t *testing.T) {
			safe := false
			s := tell(t, c.pods, func(s *analysis.State, minute float64) {
				checks := s.Checks()
				safe = safe || minute <= 5 && checks.Safety.State == analysis.Good
				// One fold is lost before half of the usual pods are missed.
				if minute > 5 && checks.Coverage.State == analysis.Good || minute >= 10 && promotable(checks) {
					t.Fatalf("minute %v: %+v", minute, checks)
				}
				if minute >= 6 && (checks.Coverage.State != analysis.Stale || checks.Coverage.Code != c.code) {
					t.Fatalf("minute %v: coverage %+v, want stale, %s", minute, checks.Coverage, c.code)
				}
				if actsOn(checks) {
					t.Fatalf("minute %v: %+v", minute, checks)
				}
			})
			if !safe {
				t.Error("safety was not shown in the five good minutes: the story tests nothing")
			}
			if s.Checks().Safety.State != analysis.Good {
				t.Error("silence took safety away; coverage is what must block")
			}
		})
	}
}

// After an outage it takes until 90% of all samples have come again.
func TestRecoveryFromAnOutage(t *testing.T) {
	since := 0.0
	tell(t, arms(func(p *storyPod) { p.gap = [2]float64{5, 7} }), func(s *analysis.State, minute float64) {
		c := s.Checks()
		if minute > 5 && since == 0 && promotable(c) {
			since = minute
		}
	})
	if since != 20 { // 8 of 80 folds are lost in two minutes
		t.Errorf("promotable again from minute %v on, want 20", since)
	}
}

// One of two canary pods falls silent: it is missed for three folds, and again when
// it has been silent for longer than it was heard. Nobody can tell whether it left.
func TestSinglePodFallsSilent(t *testing.T) {
	s := tell(t, arms(func(p *storyPod) {
		if p.name == "c-2" {
			p.to = 3
		}
	}), func(s *analysis.State, minute float64) {
		c := s.Checks()
		if actsOn(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
		if minute > 6 && c.Coverage.State != analysis.Partial {
			t.Fatalf("minute %v: %+v", minute, c.Coverage)
		}
	})
	expected, received, now, _ := s.Received(analysis.Canary)
	if now != 1 || expected-received != 3 {
		t.Errorf("%d of %d samples, %d pods now", received, expected, now)
	}
	if c := s.Checks().Coverage; c.Code != analysis.TelemetryPartial || !strings.Contains(c.Reason, "c-2") {
		t.Errorf("%+v", c)
	}
}

// A pod of the canary that was heard for longer than it has been silent is taken to
// have left, and so is a pod of the baseline that ran before the deployment.
func TestPodThatLeftDoesNotHurt(t *testing.T) {
	tell(t, arms(func(p *storyPod) {
		if p.name == "c-2" {
			p.to = 22
		}
		if p.name == "b-3" {
			p.to = 2
		}
	}), func(s *analysis.State, minute float64) {
		if c := s.Checks(); minute >= 10 && !promotable(c) || actsOn(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// Two of three: less than half report, and however long that lasts it does not become
// the usual.
func TestMostPodsFallSilent(t *testing.T) {
	tell(t, arms(func(p *storyPod) {
		if p.name == "b-2" || p.name == "b-3" {
			p.to = 12
		}
	}), func(s *analysis.State, minute float64) {
		c := s.Checks().Coverage
		if lost := minute > 12; lost == (c.State == analysis.Good) && minute > 8.1 {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// Where replicas make the weights, the baseline shrinks with every ramp step.
func TestBaselineShrinksWithTheRamp(t *testing.T) {
	stepped := false
	tell(t, arms(func(p *storyPod) {
		if p.name == "b-2" || p.name == "b-3" {
			p.to = 12
		}
	}), func(s *analysis.State, minute float64) {
		if !stepped && minute > 12 {
			s.Step(analysis.Step{Weight: .7, At: deployedAt.Add(12 * time.Minute)})
			stepped = true
		}
		if c := s.Checks().Coverage; minute > 12.5 && c.State != analysis.Good {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// A pod is replaced by another under a new name: the rollout goes on.
func TestReplacedPodDoesNotHurt(t *testing.T) {
	pods := arms(func(p *storyPod) {
		if p.name == "c-2" {
			p.to = 12
		}
		if p.name == "b-1" {
			p.to = 14
		}
	})
	pods = append(pods,
		storyPod{arm: analysis.Canary, name: "c-3", from: 12, to: always},
		storyPod{arm: analysis.Baseline, name: "b-4", from: 14.25, to: always})
	tell(t, pods, func(s *analysis.State, minute float64) {
		if c := s.Checks(); minute >= 10 && !promotable(c) || actsOn(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// A pod restarts and misses two folds.
func TestRestartedPodDoesNotHurt(t *testing.T) {
	tell(t, arms(func(p *storyPod) {
		if p.name == "c-1" {
			p.gap = [2]float64{12, 12.5}
		}
	}), func(s *analysis.State, minute float64) {
		if c := s.Checks(); minute >= 10 && !promotable(c) || actsOn(c) {
			t.Fatalf("minute %v: %+v", minute, c)
		}
	})
}

// Harm shown on the data there is may roll back while other pods are silent.
func TestHarmIsSeenThroughAPartialOutage(t *testing.T) {
	seen := 0.0
	tell(t, arms(func(p *storyPod) {
		if p.name == "c-2" {
			p.to = 1
		}
		if p.arm == analysis.Canary {
			p.factor = 6
		}
	}), func(s *analysis.State, minute float64) {
		if seen == 0 && s.Checks().Harm.State == analysis.Bad {
			seen = minute
		}
	})
	if seen == 0 || seen > 5 {
		t.Errorf("harm was shown at minute %v, want within 5", seen)
	}
}

// A source that cannot be read until the deadline: every fold is missing.
func TestSourceOutageToTheDeadline(t *testing.T) {
	s := newState(t, lawPlans(t)[1])
	for {
		f, left := s.Next(0)
		if !left {
			break
		}
		fold(t, s, analysis.Evidence{Objective: "errors", Fold: f, Missing: analysis.SourceUnavailable})
		s.Assess()
		if c := s.Checks(); promotable(c) || actsOn(c) || c.Coverage.State != analysis.Missing || c.Coverage.Code != analysis.TelemetryOutage {
			t.Fatalf("%v: %+v", f, c)
		}
	}
	if !s.AsOf().Equal(s.Plan().Deadline()) {
		t.Errorf("as of %v, want the deadline", s.AsOf())
	}
}
