package tempo

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/exemplar"
)

// traceQL is a query for the spans that a question means, or says why it cannot be put.
func traceQL(q analysis.ExemplarQuery) (string, error) {
	var conditions []string
	for _, m := range q.Matches {
		var alternatives []string
		for _, name := range exemplar.Names(m.Name) {
			attribute, err := quoteName(name)
			if err != nil {
				return "", err
			}
			for _, value := range m.Values {
				literal, err := quote(value)
				if err != nil {
					return "", fmt.Errorf("%s: %w", m.Name, err)
				}
				alternatives = append(alternatives, attribute+" = "+literal)
			}
		}
		if len(alternatives) == 0 {
			return "", fmt.Errorf("%s: no value is asked for", m.Name)
		}
		conditions = append(conditions, oneOf(alternatives))
	}
	if q.Operation != "" {
		name, err := quote(q.Operation)
		if err != nil {
			return "", fmt.Errorf("operation: %w", err)
		}
		conditions = append(conditions, oneOf([]string{"name = " + name, "span.http.route = " + name}))
	}
	switch q.Kind {
	case analysis.ExemplarFailed:
		conditions = append(conditions, "status = error")
	case analysis.ExemplarTypical:
		conditions = append(conditions, "status != error")
	case analysis.ExemplarSlow:
	default:
		return "", fmt.Errorf("no traces are searched of the kind %q", q.Kind)
	}
	if len(conditions) == 0 {
		return "", fmt.Errorf("the question names no cohort")
	}
	return "{ " + strings.Join(conditions, " && ") + " }", nil
}

func oneOf(alternatives []string) string {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return "(" + strings.Join(alternatives, " || ") + ")"
}

// plainName is what TraceQL reads as one name without quotes.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// quoteName returns an attribute of the resource.
func quoteName(name string) (string, error) {
	if plainName.MatchString(name) {
		return "resource." + name, nil
	}
	literal, err := quote(name)
	if err != nil {
		return "", fmt.Errorf("attribute %q: %w", name, err)
	}
	return "resource." + literal, nil
}

// maxLiteral is longer than any value of a cohort; Tempo limits whole queries.
const maxLiteral = 1024

// quote returns a string literal, which stands for the value and nothing else.
func quote(value string) (string, error) {
	switch {
	case value == "":
		return "", fmt.Errorf("an empty value cannot be asked for")
	case len(value) > maxLiteral:
		return "", fmt.Errorf("a value of %d bytes is too long", len(value))
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return "", fmt.Errorf("%q has characters that cannot be asked for", value)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`, nil
}
