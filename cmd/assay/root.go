package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// version is set by the build (-ldflags "-X main.version=...").
var version = "0.1.0-dev"

// streams are where a command reads and writes: results to out, progress and
// errors to err.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// width is how many characters a line of progress may have on the terminal, where it
// is overwritten; 0: there is no terminal.
func (s streams) width() int {
	f, ok := s.err.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return max(columns-1, 20)
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "assay",
		Short: "Assay weighs a release: promote, rollback or hold, with evidence",
		Long: `Assay compares the canary of a deployment with its baseline on the service's own
objectives, with statistics that stay valid however often they are looked at, and
answers promote, rollback or hold. It never touches production: it judges.

Exit codes: 0 promote or success, 1 internal error, 2 usage or configuration error,
3 rollback, 4 hold, 5 still pending when the time was up, 6 not authorised.`,
		Example: `  assay demo                                  # see it judge nine releases, nothing else needed
  assay validate --prometheus URL --service checkout --canary 1.5.0 --baseline 1.4.9 --since 30m
  assay serve                                 # receive deployments and telemetry on loopback
  assay emit --service checkout --version 1.5.0 --baseline 1.4.9 --environment prod --weight 10%
  assay wait DEPLOYMENT                       # exit code 0 only on promote`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.CompletionOptions.DisableDefaultCmd = true // there is one with examples
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
	})
	for _, about := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Try it:", []*cobra.Command{newDemo(s), newValidate(s)}},
		{"Ask about a release:", []*cobra.Command{newEmit(s), newWait(s), newExplain(s), newCancel(s), newBundle(s), newRejudge(s), newBacktest(s), newLogdiff(s)}},
		{"Run it:", []*cobra.Command{newServe(s), newCheck(s), newPlan(s), newImport(s), newConfig(s), newDoctor(s), newIngest(s), newDLQ(s), newBackup(s), newRestore(s)}},
	} {
		root.AddGroup(&cobra.Group{ID: about.title, Title: about.title})
		for _, c := range about.commands {
			c.GroupID = about.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(
		newCompletion(s),
		&cobra.Command{
			Use: "version", Short: "Print the version", Example: "  assay version", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprintln(s.out, "assay", version)
				return err
			},
		},
	)
	return root
}

// exactArgs refuses any other number of arguments as a usage error.
func exactArgs(n int, names string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(fmt.Errorf("%s takes %s, got %d\nsee '%s --help'", c.Name(), names, len(args), c.CommandPath()))
		}
		return nil
	}
}

// group makes c a command that only has subcommands: without one it prints its help,
// and a word that is none is a usage error.
func group(c *cobra.Command, subcommands ...*cobra.Command) *cobra.Command {
	c.AddCommand(subcommands...)
	c.DisableFlagsInUseLine = true
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		var names []string
		for _, sub := range subcommands {
			names = append(names, sub.Name())
		}
		return usage(fmt.Errorf("%s has no command %q (legal: %s)\nsee '%s --help'", c.CommandPath(), args[0], strings.Join(names, ", "), c.CommandPath()))
	}
	return c
}

// writeJSON writes the result of a command for programs.
func writeJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", text)
	}
	return err
}

// outputFlag is -o table|json.
type outputFlag string

func (o *outputFlag) String() string { return string(*o) }
func (o *outputFlag) Type() string   { return "table|json" }

func (o *outputFlag) Set(v string) error {
	if v != "table" && v != "json" {
		return fmt.Errorf("must be table or json")
	}
	*o = outputFlag(v)
	return nil
}

func addOutput(c *cobra.Command) *outputFlag {
	o := outputFlag("table")
	c.Flags().VarP(&o, "output", "o", "form of the result")
	complete(c, "output", "table", "json")
	return &o
}

// addServer adds --server, the address of the Assay that is asked.
func addServer(c *cobra.Command) *string {
	server := os.Getenv("ASSAY_SERVER")
	if server == "" {
		server = "http://127.0.0.1:8080"
	}
	return c.Flags().String("server", server, "address of the Assay server (or set ASSAY_SERVER)")
}
