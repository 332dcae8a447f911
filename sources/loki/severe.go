package loki

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis"
)

// levelLabels carry a line's own level beside it, as a label or in the structured
// metadata: OpenTelemetry's number and text, then what collectors write. What Loki
// itself guesses (detected_level) is not one of them: it takes a word for a level.
var levelLabels = []string{"severity_number", "severity_text", "level", "severity"}

// levelWords are the values of these labels for a level and above, in any case: the words
// that package logdiff knows, and numbers of Pino and Bunyan.
var levelWords = map[analysis.Severity]string{
	analysis.SeverityFatal: `f|c|ftl|fatal|crit.*|emerg.*|panic|dpanic|alert|6\d`,
	analysis.SeverityError: `e|err.*|severe|5\d`,
	analysis.SeverityWarn:  `w|wrn|warn.*|4\d`,
}

// lineWords are found in lines whose own level is said inside of them: words, the values
// of a level's key, single letters near the front, and the priorities of syslog.
var lineWords = map[analysis.Severity]string{
	analysis.SeverityFatal: `(?i:fatal|\bftl\b|crit|emerg|panic|alert|` + key + `(?:[fc]\b|[0-2]\b|6\d\b)|` + letter("fc") + `)|\bF\d{4}|` + priority(0, 1, 2),
	analysis.SeverityError: `(?i:err|severe|exception|traceback|` + key + `(?:e\b|3\b|5\d\b)|number` + is + `(?:1[7-9]|2[0-4])|` + letter("e") + `)|\bE\d{4}|` + priority(3),
	analysis.SeverityWarn:  `(?i:warn|\bwrn\b|` + key + `(?:w\b|4\b|4\d\b)|number` + is + `1[3-6]|` + letter("w") + `)|\bW\d{4}|` + priority(4),
}

// key is a key of a level and what stands before its value, in JSON, also within a string,
// and logfmt.
const (
	key = `(?:l|level|lvl|levelname|severity\w*)` + is
	is  = `\\*"?\s*[=:]\s*\\*"?`
)

// letter finds a level of one letter.
func letter(any string) string { return `^.{0,60}(?:^|[\[(|\s>])[` + any + `](?:[\])|:\s]|$)` }

// priority finds a priority of syslog, which is eight times the facility and the level.
func priority(levels ...int) string {
	var all []string
	for p := range 24 * 8 {
		if slices.Contains(levels, p%8) {
			all = append(all, strconv.Itoa(p))
		}
	}
	return `^<(?:` + strings.Join(all, "|") + `)>`
}

// frames are lines of stack traces that came as entries of their own.
const frames = `^\s|^at |^File "|^Caused by|^Suppressed|^Wrapped by|^\.\.\.|^goroutine |^\[signal |^created by `

// levelNumbers are OpenTelemetry's from which on a line has a level.
var levelNumbers = map[analysis.Severity]string{
	analysis.SeverityFatal: "2[1-4]",
	analysis.SeverityError: "1[7-9]|2[0-4]",
	analysis.SeverityWarn:  "1[3-9]|2[0-4]",
}

// severe returns expressions that together select all lines of a level and above, and
// some below, which are told apart when they are read.
func severe(e expression, level analysis.Severity) []expression {
	if level < analysis.SeverityWarn {
		return []expression{e}
	}
	var labels, lines []string
	for s := analysis.SeverityFatal; s >= level; s-- {
		labels, lines = append(labels, levelWords[s]), append(lines, lineWords[s])
	}
	said := make([]matcher, len(levelLabels))
	unsaid := e.finding(strings.Join(append(lines, frames), "|"))
	for i, label := range levelLabels {
		said[i] = matcher{label, "=~", "(?i)(" + strings.Join(labels, "|") + ")"}
		if label == "severity_number" {
			said[i].value = levelNumbers[level]
		}
		unsaid = unsaid.with(matcher{label, "=", ""})
	}
	return []expression{e.with(said...), unsaid}
}

// containing returns an expression that selects all lines whose message contains the
// text in any case of letters, and others. What an encoding may write in another way
// (quotes, backslashes, white space, what is not ASCII) is not asked for.
func containing(e expression, text string) expression {
	plain := ""
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"\<>&'/`, r)
	}) {
		if len(part) > len(plain) {
			plain = part
		}
	}
	if plain == "" {
		return e
	}
	return e.finding("(?i)" + regexp.QuoteMeta(plain))
}
