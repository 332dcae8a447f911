package main

import (
	"strings"
	"testing"
)

// Label values are a stranger's: a terminal shows them and obeys none.
func TestReportsObeyNothing(t *testing.T) {
	const hostile = "1.0\x1b[2J\u202e"
	report := &checkReport{
		Objectives: []checkedRow{{Policy: "p", Objective: "o", State: "ok", Services: []string{"a", hostile}, Versions: []string{hostile, "b", "c", "d"}}},
		Findings:   []finding{{Level: levelWarning, Message: "values of version: " + hostile}},
	}
	diagnosed := diagnosis{
		Parts:    []part{{Name: "kafka", Kind: external, State: "down: " + hostile}},
		Findings: []finding{{Level: levelError, Path: "kafka", Message: hostile}},
	}
	var out strings.Builder
	if err := report.show(&out, "table"); err != nil {
		t.Fatal(err)
	}
	if err := diagnosed.show(&out, "table"); err != nil {
		t.Fatal(err)
	}
	if obeyed(out.String()) || strings.Count(out.String(), "1.0 [2J") != 5 {
		t.Errorf("%q", out.String())
	}
}
