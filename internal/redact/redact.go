// Package redact hides what must not leave memory in a text: e-mail addresses, payment
// cards, tokens (JSON web tokens, cloud and forge keys, long random text), private keys,
// passwords in addresses, and the values of keys that name a secret, in JSON, logfmt,
// headers and plain words.
//
// What is hidden becomes <redacted:kind>. Rules look at the text alone: a secret that
// looks like any word is found only behind its key. Texts are only ever redacted when they
// are retained, so that nothing here is on the path of every line.
package redact

import (
	"fmt"
	"regexp"
	"strings"
)

// A Redactor hides secrets. The zero value knows the built-in rules. It is safe for
// concurrent use.
type Redactor struct {
	patterns []*regexp.Regexp
}

// New returns a Redactor that also hides what the patterns match (RE2 syntax). A pattern
// that matches empty text is refused.
func New(patterns []string) (*Redactor, error) {
	r := &Redactor{}
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("redaction pattern %q: %w", p, err)
		}
		if re.MatchString("") {
			return nil, fmt.Errorf("redaction pattern %q matches empty text", p)
		}
		r.patterns = append(r.patterns, re)
	}
	return r, nil
}

// maxRounds bounds how often a text is looked at again: what is hidden can uncover
// something else beside it.
const maxRounds = 16

// String returns the text without secrets. Redacting twice changes nothing more. A text
// that would grow to more than twice its length and 1 KiB is hidden as a whole.
func (r *Redactor) String(text string) string {
	if len(r.patterns) == 0 && !suspicious(text) {
		return text
	}
	out := text
	for range maxRounds {
		next := r.once(out)
		if next == out {
			return out
		}
		if out = next; len(out) > 2*len(text)+1024 {
			break
		}
	}
	return whole
}

// whole stands for text of which nothing can be shown, or that a user's pattern hides.
const whole = "<redacted>"

// placeholders are not looked at again.
var placeholders = regexp.MustCompile(`<redacted(?::[a-z]+)?>`)

// once applies all rules to what is not hidden yet.
func (r *Redactor) once(text string) string {
	var b strings.Builder
	at := 0
	for _, p := range append(placeholders.FindAllStringIndex(text, -1), []int{len(text), len(text)}) {
		b.WriteString(r.segment(text[at:p[0]]))
		b.WriteString(text[p[0]:p[1]])
		at = p[1]
	}
	return b.String()
}

// segment applies the first rule that finds something; the next round goes on.
func (r *Redactor) segment(text string) string {
	if text == "" {
		return text
	}
	for _, p := range r.patterns {
		if p.MatchString(text) {
			return p.ReplaceAllLiteralString(text, whole)
		}
	}
	for _, rule := range rules {
		if out := rule.apply(text); out != text {
			return out
		}
	}
	return text
}
