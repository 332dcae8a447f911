package verdicts

import (
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis"
)

var columnNames = [columns]string{"plan", "harm", "safety", "coverage", "identity", "serving", "environment", "gates", "bake"}

// names of what the three columns that are no checks can be, and of the columns' bits.
var (
	planNames  = []string{"sound", "refused", "underpowered, told at once"}
	gateNames  = []string{"open", "closed"}
	bakeNames  = []string{"over", "not over"}
	checkNames = func() (names []string) {
		for _, s := range analysis.CheckStates() {
			names = append(names, s.String())
		}
		return names
	}()
)

func namesOf(column int) []string {
	switch column {
	case ofPlan:
		return planNames
	case ofGates:
		return gateNames
	case ofBake:
		return bakeNames
	}
	return checkNames
}

// Table prints the table that Decide walks, as Markdown that reads as text too.
func Table() string {
	lines := [][]string{append(append([]string{"", "rule"}, columnNames[:]...), "verdict", "reason of")}
	for i, r := range table {
		line := []string{strconv.Itoa(i + 1), r.rule}
		for column, accepted := range r.when {
			line = append(line, accepted.describe(namesOf(column)))
		}
		lines = append(lines, append(line, r.word.String(), columnNames[r.because]))
	}
	return markdown(lines) + `
The first row that fits decides; "·" is any value. Where none fits: pending. Once every fold up to the
plan's deadline is closed, pending is a final hold with the same reason ("collecting" then reads
"insufficient_evidence"). Promote, rollback and hold are final.
`
}

// describe says which of the named values s accepts: by those it accepts or, if
// that is shorter, by those it refuses.
func (s set) describe(names []string) string {
	var in, out []string
	for v, name := range names {
		if s.has(uint8(v)) {
			in = append(in, name)
		} else {
			out = append(out, name)
		}
	}
	switch {
	case len(out) == 0:
		return "·"
	case len(out) < len(in):
		return "not " + strings.Join(out, ", ")
	}
	return strings.Join(in, ", ")
}

// markdown lays out a table; the first line is its head.
func markdown(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	write := func(line []string, pad string) {
		for i, cell := range line {
			b.WriteString("| " + cell + strings.Repeat(pad, widths[i]-len([]rune(cell))) + " ")
		}
		b.WriteString("|\n")
	}
	write(lines[0], " ")
	write(make([]string, len(widths)), "-")
	for _, line := range lines[1:] {
		write(line, " ")
	}
	return b.String()
}

// Page prints docs/reason-codes.md: the table of Decide and the table of codes.
func Page() string {
	lines := [][]string{{"code", "comes with", "meaning", "what you can do"}}
	for _, r := range Reasons {
		lines = append(lines, []string{"`" + string(r.Code) + "`", r.With.String(), r.Line, r.Do})
	}
	return `<!-- Printed by ` + "`go generate ./verdicts`" + ` from verdicts/decide.go and verdicts/reasons.go. Do not edit. -->

# Verdicts and reason codes

Every answer of Assay is one word, a reason code and one line of at most 200 characters. Act on two words
only: ` + "`promote` and `rollback`" + `. Everything else, an answer that does not come included, means: stay where you are.

| word       | final | meaning                                                    | you may             |
| ---------- | ----- | ---------------------------------------------------------- | ------------------- |
| ` + "`pending`" + `  | no    | still collecting, or waiting for the stated reason         | wait                |
| ` + "`promote`" + `  | yes   | every critical objective is shown safe, evidence complete  | promote             |
| ` + "`rollback`" + ` | yes   | harm is shown                                              | roll back           |
| ` + "`hold`" + `     | yes   | cannot tell by the deadline; a person or your policy decides | stay where you are |

## How the word is found

Six checks, your gates and the bake are looked up in this table at every look:

` + Table() + `
## Reason codes

Codes are stable: scripts may depend on them. Lines may be more exact than the meaning given here, and
change. "warning" means that the code is found in a finding, a check or the warnings and changes no answer.

` + markdown(lines)
}
