package intaketest

import (
	"strings"
	"unicode"

	"github.com/release-assay/assay/internal/intake"
)

// A fault is something that can be done to a member.
type fault struct {
	name   string
	reason intake.Reason
	of     func(path string, n node) bool // to which members; nil: to all
	write  func(n node) string
}

// faults is the table of what is done to every member.
var faults = []fault{
	// Two readers could read it in two ways, or it is no JSON, or it costs too much.
	{"twice", intake.Malformed, nil, func(n node) string { return n.member() + "," + n.member() }},
	{"twice, the second escaped", intake.Malformed, nil, func(n node) string {
		return n.member() + `,"\u00` + hex(n.name[0]) + n.name[1:] + `":` + n.value()
	}},
	{"beside itself in capitals", intake.Malformed, nil, func(n node) string { return n.member() + `,"` + strings.ToUpper(n.name) + `":1` }},
	{"invalid UTF-8", intake.Malformed, isText, replace("\"a\xff\xfe\"")},
	{"overlong UTF-8", intake.Malformed, isText, replace("\"a\xc0\xaf\"")},
	{"half a surrogate pair", intake.Malformed, isText, replace(`"\ud83d"`)},
	{"a raw control character", intake.Malformed, isText, replace("\"a\x01b\"")},
	{"an unknown escape", intake.Malformed, isText, replace(`"\x41"`)},
	{"a number beyond all numbers", intake.Malformed, nil, replace("1e999")},
	{"a number of 60 digits", intake.Malformed, nil, replace(strings.Repeat("9", 60))},
	{"nested 40 deep", intake.Malformed, nil, replace(strings.Repeat("[", 40) + strings.Repeat("]", 40))},
	{"no value", intake.Malformed, nil, func(n node) string { return `"` + n.name + `":` }},
	{"no quotes", intake.Malformed, nil, func(n node) string { return n.name + ":" + n.value() }},
	{"NaN", intake.Malformed, nil, replace("NaN")},
	{"a NUL in its name", intake.Malformed, nil, func(n node) string { return `"` + n.name + `\u0000":` + n.value() }},

	// Well-formed, and not what the contract says.
	{"another type", intake.Schema, not(free), func(n node) string {
		if n.isText() {
			return `"` + n.name + `":{"a":1}`
		}
		return `"` + n.name + `":"text"`
	}},
	{"null", intake.Schema, not(theirs), replace("null")},
	{"a NUL", intake.Schema, checked, replace(`"a\u0000b"`)},
	{"a newline", intake.Schema, checked, replace(`"a\nb"`)},
	{"a terminal escape", intake.Schema, checked, replace(`"\u001b]0;x\u0007"`)},
	{"3,000 bytes", intake.Schema, checked, replace(`"` + strings.Repeat("a", 3000) + `"`)},
	{"missing", intake.Schema, required, func(node) string { return "" }},
	{"an unknown member beside it", intake.Schema, closed, func(n node) string { return n.member() + `,"surprise":1` }},
	{"a slip of the shift key", intake.Schema, ours, func(n node) string { return `"` + strings.ToUpper(n.name[:1]) + n.name[1:] + `":` + n.value() }},
}

func replace(value string) func(node) string {
	return func(n node) string { return `"` + n.name + `":` + value }
}

func hex(c byte) string { return string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) }

func isText(_ string, n node) bool { return n.isText() }

func not(f func(string, node) bool) func(string, node) bool {
	return func(path string, n node) bool { return !f(path, n) }
}

// theirs is custom data as a whole, which belongs to whoever wrote it.
func theirs(path string, _ node) bool { return path == "customData" }

// free are members that may have several types.
func free(path string, n node) bool { return theirs(path, n) }

// checked are texts that are held against characters or a length. The versions of
// the specification and the media type of the custom data are not kept.
func checked(path string, n node) bool {
	return n.isText() && path != "context.specversion" && path != "customDataContentType"
}

// required are members without which there is no event.
func required(path string, _ node) bool {
	switch path {
	case "context", "context.specversion", "context.id", "context.source", "context.type", "context.timestamp",
		"subject", "subject.id", "subject.content", "subject.content.environment", "subject.content.environment.id", "subject.content.artifactId",
		"customData.assay.step.weight":
		return true
	}
	return false
}

// closed are members of objects that take no others.
func closed(path string, _ node) bool { return !strings.HasPrefix(path, "customData.") }

// ours are the names that we know in objects that stay open for others.
func ours(path string, n node) bool {
	under, found := strings.CutPrefix(path, "customData.")
	return found && unicode.IsLower(rune(n.name[0])) && !strings.Contains(under, "selector.") && !strings.Contains(under, "labels.")
}
