package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/verdicts"
)

func newDoctor(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say which part is embedded or external, what does not answer, and what makes verdicts weak",
		Long: `Doctor looks at everything that 'assay serve' would use with the same configuration: the
server if it runs, the data directory and its disk, Kafka and the settings of its topics,
the receivers, every Prometheus, Loki, Jaeger and Tempo, and, as 'assay check' does, what
the sources have of every objective. Of logs and traces it tells what makes them say less:
lines without trace ids, a version that is in structured metadata only, tail sampling,
batches that come after their folds have closed. It starts nothing, opens no database, creates no topic and changes
nothing; what is embedded is asked of the running server.

An error is what does not answer or cannot be used. A warning is what makes verdicts late,
weak or lost, with what would help.

Exit codes: 0 everything that is configured answers (there may be warnings), 1 something
does not, 2 the configuration is wrong, or names what the sources do not have.`,
		Example: `  assay doctor
  assay doctor --config assay.yaml
  assay doctor --config assay.yaml -o json | jq '.findings[] | select(.level != "note")'`,
		Args: exactArgs(0, "no arguments"),
	}
	file, policies := addConfigFlags(c)
	server := c.Flags().String("server", "", "address of the running Assay (default: where the configuration makes it listen)")
	quiet := c.Flags().BoolP("quiet", "q", false, "no progress on stderr")
	output := addOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, read, err := readConfig(*file, *policies)
		if err != nil {
			return usage(err)
		}
		d := &doctor{conf: conf, policies: read, server: *server, progress: progressOf(s, *quiet)}
		err = d.examine(c.Context())
		d.progress.end()
		if err != nil {
			return err
		}
		if err := d.diagnosis.show(s.out, string(*output)); err != nil {
			return internal(err)
		}
		if d.code != exitOK {
			return &exitError{d.code, fmt.Errorf("%s", counted(d.diagnosis.Errors, "error"))}
		}
		return nil
	}
	return c
}

// A diagnosis is what doctor has found out.
type diagnosis struct {
	Version  string    `json:"version"` // of this program
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Parts    []part    `json:"parts"`
	Findings []finding `json:"findings"`
}

// about returns the part of a name.
func (d diagnosis) about(name string) part {
	i := slices.IndexFunc(d.Parts, func(p part) bool { return p.Name == name })
	if i < 0 {
		return part{}
	}
	return d.Parts[i]
}

// doctor looks at one configuration.
type doctor struct {
	conf     config.Config
	policies config.Policies
	server   string // as a flag gave it; empty: as configured
	progress *progress

	running   *status // nil: no server answers
	code      exitCode
	diagnosis diagnosis
}

// examine looks at one part after the other. What is wrong with a part is a finding;
// an error is that nothing can be said.
func (d *doctor) examine(ctx context.Context) error {
	d.diagnosis = diagnosis{Version: version, Parts: []part{}, Findings: []finding{}}
	for _, look := range []struct {
		at string
		do func(context.Context)
	}{
		{"the server", d.lookAtServer},
		{"the disk", d.lookAtStore},
		{"Kafka", d.lookAtKafka},
		{"the receivers", d.lookAtOTLP},
		{"the sources", d.lookAtSources},
		{"logs and traces", d.lookAtStreams},
		{"who may ask", d.lookAtAccess},
	} {
		d.progress.say("looking at %s", look.at)
		look.do(ctx)
		if err := ctx.Err(); err != nil {
			return internal(err)
		}
	}
	slices.SortStableFunc(d.diagnosis.Findings, func(a, b finding) int {
		return cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level))
	})
	return nil
}

func (d *doctor) part(p part) { d.diagnosis.Parts = append(d.diagnosis.Parts, p) }

// find adds a finding about a part.
func (d *doctor) find(l level, about, format string, args ...any) {
	d.take(finding{Level: l, Path: about, Message: fmt.Sprintf(format, args...)})
}

// broken adds an error: what it is about does not answer or cannot be used.
func (d *doctor) broken(code exitCode, about, format string, args ...any) {
	d.code = max(d.code, code)
	d.find(levelError, about, format, args...)
}

func (d *doctor) take(f finding) {
	switch f.Level {
	case levelError:
		d.diagnosis.Errors++
	case levelWarning:
		d.diagnosis.Warnings++
	}
	d.diagnosis.Findings = append(d.diagnosis.Findings, f)
}

// show prints the diagnosis: a table and the findings, or JSON.
func (d diagnosis) show(out io.Writer, form string) error {
	if form == "json" {
		return writeJSON(out, d)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PART\tKIND\tWHERE\tSTATE")
	for _, p := range d.Parts {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", p.Name, p.Kind, unless(p.Where == "", "%s", p.Where), verdicts.Plain(p.State))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, f := range d.Findings {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, f)
	}
	return nil
}
