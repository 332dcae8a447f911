package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/internal/redact"
)

// maxLog is the longest log that logdiff reads, unpacked.
const maxLog = 512 << 20

// How much of a difference the table shows; JSON has all of it.
const (
	shownNew     = 20
	shownMissing = 10
)

func newLogdiff(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "logdiff OLD NEW",
		Short: "Compare two plain logs: which lines are new, the most telling first",
		Long: `Logdiff says what the log NEW has and the log OLD never does, and what is missing.
Numbers, identifiers, addresses and time stamps do not count; lines with the same words
are one group, and a stack trace belongs to its first line. Groups with lines of ERROR
come first, then those with words of failure, then warnings, then the rest, each by place.

Files may be packed with gzip; - is standard input. Secrets are redacted. It compares
text and judges nothing: how often requests go wrong is what 'assay validate' tells.
The exit code is 0 whether the logs differ or not.`,
		Example: "  assay logdiff build-41.log.gz build-42.log\n  kubectl logs deploy/checkout | assay logdiff yesterday.log - -o json",
		Args:    exactArgs(2, "two log files"),
	}
	output := addOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if args[0] == "-" && args[1] == "-" {
			return usage(errors.New("only one of the two logs can be standard input"))
		}
		var logs [2][]byte
		for i, name := range args {
			var err error
			if logs[i], err = s.readLog(name, maxLog); err != nil {
				return usage(err)
			}
		}
		d := logdiff.Diff(logs[0], logs[1])
		redactGroups(d.New)
		redactGroups(d.Missing)
		if *output == "json" {
			return writeJSON(s.out, d)
		}
		return s.logDifference(d)
	}
	return c
}

// readLog reads a file, or standard input, that may be packed with gzip.
func (s streams) readLog(name string, most int64) ([]byte, error) {
	var in io.Reader = s.in
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	buffered := bufio.NewReader(in)
	in = buffered
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		in = z
	}
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("%s: longer than %d MiB, compare a part of it", name, most>>20)
	case len(bytes.TrimSpace(data)) == 0:
		return nil, fmt.Errorf("%s: empty, nothing to compare", name)
	case bytes.IndexByte(data[:min(len(data), 1024)], 0) >= 0:
		return nil, fmt.Errorf("%s: no text", name)
	}
	return data, nil
}

// redactGroups hides secrets in what is shown.
func redactGroups(groups []logdiff.Group) {
	var r redact.Redactor
	for i := range groups {
		groups[i].Text = r.String(groups[i].Text)
		for j, line := range groups[i].Example {
			groups[i].Example[j] = r.String(line)
		}
	}
}

// logDifference prints the groups.
func (s streams) logDifference(d logdiff.LogDifference) error {
	w := bufio.NewWriter(s.out)
	if len(d.New) == 0 {
		fmt.Fprintln(w, "no new lines")
	} else {
		fmt.Fprintf(w, "%s of new lines, the most telling first\n", numberOf(len(d.New), "group"))
	}
	for i, g := range d.New[:min(len(d.New), shownNew)] {
		fmt.Fprintf(w, "\n%3d. %s\n", i+1, whereOf(g))
		for _, line := range g.Example[:min(len(g.Example), 4)] {
			fmt.Fprintf(w, "     %s\n", shorten(line, 160))
		}
	}
	moreThere(w, len(d.New)-shownNew)
	if len(d.Missing) > 0 {
		fmt.Fprintf(w, "\n%s missing\n\n", numberOf(len(d.Missing), "group"))
	}
	for _, g := range d.Missing[:min(len(d.Missing), shownMissing)] {
		fmt.Fprintf(w, "     %s: %s\n", whereOf(g), shorten(g.Example[0], 120))
	}
	moreThere(w, len(d.Missing)-shownMissing)
	return w.Flush()
}

func moreThere(w io.Writer, n int) {
	if n > 0 {
		fmt.Fprintf(w, "\n     and %d more, see -o json\n", n)
	}
}

func numberOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// whereOf says how bad a group is, and where its lines are.
func whereOf(g logdiff.Group) string {
	var b strings.Builder
	if g.Severity > analysis.SeverityInfo {
		fmt.Fprintf(&b, "%s, ", g.Severity)
	}
	fmt.Fprintf(&b, "line %d", g.Lines[0])
	if n := len(g.Lines); n > 1 {
		fmt.Fprintf(&b, " to %d, %d lines", g.Lines[n-1], n)
	}
	return b.String()
}

// shorten cuts a line for people.
func shorten(line string, width int) string {
	runes := []rune(line)
	if len(runes) <= width {
		return line
	}
	return string(runes[:width-1]) + "…"
}
