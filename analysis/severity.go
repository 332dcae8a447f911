package analysis

import (
	"fmt"
	"strings"
)

// Severity is how bad a log line says that things are. The zero value is unknown,
// which counts as Info.
type Severity uint8

// The severities, as OpenTelemetry groups its 24 numbers.
const (
	SeverityUnknown Severity = iota
	SeverityTrace
	SeverityDebug
	SeverityInfo
	SeverityWarn
	SeverityError
	SeverityFatal
)

var severityNames = [...]string{"unknown", "trace", "debug", "info", "warn", "error", "fatal"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return severityNames[0]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It reads its own words only;
// what loggers write is read by package analysis/logdiff.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if strings.EqualFold(name, string(text)) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("severity %q is not known (legal: %s)", text, strings.Join(severityNames[1:], ", "))
}

// SeverityOfNumber returns the severity of OpenTelemetry's number: 1 to 4 are trace, 5
// to 8 debug, and so on to 24 (logs data model, "severity fields"); others are unknown.
func SeverityOfNumber(n int) Severity {
	if n < 1 || n > 24 {
		return SeverityUnknown
	}
	return Severity((n-1)/4 + 1)
}
