package intake

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lengths of identifying strings, in bytes.
const (
	maxName   = 128 // environment, namespace, service, version
	maxID     = 256 // ids of events and deployments
	maxSource = 1024
	maxURL    = 2048
)

// checkName accepts what can stand in a key <environment>/<namespace>/<service>,
// in the address of a gate and in a label of every backend: letters, digits and
// the given others, beginning with a letter or digit.
func checkName(s, others string) error {
	if s == "" {
		return fmt.Errorf("missing")
	}
	if len(s) > maxName {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(s), maxName)
	}
	for i, r := range s {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || i > 0 && strings.ContainsRune(others, r) {
			continue
		}
		return fmt.Errorf("%q has %q at byte %d; legal are letters, digits and %s after the first", clip(s), r, i, others)
	}
	return nil
}

const (
	nameOthers    = "._-"
	versionOthers = "._-+:@~"
)

// notInIDs are printable and still refused.
var notInIDs = [128]bool{'"': true, '\'': true, '`': true, '\\': true, '<': true, '>': true, '{': true, '}': true}

// checkID accepts an opaque id: printable ASCII without spaces and quotes.
func checkID(s string) error {
	if s == "" {
		return fmt.Errorf("missing")
	}
	if len(s) > maxID {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(s), maxID)
	}
	for i, r := range s {
		if r <= ' ' || r > '~' || notInIDs[r] {
			return fmt.Errorf("%q has %q at byte %d; legal is printable ASCII without spaces, quotes and brackets", clip(s), r, i)
		}
	}
	return nil
}

// checkText accepts any text of one line: it is shown, stored and compared, never
// part of a name.
func checkText(s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("invalid UTF-8")
	}
	for i, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("control character %q at byte %d", r, i)
		}
	}
	return nil
}

// The bounds of the log lines that a deployment declares as expected.
const (
	maxLines = 32
	maxLine  = 256 // bytes of each text
)

// checkLines checks texts of log lines. A blank one would be in every line, and excuse
// them all.
func checkLines(lines []string) error {
	if len(lines) > maxLines {
		return fmt.Errorf("%d entries, at most %d are allowed", len(lines), maxLines)
	}
	for i, line := range lines {
		if err := checkText(line, maxLine); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if strings.TrimSpace(line) == "" {
			return fmt.Errorf("entry %d: blank", i)
		}
	}
	return nil
}

// checkLabels checks labels, or the matchers of a selector.
func checkLabels(m map[string]string, l Limits) (key string, err error) {
	if len(m) > l.MaxLabels {
		return "", fmt.Errorf("%d entries, at most %d are allowed", len(m), l.MaxLabels)
	}
	for _, k := range slices.Sorted(maps.Keys(m)) { // the first fault is always the same
		v := m[k]
		switch err := checkName(k, "._-/"); {
		case len(k) > l.MaxLabelBytes:
			return clip(k), fmt.Errorf("a name of %d bytes, at most %d are allowed", len(k), l.MaxLabelBytes)
		case err != nil:
			return clip(k), fmt.Errorf("name: %w", err)
		}
		if err := checkText(v, l.MaxLabelBytes); err != nil {
			return k, err
		}
	}
	return "", nil
}

// checkCallback accepts an absolute HTTP address. Whether it may be called is for
// the webhook sink to decide, at connect time.
func checkCallback(s string) error {
	if err := checkText(s, maxURL); err != nil {
		return err
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil {
		return fmt.Errorf("%q is no http or https address", clip(s))
	}
	return nil
}

// clip shortens what an error quotes.
func clip(s string) string {
	if len(s) <= 40 {
		return s
	}
	return strings.ToValidUTF8(s[:40], "") + "…"
}
