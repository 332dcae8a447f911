package liar

import (
	"maps"
	"math"
	"slices"
	"time"
)

// hold returns the series that a server with this script holds, and how often each
// rule changed something.
func (t *Telemetry) hold(script Script) (all []Series, obeyed []int) {
	all, obeyed = clone(t.Series), make([]int, len(script))
	for k := range script {
		rule := &script[k]
		if rule.sort() != held {
			continue
		}
		if rule.Do == "fail" {
			t.fail(all, rule, &obeyed[k])
			continue
		}
		for i, n := 0, len(all); i < n; i++ {
			s := &all[i]
			if !rule.concerns(s.metric(), s.Arm, s.Pod) {
				continue
			}
			switch rule.Do {
			case "silent":
				s.Samples = t.keep(s.Samples, rule, &obeyed[k])
			case "idle":
				if s.metric() == Requests {
					s.Samples = t.idle(s.Samples, rule, &obeyed[k])
				}
			case "reset", "restart":
				s.Samples = t.restart(s, rule, &obeyed[k])
			case "relabel", "double":
				other := s.relabelled(rule, t)
				obeyed[k] += len(other.Samples)
				all = append(all, other) // s may not be used any more
				if s := &all[i]; rule.Do == "relabel" {
					s.Samples = t.keep(s.Samples, rule, new(int))
				}
			case "skew":
				s.Samples = t.skew(s.Samples, rule, &obeyed[k])
			}
		}
	}
	return slices.DeleteFunc(all, func(s Series) bool { return len(s.Samples) == 0 }), obeyed
}

// keep returns the samples outside the rule's window.
func (t *Telemetry) keep(samples []Sample, rule *Rule, obeyed *int) []Sample {
	var kept []Sample
	for _, s := range samples {
		if rule.in(t.since(s)) {
			*obeyed++
		} else {
			kept = append(kept, s)
		}
	}
	return kept
}

// idle lets a counter stand still in the window. A counter whose pod was not there
// before never begins.
func (t *Telemetry) idle(samples []Sample, rule *Rule, obeyed *int) []Sample {
	var out []Sample
	stood, counted := 0.0, 0.0 // what was not counted, and the last value
	for _, s := range samples {
		if rule.in(t.since(s)) {
			*obeyed++
			stood = s.V - counted
		}
		counted = s.V - stood
		if counted > 0 {
			out = append(out, Sample{s.T, counted})
		}
	}
	return out
}

// restart lets a counter begin again at the rule's time. Only where it is told, the
// start of the process is that time.
func (t *Telemetry) restart(s *Series, rule *Rule, obeyed *int) []Sample {
	out := slices.Clone(s.Samples)
	base, at := 0.0, t.Deployed.Add(*rule.From)
	for i, sample := range s.Samples {
		switch {
		case t.since(sample) <= *rule.From:
			base = sample.V
		case s.metric() == starts:
			if rule.Do == "restart" {
				out[i].V = float64(at.UnixMilli()) / 1000
				*obeyed++
			}
		default:
			out[i].V = sample.V - base
			*obeyed++
		}
	}
	return slices.DeleteFunc(out, func(s Sample) bool { return s.V == 0 }) // an error counter is born again with its next error
}

// relabelled returns the samples of the rule's window with another label, or without it.
func (s *Series) relabelled(rule *Rule, t *Telemetry) Series {
	other := *s
	other.Labels = maps.Clone(s.Labels)
	if other.Labels[rule.Label] = rule.Value; rule.Value == "" {
		delete(other.Labels, rule.Label)
	}
	other.Samples = slices.DeleteFunc(slices.Clone(s.Samples), func(s Sample) bool { return !rule.in(t.since(s)) })
	return other
}

// skew stamps the samples of the window with the wrong clock. What would lie before
// a sample that is there already is refused, as a server does.
func (t *Telemetry) skew(samples []Sample, rule *Rule, obeyed *int) []Sample {
	var out []Sample
	for _, s := range samples {
		if rule.in(t.since(s)) {
			*obeyed++
			s.T += rule.By.Milliseconds()
		}
		if n := len(out); n == 0 || s.T > out[n-1].T {
			out = append(out, s)
		}
	}
	return out
}

// fail moves a share of the successes of the window to the errors of the same pod.
func (t *Telemetry) fail(all []Series, rule *Rule, obeyed *int) {
	errors := map[string]*Series{}
	for i := range all {
		if s := &all[i]; s.metric() == Requests && s.Labels[StatusCode] == "500" {
			errors[s.Pod] = s
		}
	}
	for i := range all {
		s := &all[i]
		if s.metric() != Requests || s.Labels[StatusCode] != "200" || !rule.concerns(s.metric(), s.Arm, s.Pod) || errors[s.Pod] == nil {
			continue
		}
		moved := make(map[int64]float64, len(s.Samples)) // by time, since the beginning
		out := slices.Clone(s.Samples)
		last, sum := 0.0, 0.0
		for k, sample := range s.Samples {
			if rule.in(t.since(sample)) {
				*obeyed++
				sum += rule.Share * (sample.V - last)
			}
			last = sample.V
			moved[sample.T] = math.Floor(sum)
			out[k].V -= math.Floor(sum)
		}
		s.Samples = out
		to := errors[s.Pod]
		counted := map[int64]float64{}
		for _, sample := range to.Samples {
			counted[sample.T] = sample.V
		}
		to.Samples = nil
		before := 0.0
		for _, sample := range out {
			if v, ok := counted[sample.T]; ok {
				before = v
			}
			if v := before + moved[sample.T]; v > 0 {
				to.Samples = append(to.Samples, Sample{sample.T, v})
			}
		}
	}
}

// clock returns what the server's clock shows at an instant, by the script.
func (t *Telemetry) clock(script Script, now time.Time) time.Time {
	for k := range script {
		if rule := &script[k]; rule.Do == "skew" && !rule.picky() && rule.in(now.Sub(t.Deployed)) {
			now = now.Add(rule.By)
		}
	}
	return now
}
