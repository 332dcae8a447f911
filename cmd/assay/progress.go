package main

import (
	"fmt"
	"io"
	"strings"
)

// progress tells on stderr how long work is coming along: one line that is
// overwritten on a terminal, a line for each change elsewhere.
type progress struct {
	out         io.Writer
	interactive bool
	last        string
}

func progressOf(s streams, quiet bool) *progress {
	if quiet {
		return &progress{out: io.Discard}
	}
	return &progress{out: s.err, interactive: s.interactive()}
}

// say shows a line of progress.
func (p *progress) say(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if line == p.last {
		return
	}
	if p.interactive {
		pad := max(0, len([]rune(p.last))-len([]rune(line)))
		fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", pad))
	} else {
		fmt.Fprintln(p.out, line)
	}
	p.last = line
}

// end leaves the line that is being overwritten.
func (p *progress) end() {
	if p.interactive && p.last != "" {
		fmt.Fprintln(p.out)
	}
	p.last = ""
}
