package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/release-assay/assay/verdicts"
)

// progress tells on stderr how long work is coming along: one line that is
// overwritten on a terminal, a line for each change elsewhere.
type progress struct {
	out   io.Writer
	width int // of the line that is overwritten; 0: none is
	last  string
}

func progressOf(s streams, quiet bool) *progress {
	if quiet {
		return &progress{out: io.Discard}
	}
	return &progress{out: s.err, width: s.width()}
}

// say shows a line of progress, of which nothing is obeyed by a terminal.
func (p *progress) say(format string, args ...any) {
	line := verdicts.Plain(fmt.Sprintf(format, args...))
	if p.width > 0 {
		line = verdicts.Shorten(line, p.width) // one that wraps could not be overwritten
	}
	if line == p.last {
		return
	}
	if p.width > 0 {
		pad := max(0, len([]rune(p.last))-len([]rune(line)))
		fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", pad))
	} else {
		fmt.Fprintln(p.out, line)
	}
	p.last = line
}

// end leaves the line that is being overwritten.
func (p *progress) end() {
	if p.width > 0 && p.last != "" {
		fmt.Fprintln(p.out)
	}
	p.last = ""
}
