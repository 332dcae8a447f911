package logdiff

import (
	"bytes"

	"github.com/release-assay/assay/analysis"
)

var syslogSeverity = [8]analysis.Severity{
	analysis.SeverityFatal, analysis.SeverityFatal, analysis.SeverityFatal, analysis.SeverityError,
	analysis.SeverityWarn, analysis.SeverityInfo, analysis.SeverityInfo, analysis.SeverityDebug,
}

// severityOf reads the value of a level's key: a word, a number as Bunyan and Pino use
// them (30 is info), or one of syslog (below 8).
func severityOf(text []byte, isString bool) analysis.Severity {
	if s := severityWord(text); s != analysis.SeverityUnknown {
		return s
	}
	n := atoi(text)
	switch {
	case len(text) == 0 || kinds[text[0]] != digit:
		return analysis.SeverityUnknown
	case n < 8 && !isString:
		return syslogSeverity[n]
	case n >= 10 && n < 70:
		return [...]analysis.Severity{
			analysis.SeverityTrace, analysis.SeverityDebug, analysis.SeverityInfo,
			analysis.SeverityWarn, analysis.SeverityError, analysis.SeverityFatal,
		}[n/10-1]
	}
	return analysis.SeverityUnknown
}

// severityWord reads the words for levels that loggers write, in any case of letters.
func severityWord(word []byte) analysis.Severity {
	var lower [12]byte
	if len(word) == 0 || len(word) > len(lower) {
		return analysis.SeverityUnknown
	}
	for i, c := range word {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(word)]) {
	case "trace", "trc", "finest", "finer", "verbose", "t":
		return analysis.SeverityTrace
	case "debug", "dbg", "fine", "d":
		return analysis.SeverityDebug
	case "info", "inf", "information", "notice", "config", "i":
		return analysis.SeverityInfo
	case "warn", "warning", "wrn", "w":
		return analysis.SeverityWarn
	case "error", "err", "severe", "e":
		return analysis.SeverityError
	case "fatal", "ftl", "critical", "crit", "panic", "dpanic", "emerg", "emergency", "alert", "f", "c":
		return analysis.SeverityFatal
	}
	return analysis.SeverityUnknown
}

// level reads the level at the front of a line with its brackets or colon; 0: there is
// none. "Error opening x" has none: without a time stamp before it a level is a word in
// capitals, in brackets or before a colon.
func level(line []byte, stamped bool) (analysis.Severity, int) {
	open := 0
	for open < len(line) && open < 2 && (line[open] == '[' || line[open] == '(' || line[open] == '|') {
		open++
		for open < len(line) && line[open] == ' ' {
			open++
		}
	}
	end := open
	for end < len(line) && end-open <= 12 && kinds[line[end]] == letter {
		end++
	}
	word := line[open:end]
	s := severityWord(word)
	if s == analysis.SeverityUnknown {
		return s, 0
	}
	closed := end
	for closed < len(line) && line[closed] == ' ' && open > 0 {
		closed++
	}
	marked := closed < len(line) && (open > 0 && (line[closed] == ']' || line[closed] == ')' || line[closed] == '|') || open == 0 && line[closed] == ':')
	if marked {
		end = closed + 1
		if end < len(line) && line[end] == ':' {
			end++
		}
	}
	if end < len(line) && line[end] != ' ' && line[end] != '\t' && !marked {
		return s, 0
	}
	if open > 0 && !marked || len(word) == 1 && !marked && !stamped {
		return analysis.SeverityUnknown, 0
	}
	if !marked && !stamped && !isUpper(word) || bytes.HasPrefix(line, []byte("panic: ")) { // the runtime's word, not a logger's
		return analysis.SeverityUnknown, 0
	}
	return s, end
}

func isUpper(word []byte) bool {
	for _, c := range word {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// withinLine reads the level behind a thread or logger in brackets, where many programs
// write it after the time stamp, and the words with which runtimes report a crash.
func withinLine(line []byte, stamped bool) analysis.Severity {
	switch {
	case bytes.HasPrefix(line, []byte("panic: ")), bytes.HasPrefix(line, []byte("fatal error: ")):
		return analysis.SeverityFatal
	case bytes.HasPrefix(line, []byte("Exception in thread ")), bytes.HasPrefix(line, []byte("Traceback (most recent call last)")), bytes.HasPrefix(line, []byte("Unhandled exception")):
		return analysis.SeverityError
	}
	if !stamped {
		return analysis.SeverityUnknown
	}
	rest := line[:min(len(line), 120)]
	for range 4 {
		rest = bytes.TrimLeft(rest, " \t-|")
		end := bytes.IndexByte(rest, ' ')
		if len(rest) > 0 && rest[0] == '[' {
			end = bytes.IndexByte(rest, ']') + 1
		}
		if end <= 0 {
			break
		}
		word := bytes.Trim(rest[:end], "[]():|")
		if len(word) > 2 && isUpper(word) {
			if s := severityWord(word); s != analysis.SeverityUnknown {
				return s
			}
		}
		rest = rest[end:]
	}
	return analysis.SeverityUnknown
}
