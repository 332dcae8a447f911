package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/verdicts"
)

func newValidate(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "validate",
		Short: "Compare two versions on your Prometheus, once; no server and no file needed",
		Long: `Validate judges one release from a Prometheus and prints the explanation; the exit code is
the answer. It runs the line that 'assay serve' runs, in a folder of its own that is
removed afterwards, and writes nothing to Prometheus.

With --since or --start it judges the past up to now (or --until) at once: what cannot be
told from the samples that are there is a hold. With --follow it goes on with each new
sample until the verdict is final or --deadline is over.

Without --objective the built-in signals are judged (docs/signals.md). Where the server
has none of them for the service, validate lists the counters that it has and prints the
command line that would use them.

With --loki the log lines of both versions are compared, too: what is new or more often is
listed, and requests with lines of ERROR and above have a share in the decision.

Exit codes: 0 promote, 3 rollback, 4 hold, 5 still pending when the time was up, 6 the
server wants other credentials, 2 the command names what is not there, 1 no answer.`,
		Example: `  assay validate --prometheus http://prometheus:9090 --service checkout --canary 1.5.0 --baseline 1.4.9 --since 30m
  assay validate ... --since 30m --objective 'errors=http_requests_total{code=~"5.."} / http_requests_total' --slo 99.9%
  assay validate ... --objective 'availability=good:sum(rate(requests_ok_total[5m])) / sum(rate(requests_total[5m]))'
  assay validate ... --objective 'errors=failed_total / requests_total' --objective 'latency=histogram:request_duration_seconds' --objective gauge:process_resident_memory_bytes
  assay validate ... --label service.name=app --label service.version=version
  assay validate ... --since 30m --loki http://loki:3100 --loki-header 'X-Scope-OrgID: team-a'
  assay validate ... --start 2026-11-20T10:00:00Z --until 2026-11-20T11:00:00Z --bundle evidence
  assay validate ... --follow --deadline 30m --weight 10% && ./promote.sh
  assay validate ... --header 'X-Scope-OrgID: team-a' --http-config prometheus-http.yaml -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	flags, output := addValidateFlags(c), addOutput(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		question, err := flags.comparison(time.Now())
		if err != nil {
			return usage(fmt.Errorf("%w\nsee '%s --help'", err, c.CommandPath()))
		}
		o := &oneShot{comparison: question, progress: progressOf(s, flags.quiet), again: func(extra ...string) string { return commandLine(c, extra) }}
		err = o.run(c.Context())
		o.progress.end()
		if err != nil {
			return err
		}
		return o.show(s, string(*output))
	}
	return c
}

// run answers the question, or says why it cannot be asked.
func (o *oneShot) run(ctx context.Context) (err error) {
	if err := o.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := o.survey(ctx); err != nil {
		return err
	}
	if err := o.answer(ctx); err != nil {
		return err
	}
	return o.keep()
}

// show prints the answer; the error carries the exit code of the verdict.
func (o *oneShot) show(s streams, output string) error {
	var err error
	if output == "json" {
		_, err = fmt.Fprintln(s.out, string(o.body))
	} else {
		v := o.verdict
		if o.kept == "" {
			v.Bundle = "" // it is removed with the folder
		}
		err = explain(s.out, detail{Verdict: &v, Plan: o.plan})
	}
	if err != nil {
		return internal(err)
	}
	if o.kept != "" {
		fmt.Fprintf(s.err, "the evidence is kept: %s\njudge it again, offline: %s rejudge %s\n", o.kept, invoked(), shellQuote(o.kept))
	}
	code := codeOf(o.verdict)
	if code == exitOK {
		return nil
	}
	return &exitError{code: code, err: o.stopped}
}

// keep copies the bundle where it was asked for.
func (o *oneShot) keep() error {
	if o.bundles == "" {
		return nil
	}
	if !o.verdict.Final {
		o.progress.say("there is no bundle: it is sealed with a final verdict")
		return nil
	}
	name := filepath.Join(o.bundles, o.verdict.Bundle)
	if err := copyWhole(filepath.Join(o.runner.Bundles(), o.verdict.Bundle), name); err != nil {
		return internal(fmt.Errorf("keep the bundle: %w", err))
	}
	o.kept = name
	return nil
}

// stillPending is how a run ends that is not answered.
func stillPending(v verdicts.Verdict, why string) error {
	return fmt.Errorf("%s; the verdict is still pending: %s", why, verdicts.Plain(v.Reason))
}
