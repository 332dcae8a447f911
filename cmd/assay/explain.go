package main

import (
	"bytes"
	"context"
	"errors"
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
		var shown []byte
		for {
			page, final, err := explanation(c.Context(), cl, args[0], string(*output))
			if err != nil {
				return err
			}
			if !bytes.Equal(page, shown) {
				if _, err := s.out.Write(page); err != nil {
					return err
				}
				shown = page
			}
			if final || !*watch {
				return nil
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

// explanation asks for a validation and returns it as it is shown, and whether its
// verdict is final.
func explanation(ctx context.Context, cl *client, id, output string) (page []byte, final bool, err error) {
	d, body, err := cl.validation(ctx, id)
	if errors.Is(err, errUnknown) {
		// The verdict address answers for keys that no event has brought yet.
		var v verdicts.Verdict
		v, body, err = cl.verdict(ctx, id)
		d = detail{Verdict: &v}
	}
	if err != nil {
		return nil, false, err
	}
	if d.Verdict == nil {
		d.Verdict = &verdicts.Verdict{}
	}
	if output == "json" {
		return append(body, '\n'), d.Verdict.Final, nil
	}
	var b bytes.Buffer
	err = explain(&b, d)
	return b.Bytes(), d.Verdict.Final, err
}

func explain(w io.Writer, d detail) error {
	return report.Explain(w, report.Explanation{Verdict: *d.Verdict, Plan: d.Plan, Links: d.Links})
}
