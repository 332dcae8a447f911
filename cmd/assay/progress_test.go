package main

import (
	"strings"
	"testing"
)

// On a terminal one line is overwritten, and never wraps; elsewhere each change is a
// line. Nothing of it is obeyed.
func TestProgress(t *testing.T) {
	tell := func(width int) string {
		var out strings.Builder
		p := &progress{out: &out, width: width}
		for _, text := range []string{"one two three", "four\x1b[2J", "four\x1b[2J", "a line that is too long"} {
			p.say("%s", text)
		}
		p.end()
		return out.String()
	}
	if got, want := tell(0), "one two three\nfour [2J\na line that is too long\n"; got != want {
		t.Errorf("no terminal: %q, want %q", got, want)
	}
	if got, want := tell(14), "\rone two three\rfour [2J     \ra line that i…\n"; got != want {
		t.Errorf("a terminal: %q, want %q", got, want)
	}
}
