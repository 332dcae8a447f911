package verdicts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
)

// MaxReason is the longest reason in characters.
const MaxReason = 200

// Line makes one harmless line of at most MaxReason characters out of s.
func Line(s string) string { return Shorten(Plain(s), MaxReason) }

// Plain takes out of s what could do more than be read: control characters
// (terminal escapes begin with one), line breaks and characters that turn the
// direction of writing become spaces, invalid UTF-8 becomes U+FFFD.
func Plain(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(s)
}

// Shorten cuts s to at most n characters, at a character, and shows by "…" that
// it did.
func Shorten(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	cut := string([]rune(s)[:max(n-1, 0)])
	return strings.TrimRightFunc(cut, unicode.IsSpace) + "…"
}

// reason returns the code and the line for what the given column says. A check
// brings its own; where it brings none, its state stands for one.
func reason(word Word, because int, plan *analysis.Plan, checks analysis.Checks, gates []Gate) (analysis.Code, string) {
	var code analysis.Code
	var text string
	switch because {
	case ofPlan:
		code, text = plan.Refused, plan.RefusedReason
	case ofGates:
		code, text = analysis.GateClosed, closedGates(gates)
	case ofBake:
		code, text = analysis.MinBake, bakeLine(plan, checks)
	default:
		check := sixChecks(checks)[because-ofHarm]
		code, text = check.Code, check.Reason
		if code == "" {
			code = defaultCode(because, check.State)
		}
	}
	switch {
	case word == Promote:
		code = analysis.AllSafe
	case word == Rollback && because == ofHarm:
		code = analysis.HarmShown
	case word == Rollback:
		code = analysis.CanaryNotServing
	case word == Hold && code == analysis.Collecting:
		code = analysis.TooLittleData // there is no more time to collect in
	}
	if text == "" {
		text = lineOf(code)
	}
	if word != Rollback && because != ofPlan && (checks.Harm.State == analysis.Bad || checks.Serving.State == analysis.Bad) {
		text = "harm is shown, but " + text
	}
	return code, Line(text)
}

// defaultCode is the code of a check that names none.
func defaultCode(column int, state analysis.CheckState) analysis.Code {
	if state == analysis.Errored {
		return analysis.AnalyzerFault
	}
	contradicted := state == analysis.Bad || state == analysis.Conflicting
	switch column {
	case ofIdentity:
		if contradicted {
			return analysis.IdentityMismatch
		}
		return analysis.IdentityUnproven
	case ofCoverage:
		switch state {
		case analysis.Undecided:
			return analysis.TooFewSamples
		case analysis.Missing:
			return analysis.TelemetryOutage
		case analysis.Stale:
			return analysis.TelemetryStale
		}
		return analysis.TelemetryPartial
	case ofServing:
		if contradicted {
			return analysis.TrafficShareOff
		}
		return analysis.NoTraffic
	case ofEnvironment:
		if contradicted {
			return analysis.EnvironmentDegraded
		}
		return analysis.NoConcurrentBaseline
	}
	return analysis.Collecting
}

func closedGates(gates []Gate) string {
	var parts []string
	for _, g := range gates {
		if g.Open {
			continue
		}
		part := "gate " + g.Name + " is closed"
		if g.Reason != "" {
			part += ": " + g.Reason
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func bakeLine(plan *analysis.Plan, checks analysis.Checks) string {
	first := checks.FirstExposure.End
	if first.IsZero() {
		return "shown safe, but the canary's first traffic is not known, from which the bake counts"
	}
	return "shown safe; the bake ends at " + first.Add(plan.Window.MinBake.D()).UTC().Format("15:04:05") + " UTC"
}
