package main

import (
	"encoding/xml"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// waitOutputFlag is -o table|json|junit.
type waitOutputFlag struct{ outputFlag }

func (o *waitOutputFlag) Type() string { return "table|json|junit" }

func (o *waitOutputFlag) Set(v string) error {
	if v == "junit" {
		o.outputFlag = "junit"
		return nil
	}
	if o.outputFlag.Set(v) != nil {
		return fmt.Errorf("must be table, json or junit")
	}
	return nil
}

func addWaitOutput(c *cobra.Command) *waitOutputFlag {
	o := &waitOutputFlag{"table"}
	c.Flags().VarP(o, "output", "o", "form of the result")
	complete(c, "output", "table", "json", "junit")
	return o
}

// The part of JUnit's XML that CI servers read.
type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Failure *junitText `xml:"failure"`
	Error   *junitText `xml:"error"`
	Skipped *junitText `xml:"skipped"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
}

// writeJUnit writes a verdict as a test suite: the verdict is one case, which passes
// exactly where the exit code is 0, and each objective another. An objective that is
// not decided is skipped, never passed; so is one that is breached and did not keep
// the release, since a CI server fails the run for any failure.
func writeJUnit(w io.Writer, v verdicts.Verdict, code exitCode) error {
	name := verdicts.Plain(v.Service + " " + v.Version)
	line := &junitText{Message: verdicts.Plain(v.Reason), Type: string(v.ReasonCode)}
	verdict := junitCase{Class: name, Name: "verdict"}
	switch code {
	case exitOK:
	case exitTimeout:
		verdict.Error = line
	default:
		verdict.Failure = line
	}
	suite := junitSuite{Name: "assay " + name, Cases: []junitCase{verdict}}
	for _, f := range v.Findings {
		one := junitCase{Class: name, Name: verdicts.Plain(f.Objective)}
		line := &junitText{Message: verdicts.Plain(f.Reason), Type: string(f.Code)}
		switch {
		case f.State == analysis.FindingWithin:
		case f.State == analysis.FindingBreached && code != exitOK:
			one.Failure = line
		default:
			one.Skipped = line
		}
		suite.Cases = append(suite.Cases, one)
	}
	for _, c := range suite.Cases {
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
