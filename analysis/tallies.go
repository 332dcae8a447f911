package analysis

import (
	"fmt"
	"math"
)

// PossibleTallies returns why no source can have meant what e lists of lines and spans,
// which [State.Fold] refuses.
func (e *Evidence) PossibleTallies() error { return e.validateTallies() }

// validateTallies returns why no source can have meant what e says about lines and spans.
// Numbers that pass can be added up for as long as a validation lasts.
func (e *Evidence) validateTallies() error {
	if e.Logs != nil {
		if err := e.Logs.validate(); err != nil {
			return err
		}
	}
	if e.Spans != nil {
		return e.Spans.validate()
	}
	return nil
}

func (l *LogTally) validate() error {
	if err := l.NotRead.validate(); err != nil {
		return err
	}
	for i := range l.Templates {
		t := &l.Templates[i]
		if !sane(t.Baseline, t.Canary, t.BaselineLines, t.CanaryLines) || t.BaselinePods < 0 || t.Severity > SeverityFatal {
			return fmt.Errorf("template %s: no lines can be counted like that: %+v", t.Template, *t)
		}
		if t.CanaryExample == nil {
			continue
		}
		if year := t.CanaryExample.Time.UTC().Year(); year < 1 || year > 9999 { // which no look can hold
			return fmt.Errorf("template %s: a line of the year %d", t.Template, year)
		}
	}
	for _, v := range l.Volumes {
		if v.Arm < Baseline || v.Arm > Control || v.Level > SeverityFatal || !sane(v.Lines, v.Bytes) {
			return fmt.Errorf("no lines can be counted like that: %+v", v)
		}
	}
	return nil
}

func (s *SpanTally) validate() error {
	if err := s.NotRead.validate(); err != nil {
		return err
	}
	for i := range s.Edges {
		e := &s.Edges[i]
		for _, c := range [...]SpanCount{e.Baseline, e.Canary} {
			if !sane(c.Calls, c.Errors, c.Seconds, c.Traces, c.Sampled, c.Exclusive, c.Self, c.Retries) {
				return fmt.Errorf("operation %q of %s: no spans can be counted like that: %+v", e.Operation, e.Service, c)
			}
		}
	}
	return nil
}

func (n *NotRead) validate() error {
	if !sane(n.Skipped, n.Late, n.Truncated, n.Dropped, n.Broken) || !(n.Share >= 0 && n.Share <= 1) {
		return fmt.Errorf("no lines or spans can be left out like that: %+v", *n)
	}
	return nil
}

// sane reports whether all counts are counts.
func sane(counts ...float64) bool {
	for _, v := range counts {
		if !(v >= 0 && v <= maxCount) {
			return false
		}
	}
	return true
}

// finite reports whether all sums of counts are sums of counts.
func finite(sums ...float64) bool {
	for _, v := range sums {
		if !(v >= 0 && v <= math.MaxFloat64) {
			return false
		}
	}
	return true
}
