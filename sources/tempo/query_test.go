package tempo

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

func TestTraceQL(t *testing.T) {
	q := analysis.ExemplarQuery{Kind: analysis.ExemplarFailed, Operation: `GET "x"`, Matches: []analysis.Match{
		{Name: "deployment.environment.name", Values: []string{"prod"}},
		{Name: "rollouts-pod-template-hash", Values: []string{"6f"}},
		{Name: "service.name", Values: []string{"checkout"}},
		{Name: "service.version", Values: []string{`1\`, "2"}},
	}}
	got, err := traceQL(q)
	const want = `{ (resource.deployment.environment.name = "prod" || resource.deployment.environment = "prod")` +
		` && resource."rollouts-pod-template-hash" = "6f" && resource.service.name = "checkout"` +
		` && (resource.service.version = "1\\" || resource.service.version = "2")` +
		` && (name = "GET \"x\"" || span.http.route = "GET \"x\"") && status = error }`
	if err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	q.Operation = ""
	q.Matches = q.Matches[2:3]
	for kind, want := range map[analysis.ExemplarKind]string{
		analysis.ExemplarSlow: `{ resource.service.name = "checkout" }`, analysis.ExemplarTypical: `{ resource.service.name = "checkout" && status != error }`,
	} {
		q.Kind = kind
		if got, err := traceQL(q); err != nil || got != want {
			t.Errorf("%s: %s, %v", kind, got, err)
		}
	}
}

func TestTraceQLRefuses(t *testing.T) {
	for name, q := range map[string]analysis.ExemplarQuery{
		"kind":      {Kind: analysis.ExemplarNamed, Matches: []analysis.Match{{Name: "a", Values: []string{"b"}}}},
		"nothing":   {Kind: analysis.ExemplarSlow},
		"no values": {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a"}}},
		"empty":     {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a", Values: []string{""}}}},
		"line":      {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a", Values: []string{"x\ny"}}}},
		"UTF-8":     {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a", Values: []string{"\xff"}}}},
		"name":      {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a\x00", Values: []string{"b"}}}},
		"long":      {Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a", Values: []string{strings.Repeat("x", 2000)}}}},
	} {
		if got, err := traceQL(q); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Whatever a value is, the query says what it said, and no more: outside of its literals
// it is the same.
func TestValuesStayInTheirQuotes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune(`"\{}()|&= `)), rapid.Rune())).Draw(rt, "value")
		q := analysis.ExemplarQuery{Kind: analysis.ExemplarSlow, Matches: []analysis.Match{{Name: "a", Values: []string{value}}}}
		got, err := traceQL(q)
		if err != nil {
			return
		}
		literal := strings.TrimSuffix(strings.TrimPrefix(got, "{ resource.a = "), " }")
		if unquoted(rt, literal) != value || !utf8.ValidString(got) {
			rt.Fatalf("%q became %s", value, got)
		}
	})
}

// unquoted reads one literal and nothing after it, as a lexer would.
func unquoted(t *rapid.T, literal string) string {
	var out strings.Builder
	if literal[0] != '"' {
		t.Fatalf("%s does not begin with a quote", literal)
	}
	for i := 1; i < len(literal); i++ {
		switch literal[i] {
		case '"':
			if i != len(literal)-1 {
				t.Fatalf("%s goes on behind its end", literal)
			}
			return out.String()
		case '\\':
			i++
		}
		out.WriteByte(literal[i])
	}
	t.Fatalf("%s does not end", literal)
	return ""
}
