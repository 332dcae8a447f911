package main

import (
	"fmt"
	"io"
	"os"

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

// interactive reports whether progress may overwrite its line.
func (s streams) interactive() bool {
	f, ok := s.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
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
		Example: `  assay demo                                  # see it judge four releases, nothing else needed
  assay serve                                 # receive deployments and telemetry on loopback
  assay emit --service checkout --version 1.5.0 --baseline 1.4.9 --environment prod --weight 10%
  assay wait DEPLOYMENT                       # exit code 0 only on promote`,
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
	})
	root.AddCommand(
		newServe(s), newDemo(s), newEmit(s), newWait(s), newExplain(s), newCancel(s), newBundle(s), newRejudge(s),
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
			return usage(fmt.Errorf("%s takes %s, got %d arguments\nsee '%s --help'", c.Name(), names, len(args), c.CommandPath()))
		}
		return nil
	}
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
