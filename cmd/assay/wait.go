package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/verdicts"
)

const (
	// pollEvery is how often wait and --watch ask at most.
	pollEvery = time.Second
	// waitStep is how long the server may hold one request: shorter than clients and
	// proxies have patience.
	waitStep = 20 * time.Second
)

func newWait(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "wait DEPLOYMENT",
		Short: "Wait for the verdict of a deployment; the exit code is the answer",
		Long: `Wait asks for the verdict of a deployment (or validation) until it is final, or until
--timeout. It exits with 0 on promote, 3 on rollback, 4 on hold and 5 when the time was
up, or when the verdict is so old that it must not be acted on any more. --on-hold=pass
maps hold to 0; nothing else is ever mapped to success.`,
		Example: "  assay wait 7c0f… --timeout 30m && ./promote.sh\n  assay wait 7c0f… --quiet -o junit > release.xml",
		Args:    exactArgs(1, "the id that emit printed"),
	}
	server, output := addServer(c), addWaitOutput(c)
	timeout := c.Flags().Duration("timeout", time.Hour, "give up after this time, with exit code 5")
	onHold := c.Flags().String("on-hold", "fail", "what hold means to the pipeline: fail (exit 4) or pass (exit 0)")
	complete(c, "on-hold", "fail", "pass")
	quiet := c.Flags().BoolP("quiet", "q", false, "no progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *onHold != "fail" && *onHold != "pass" {
			return usage(fmt.Errorf("--on-hold must be fail or pass, not %q", *onHold))
		}
		if *timeout <= 0 {
			return usage(fmt.Errorf("--timeout %v must be positive", *timeout))
		}
		cl, err := newClient(*server)
		if err != nil {
			return err
		}
		v, body, err := waitFor(c.Context(), cl, args[0], *timeout, progressOf(s, *quiet))
		if err != nil {
			return err
		}
		code := codeOf(v)
		if code == exitHold && *onHold == "pass" {
			code = exitOK
		}
		var old error
		if v.NotAfter != nil && time.Now().After(*v.NotAfter) {
			code, old = exitTimeout, fmt.Errorf("this verdict was to be acted on until %s: deploy again for a new one", v.NotAfter.Format(time.RFC3339))
		}
		switch output.outputFlag {
		case "json":
			fmt.Fprintln(s.out, string(body))
		case "junit":
			if err := writeJUnit(s.out, v, code); err != nil {
				return internal(err)
			}
		default:
			fmt.Fprintf(s.out, "%s  %s: %s\n", v.Verdict, v.ReasonCode, verdicts.Plain(v.Reason))
		}
		if code == exitOK {
			return nil
		}
		return &exitError{code, old}
	}
	return c
}

// waitFor asks until the verdict is final or time is up: the server answers when
// there is something new. A server that cannot be reached for a moment does not end
// the wait; one that never answered does.
func waitFor(ctx context.Context, cl *client, key string, timeout time.Duration, p *progress) (verdicts.Verdict, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer p.end()
	over := time.Now().Add(timeout)
	var last verdicts.Verdict
	var body []byte
	var tag string
	for {
		asked := time.Now()
		v, b, newTag, same, err := cl.changed(ctx, key, tag, min(waitStep, time.Until(over)))
		var coded *exitError
		switch {
		case err == nil && same:
			tag = newTag
		case err == nil:
			last, body, tag = v, b, newTag
			if v.Final {
				return v, b, nil
			}
			p.say("%s  %s", v.Verdict, v.Reason)
		case errors.As(err, &coded) && coded.code != exitInternal:
			return last, body, err
		case body == nil && ctx.Err() == nil:
			return last, body, err
		case ctx.Err() == nil:
			tag = "" // whoever answers next need not know it
			p.say("the server does not answer, trying again: %v", err)
		}
		select {
		case <-time.After(time.Until(asked.Add(pollEvery))):
		case <-ctx.Done():
			switch {
			case body != nil:
				return last, body, nil
			case time.Now().Before(over):
				return last, nil, internal(fmt.Errorf("stopped before %s had answered", cl.name))
			}
			return last, nil, internal(fmt.Errorf("no answer from %s within %v", cl.name, timeout))
		}
	}
}
