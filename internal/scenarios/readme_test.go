package scenarios

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("scenarios.update", false, "write the table of scripts into testdata/scenarios/README.md")

// TestReadme keeps the table of the README in step with the scripts.
func TestReadme(t *testing.T) {
	all, err := ReadAll(folder)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| script | what happens | Assay | Kayenta |\n|---|---|---|---|\n")
	for _, s := range all {
		fmt.Fprintf(&table, "| [%s](%s.scenario) (%s) | %s | %s | %s |\n", s.Name, s.Name, s.Origin, s.firstSentence(), s.answers(), s.peerAnswers())
	}
	name := filepath.Join(folder, "README.md")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(text), "<!-- table -->\n")
	_, tail, ok2 := strings.Cut(rest, "<!-- end of table -->")
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", name)
	}
	want := head + "<!-- table -->\n" + table.String() + "<!-- end of table -->" + tail
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is not in step with the scripts: go test ./internal/scenarios -run TestReadme -scenarios.update", name)
	}
}

func (s Scenario) firstSentence() string {
	sentence, _, _ := strings.Cut(s.Story, ". ")
	return strings.TrimSuffix(sentence, ".") + "."
}

// answers are what a script expects of Assay.
func (s Scenario) answers() string {
	var out []string
	for _, e := range s.Expect {
		switch {
		case e.Never && e.Seeds > 0:
			out = append(out, fmt.Sprintf("%s in at most %d of %d runs", e.Word, e.Most, e.Seeds))
		case e.Never:
			out = append(out, fmt.Sprintf("never %s", e.Word))
		case e.By > 0:
			out = append(out, fmt.Sprintf("%s (%s) by fold %d", e.Word, e.Code, e.By))
		default:
			out = append(out, fmt.Sprintf("%s (%s)", e.Word, e.Code))
		}
	}
	return strings.Join(out, "; ")
}

// peerAnswers are what Kayenta's judge says of the same points.
func (s Scenario) peerAnswers() string {
	var out []string
	for _, k := range s.Kayenta {
		answer := k.Label
		if len(s.Objectives) > 1 {
			answer = k.Objective + ": " + k.Label
		}
		if k.Seeds > 0 {
			answer += fmt.Sprintf(" in %d to %d of %d runs", k.Least, max(k.Most, k.Least), k.Seeds)
		}
		out = append(out, answer)
	}
	return strings.Join(out, "; ")
}
