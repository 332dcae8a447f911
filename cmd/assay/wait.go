package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/verdicts"
)

// pollEvery is how often wait and --watch ask.
const pollEvery = time.Second

func newWait(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "wait DEPLOYMENT",
		Short: "Wait for the verdict of a deployment; the exit code is the answer",
		Long: `Wait asks for the verdict of a deployment (or validation) until it is final, or until
--timeout. It exits with 0 on promote, 3 on rollback, 4 on hold and 5 when the time was
up, or when the verdict is so old that it must not be acted on any more. --on-hold=pass
maps hold to 0; nothing else is ever mapped to success.`,
		Example: "  assay wait 7c0f… --timeout 30m && ./promote.sh",
		Args:    exactArgs(1, "the id that emit printed"),
	}
	server, output := addServer(c), addOutput(c)
	timeout := c.Flags().Duration("timeout", time.Hour, "give up after this time, with exit code 5")
	onHold := c.Flags().String("on-hold", "fail", "what hold means to the pipeline: fail (exit 4) or pass (exit 0)")
	quiet := c.Flags().BoolP("quiet", "q", false, "no progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *onHold != "fail" && *onHold != "pass" {
			return usage(fmt.Errorf("--on-hold must be fail or pass, not %q", *onHold))
		}
		cl, err := newClient(*server)
		if err != nil {
			return err
		}
		v, body, err := waitFor(c.Context(), cl, args[0], *timeout, progressOf(s, *quiet))
		if err != nil {
			return err
		}
		if *output == "json" {
			fmt.Fprintln(s.out, string(body))
		} else {
			fmt.Fprintf(s.out, "%s  %s: %s\n", v.Verdict, v.ReasonCode, verdicts.Plain(v.Reason))
		}
		if v.NotAfter != nil && time.Now().After(*v.NotAfter) {
			return &exitError{exitTimeout, fmt.Errorf("this verdict was to be acted on until %s: deploy again for a new one", v.NotAfter.Format(time.RFC3339))}
		}
		code := codeOf(v.Verdict)
		if code == exitHold && *onHold == "pass" {
			code = exitOK
		}
		if code == exitOK {
			return nil
		}
		return &exitError{code: code}
	}
	return c
}

// waitFor polls until the verdict is final or time is up. A server that cannot be
// reached for a moment does not end the wait; one that never answered does.
func waitFor(ctx context.Context, cl *client, key string, timeout time.Duration, p *progress) (verdicts.Verdict, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer p.end()
	var last verdicts.Verdict
	var body []byte
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		v, b, err := cl.verdict(ctx, key)
		var coded *exitError
		switch {
		case err == nil:
			last, body = v, b
			if v.Final {
				return v, b, nil
			}
			p.say("%s  %s", v.Verdict, verdicts.Plain(v.Reason))
		case errors.As(err, &coded) && coded.code != exitInternal:
			return last, body, err
		case body == nil && ctx.Err() == nil:
			return last, body, err
		case ctx.Err() == nil:
			p.say("the server does not answer, trying again: %v", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if body == nil {
				return last, nil, internal(fmt.Errorf("no answer from %s within %v", cl.base, timeout))
			}
			return last, body, nil
		}
	}
}
