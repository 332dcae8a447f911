package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/report"
)

func newExplain(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "explain DEPLOYMENT",
		Short: "Explain a verdict, final or pending, objective by objective",
		Long: `Explain shows what is known about a release: each objective with its effect and
interval against tolerance and margin, the evidence there is and the evidence that is
needed, the six checks, and what is still missing.`,
		Example: "  assay explain 7c0f…\n  assay explain 7c0f… --watch",
		Args:    exactArgs(1, "the id that emit printed"),
	}
	server, output := addServer(c), addOutput(c)
	watch := c.Flags().Bool("watch", false, "show it again whenever it changes, until the verdict is final")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := newClient(*server)
		if err != nil {
			return err
		}
		for {
			v, err := explainOnce(c.Context(), cl, args[0], string(*output), s)
			if err != nil || v.Final || !*watch {
				return err
			}
			select {
			case <-time.After(2 * pollEvery):
			case <-c.Context().Done():
				return nil
			}
		}
	}
	return c
}

func explainOnce(ctx context.Context, cl *client, id, output string, s streams) (verdicts.Verdict, error) {
	d, body, err := cl.validation(ctx, id)
	if errors.Is(err, errUnknown) {
		// The verdict address answers for keys that no event has brought yet.
		v, raw, verr := cl.verdict(ctx, id)
		if verr != nil {
			return v, verr
		}
		d, body = detail{Verdict: &v}, raw
	} else if err != nil {
		return verdicts.Verdict{}, err
	}
	if d.Verdict == nil {
		d.Verdict = &verdicts.Verdict{}
	}
	if output == "json" {
		fmt.Fprintln(s.out, string(body))
		return *d.Verdict, nil
	}
	return *d.Verdict, explain(s.out, d)
}

func explain(w io.Writer, d detail) error {
	return report.Explain(w, report.Explanation{Verdict: *d.Verdict, Plan: d.Plan})
}
