package logdiff

import (
	"bytes"
	"time"

	"github.com/release-assay/assay/analysis"
)

// plain takes time stamps, stream marks of container runtimes and the level off the front
// of a line.
func plain(line []byte, f *Fields) []byte {
	severity := analysis.SeverityUnknown
	stamped := false
	if s, rest, ok := klog(line); ok {
		f.Severity = s
		return rest
	}
	if n := syslogPriority(line); n > 0 {
		severity, line = syslogSeverity[atoi(line[1:bytes.IndexByte(line, '>')])&7], line[n:]
	}
	for range 6 {
		line = bytes.TrimLeft(line, " \t")
		if t, n := stamp(line); n > 0 {
			if f.Time.IsZero() && !t.IsZero() {
				f.Time = t
			}
			line, stamped = line[n:], true
			continue
		}
		if n := streamMark(line); n > 0 && stamped {
			line = line[n:]
			continue
		}
		s, n := level(line, stamped)
		if n == 0 {
			break
		}
		severity, line = s, line[n:]
	}
	line = bytes.TrimLeft(line, " \t")
	if severity == analysis.SeverityUnknown {
		severity = withinLine(line, stamped)
	}
	if severity != analysis.SeverityUnknown {
		f.Severity = severity
	}
	return line
}

// stamp reads a time stamp with what stands around it; 0: there is none. The time is zero
// if it has no date.
func stamp(line []byte) (time.Time, int) {
	if len(line) < 8 {
		return time.Time{}, 0
	}
	open := 0
	if line[0] == '[' || line[0] == '(' {
		open = 1
	}
	t, n := parseTime(line[open:])
	if n == 0 {
		if n = clock(line[open:]); n == 0 {
			if n = monthDay(line[open:]); n == 0 {
				return t, 0
			}
		}
	}
	n += open
	if open == 1 {
		if n >= len(line) || line[n] != ']' && line[n] != ')' {
			return t, 0
		}
		n++
	}
	for n < len(line) && (line[n] == ':' || line[n] == '|') {
		n++
	}
	if n < len(line) && line[n] != ' ' && line[n] != '\t' && line[n] != '[' {
		return t, 0
	}
	return t, n
}

// parseTime reads a date and a time of the kind of RFC 3339: the T may be a space, the
// fraction may follow a comma, and the zone may be missing (UTC). 0: it is none.
func parseTime(text []byte) (time.Time, int) {
	var v [6]int
	const form = "dddd-dd-dd dd:dd:dd"
	if len(text) < len(form) {
		return time.Time{}, 0
	}
	part := 0
	for i, c := range text[:len(form)] {
		switch want := form[i]; {
		case want == 'd' && kinds[c] == digit:
			v[part] = v[part]*10 + int(c-'0')
		case i == 10 && (c == ' ' || c == 'T' || c == '_'), want == ':' && c == ':', want == '-' && (c == '-' || c == '/' || c == '.'):
			part++
		default:
			return time.Time{}, 0
		}
	}
	if v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31 || v[3] > 24 || v[4] > 59 || v[5] > 60 {
		return time.Time{}, 0
	}
	n, fraction := len(form), int64(0)
	if n+1 < len(text) && (text[n] == '.' || text[n] == ',') && kinds[text[n+1]] == digit {
		fraction = nanos(text[n+1:])
		for n++; n < len(text) && kinds[text[n]] == digit; {
			n++
		}
	}
	offset, length := zone(text[n:])
	t := time.Date(v[0], time.Month(v[1]), v[2], v[3], v[4], v[5], int(fraction), time.UTC)
	return t.Add(-offset), n + length
}

// zone reads Z or an offset from UTC.
func zone(text []byte) (time.Duration, int) {
	if len(text) > 0 && text[0] == 'Z' {
		return 0, 1
	}
	if len(text) < 5 || text[0] != '+' && text[0] != '-' {
		return 0, 0
	}
	n := 5
	minutes := text[3:]
	if text[3] == ':' {
		if n = 6; len(text) < n {
			return 0, 0
		}
		minutes = text[4:]
	}
	for _, c := range [4]byte{text[1], text[2], minutes[0], minutes[1]} {
		if kinds[c] != digit {
			return 0, 0
		}
	}
	offset := time.Duration(atoi(text[1:3]))*time.Hour + time.Duration(atoi(minutes[:2]))*time.Minute
	if text[0] == '-' {
		offset = -offset
	}
	return offset, n
}

// clock returns the length of a time of day with seconds; 0: it is none.
func clock(text []byte) int {
	const form = "dd:dd:dd"
	if len(text) < len(form) {
		return 0
	}
	for i, c := range text[:len(form)] {
		if (form[i] == 'd') != (kinds[c] == digit) || form[i] == ':' && c != ':' {
			return 0
		}
	}
	n := len(form)
	if n < len(text) && (text[n] == '.' || text[n] == ',') {
		for n++; n < len(text) && kinds[text[n]] == digit; {
			n++
		}
	}
	return n
}

// monthDay returns the length of "Jan  2 15:04:05"; 0: it is none.
func monthDay(text []byte) int {
	if len(text) < 15 || text[3] != ' ' || text[6] != ' ' || bytes.Index([]byte("JanFebMarAprMayJunJulAugSepOctNovDec"), text[:3])%3 != 0 {
		return 0
	}
	if n := clock(text[7:]); n > 0 && kinds[text[5]] == digit {
		return 7 + n
	}
	return 0
}

// streamMark returns the length of "stdout F " as container runtimes write it.
func streamMark(line []byte) int {
	const n = len("stdout F ")
	if len(line) < n || !bytes.HasPrefix(line, []byte("stdout ")) && !bytes.HasPrefix(line, []byte("stderr ")) || line[7] != 'F' && line[7] != 'P' || line[8] != ' ' {
		return 0
	}
	return n
}

// klog reads "E0129 08:43:04.123456    12 file.go:34] message".
func klog(line []byte) (analysis.Severity, []byte, bool) {
	if len(line) < 14 || line[5] != ' ' || bytes.IndexByte([]byte("IWEF"), line[0]) < 0 || clock(line[6:]) == 0 {
		return 0, nil, false
	}
	for _, c := range line[1:5] {
		if kinds[c] != digit {
			return 0, nil, false
		}
	}
	end := bytes.Index(line[:min(len(line), 160)], []byte("] "))
	if end < 0 {
		return 0, nil, false
	}
	return severityOf(line[:1], true), line[end+2:], true
}

// syslogPriority returns the length of "<34>" or "<34>1 " (RFC 5424); 0: there is none.
func syslogPriority(line []byte) int {
	end := bytes.IndexByte(line[:min(len(line), 5)], '>')
	if end < 2 || line[0] != '<' {
		return 0
	}
	for _, c := range line[1:end] {
		if kinds[c] != digit {
			return 0
		}
	}
	if bytes.HasPrefix(line[end+1:], []byte("1 ")) {
		return end + 3
	}
	return end + 1
}
