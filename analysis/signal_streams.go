package analysis

import (
	"errors"
	"fmt"
	"strings"
)

// maxMustAppear bounds the text that lines must contain.
const maxMustAppear = 256

// ofStreams reports whether s is read from log lines or spans rather than from what a
// source has added up.
func (s Signal) ofStreams() bool { return s.Logs != nil || s.Spans != nil }

// Listed reports whether s is only listed: nothing is decided by its amount.
func (s Signal) Listed() bool { return s.Shape == ShapeTemplates || s.Shape == ShapeTopology }

// untested reports whether s counts lines, but nothing counts the requests.
func (s Signal) untested() bool { return s.Logs != nil && s.Logs.Requests == nil }

// names reports whether s belongs to what names a cause rather than to what users feel:
// lines of logs, and what only whole traces show.
func (s Signal) names() bool {
	return s.Logs != nil || s.Listed() || s.Spans != nil && s.Spans.Event.Sampled()
}

// validateStreams returns what is wrong with a signal of log lines or spans.
func (s Signal) validateStreams() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Logs != nil && s.Spans != nil {
		fail("logs and spans are two signals: name one of them")
	}
	if len(s.Selectors()) > 0 {
		fail("what logs and spans say has no counters, histograms or gauges of its own")
	}
	if s.Logs != nil {
		errs = append(errs, s.validateLogs())
	}
	if s.Spans != nil {
		errs = append(errs, s.validateSpans())
	}
	return errors.Join(errs...)
}

func (s Signal) validateLogs() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	l := s.Logs
	if l.Severity > SeverityFatal {
		fail("severity %d is not known", l.Severity)
	}
	if len(l.MustAppear) > maxMustAppear {
		fail("the text that must appear has %d bytes, more than %d", len(l.MustAppear), maxMustAppear)
	}
	switch s.Shape {
	case ShapeRatio:
		if (l.Severity == SeverityUnknown) == (l.MustAppear == "") {
			fail("a ratio of log lines needs exactly one of a severity and a text that must appear")
		}
		if l.MustAppear != "" && strings.TrimSpace(l.MustAppear) == "" {
			fail("the text that must appear is blank")
		}
	case ShapeTemplates:
		if l.MustAppear != "" {
			fail("templates list all lines: a text that must appear is a ratio")
		}
	default:
		fail("logs are judged as %s or %s, not as %s", ShapeRatio, ShapeTemplates, s.Shape)
	}
	if r := l.Requests; r != nil {
		switch {
		case r.Shape != ShapeRatio || r.Logs != nil:
			fail("requests are counted by a ratio of counters or spans")
		case r.Spans != nil && r.Spans.Event != SpanErrors:
			fail("requests are counted by the spans of all requests (%s), not by %s", SpanErrors, r.Spans.Event)
		default:
			errs = append(errs, r.Validate())
		}
	}
	return errors.Join(errs...)
}

func (s Signal) validateSpans() error {
	event := s.Spans.Event
	switch {
	case s.Shape == ShapeRatio && (event == SpanErrors || event == SpanExclusive || event == SpanCalls):
	case s.Shape == ShapeDistribution && event == SpanDuration:
	case s.Shape == ShapeTopology && event == "":
	case s.Shape == ShapeRatio:
		return fmt.Errorf("a ratio of spans counts %s, %s or %s, not %q", SpanErrors, SpanExclusive, SpanCalls, event)
	case s.Shape == ShapeDistribution:
		return fmt.Errorf("a distribution of spans is that of their %s, not of %q", SpanDuration, event)
	case s.Shape == ShapeTopology:
		return fmt.Errorf("a topology lists all spans: it has no event %q", event)
	default:
		return fmt.Errorf("spans are judged as %s, %s or %s, not as %s", ShapeRatio, ShapeDistribution, ShapeTopology, s.Shape)
	}
	return nil
}

// validateRole returns what an objective about logs or traces must not be.
func (o Objective) validateRole() error {
	switch {
	case o.Signal.Listed() && o.Role != Advisory:
		return fmt.Errorf("%s are listed: their role is %s, not %s", o.Signal.Shape, Advisory, o.Role)
	case o.Signal.Listed() && (o.Target != 0 || o.Tolerance != nil || o.Margin != nil || o.Leak != nil || len(o.Strata) > 0):
		return fmt.Errorf("%s are listed: they have no target, tolerance, margin or strata", o.Signal.Shape)
	case o.Signal.names() && o.Role == Critical:
		return fmt.Errorf("logs and traces name what is wrong, new code writes new lines: their role is %s or %s, not %s", Secondary, Advisory, Critical)
	case o.Signal.Logs != nil && o.Target != 0:
		return fmt.Errorf("an SLO is about requests: lines have no target")
	}
	return nil
}
