package redact

import (
	"regexp"
	"strings"
)

// A rule hides the groups of a pattern, or all of it where it has none, in which holds
// finds a secret.
type rule struct {
	kind    string
	pattern *regexp.Regexp
	holds   func(string) bool // nil: always
}

// secretKey are keys whose values are secrets, with what may stand before and behind, and
// the separator. Words like "tokens" and "secretary" are none.
const secretKey = `(?i)(?:passwords?|passwd|passphrase|pwd|secret|token|api[_.-]?key|apikey|access[_.-]?key|private[_.-]?key|client[_.-]?key|credentials?|session[_.-]?id|x-auth|csrf|signature)` +
	`(?:[_.-][\w.-]*|value|id|key|secret)?\\?["']?\s*(?:[=:]|=>)\s*`

var rules = []rule{
	{"key", regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----(.+?)(?:-----END|$)`), nil},
	{"secret", regexp.MustCompile(`://[^\s/:@]+:([^\s/@]+)@`), nil},
	{"secret", regexp.MustCompile(`(?i)\bauthorization\\?["']?\s*[=:]\s*\\?["']?([^"'\\\r\n,]*[^"'\\\r\n,\s])`), nil},
	{"secret", regexp.MustCompile(`(?i)\b(?:set-)?cookie\\?["']?\s*[=:]\s*\\?["']?([^"'\\\r\n]*[^"'\\\r\n\s])`), nil},
	{"token", regexp.MustCompile(`(?i)\bbearer\s+([^\s"',;]{6,})`), nil},
	{"secret", regexp.MustCompile(secretKey + `(?:\\"((?:[^"\\]|\\[^"])+)|"((?:[^"\\]|\\.)+)|'([^']+)|([^\s,;&"'{}\[\]()\\]+))`), nil},
	{"token", regexp.MustCompile(`\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?`), nil},
	{"token", regexp.MustCompile(`\b(?:(?:AKIA|ASIA|AROA)[A-Z0-9]{16}\b|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|[rs]k_(?:live|test)_\w{10,}|AIza[\w-]{30,}|sk-[\w-]{20,}|npm_\w{30,})`), nil},
	{"email", regexp.MustCompile(`[A-Za-z0-9._%+<*>-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}`), nil},
	{"card", regexp.MustCompile(`\b[2-6]\d(?:[ -]?\d){11,17}\b`), isCard},
	{"token", regexp.MustCompile(`[A-Za-z0-9+_=-]{32,}`), isRandom},
}

// apply hides what the rule finds.
func (r *rule) apply(text string) string {
	found := r.pattern.FindAllStringSubmatchIndex(text, -1)
	if found == nil {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range found {
		from, to := m[0], m[1]
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				from, to = m[g], m[g+1]
			}
		}
		if from == to || r.holds != nil && !r.holds(text[from:to]) {
			continue
		}
		b.WriteString(text[at:from])
		b.WriteString("<redacted:" + r.kind + ">")
		at = to
	}
	b.WriteString(text[at:])
	return b.String()
}

// isCard reports whether the digits are a card number: 13 to 19 of them with a right check
// digit (ISO/IEC 7812-1, annex B, the formula of Luhn).
func isCard(text string) bool {
	sum, n := 0, 0
	for i := len(text) - 1; i >= 0; i-- {
		d := int(text[i]) - '0'
		if d < 0 || d > 9 {
			continue
		}
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return n >= 13 && n <= 19 && sum%10 == 0
}

// isRandom reports whether long text is no name: hexadecimal beyond the length of trace
// ids and commits, or letters of both cases and digits in many turns.
func isRandom(text string) bool {
	var upper, lower, digits, turns int
	hex := true
	for i, c := range []byte(text) {
		switch {
		case c >= 'A' && c <= 'Z':
			upper++
			hex = hex && c <= 'F'
		case c >= 'a' && c <= 'z':
			lower++
			hex = hex && c <= 'f'
		case c >= '0' && c <= '9':
			digits++
		default:
			hex = false
		}
		if i > 0 && isDigit(c) != isDigit(text[i-1]) {
			turns++
		}
	}
	if hex {
		return len(text) > 40
	}
	return upper > 2 && lower > 2 && digits*10 >= len(text) && turns >= 6
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// stems are parts of words without which the rules for keys find nothing.
var stems = []string{"pass", "pwd", "secret", "token", "key", "auth", "cred", "cookie", "session", "bearer", "csrf", "signature"}

// suspicious reports whether any built-in rule may find something.
func suspicious(text string) bool {
	digits, run := 0, 0
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '@':
			return true
		case isDigit(c):
			if digits++; digits >= 13 {
				return true
			}
			run++
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '+' || c == '_' || c == '=' || c == '-' || c == '.':
			run++
		default:
			run = 0
		}
		if run >= 12 && (text[i-run+1] == 'e' || c == '_' || c == '-') || run >= 15 {
			return true
		}
	}
	for i := range len(text) {
		c := text[i] | 0x20
		for _, s := range stems {
			if c == s[0] && len(text)-i >= len(s) && strings.EqualFold(text[i:i+len(s)], s) {
				return true
			}
		}
	}
	return false
}
