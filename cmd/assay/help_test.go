package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/release-assay/assay/internal/lab"
)

// eachCommand calls f with every command that there is, subcommands included.
func eachCommand(f func(*cobra.Command)) {
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		f(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(streams{strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)}))
}

// --help of everything says what it is for, shows at least one line that can be run,
// and explains each flag.
func TestEveryCommandIsExplained(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the line in the list of commands is %q", path, c.Short)
		}
		if !strings.Contains(c.Example, path) {
			t.Errorf("%s: no example of it in its help:\n%s", path, c.Example)
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  ") {
				t.Errorf("%s: an example is not indented: %q", path, line)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") {
				t.Errorf("%s --%s: the explanation is %q", path, f.Name, f.Usage)
			}
		})
	})
}

// A word that is no command never ends with success, wherever it stands.
func TestUnknownCommands(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		if !c.HasSubCommands() {
			return
		}
		code, out, failed := command(t, append(strings.Fields(c.CommandPath())[1:], "lsit")...)
		if code != exitUsage || out != "" || !strings.Contains(failed, `"lsit"`) {
			t.Errorf("%s lsit: %d %q %q", c.CommandPath(), code, out, failed)
		}
	})
}

// The words that a flag takes are offered to the shell.
func TestFlagsCompleteTheirWords(t *testing.T) {
	eachCommand(func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !slices.Contains([]string{"output", "on-hold", "phase", "mode", "log", "scenario"}, f.Name) && !(f.Name == "reason" && c.Parent().Name() == "dlq") {
				return
			}
			words := completions(t, append(strings.Fields(c.CommandPath())[1:], "--"+f.Name, "")...)
			if len(words) < 2 {
				t.Errorf("%s --%s completes to %q", c.CommandPath(), f.Name, words)
			}
			for _, word := range words {
				if strings.Contains(f.Value.Type(), "|") && !slices.Contains(strings.Split(f.Value.Type(), "|"), word) {
					t.Errorf("%s --%s completes to %s, legal are %s", c.CommandPath(), f.Name, word, f.Value.Type())
				}
			}
		})
	})
	var scenarios []string
	for _, s := range append(lab.Scenarios(), lab.Streams()...) {
		scenarios = append(scenarios, s.Name)
	}
	scenarios = append(scenarios, lab.Slow().Name)
	if words := completions(t, "demo", "--scenario", ""); !slices.Equal(words, scenarios) {
		t.Errorf("demo --scenario completes to %q, there are %q", words, scenarios)
	}
	if words := completions(t, "completion", ""); !slices.Equal(words, shells) {
		t.Errorf("completion completes to %q", words)
	}
}

// completions is what a shell offers for the last word.
func completions(t *testing.T, args ...string) []string {
	t.Helper()
	code, out, failed := command(t, append([]string{"__complete"}, args...)...)
	if code != exitOK {
		t.Fatalf("%q: %d %s", args, code, failed)
	}
	words := strings.Fields(out)
	return words[:len(words)-1] // the last one is a directive
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range shells {
		if code, out, failed := command(t, "completion", shell); code != exitOK || !strings.Contains(out, "assay") || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %d, %d bytes, %s", shell, code, len(out), failed)
		}
	}
	for _, args := range [][]string{{"completion", "tcsh"}, {"completion"}, {"completion", "bash", "zsh"}} {
		if code, out, failed := command(t, args...); code != exitUsage || out != "" || !strings.Contains(failed, "powershell") {
			t.Errorf("%q: %d %q %q", args, code, out, failed)
		}
	}
}
