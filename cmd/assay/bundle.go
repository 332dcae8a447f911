package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/verdicts/bundle"
)

func newBundle(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "bundle",
		Short:   "Fetch and check forensic bundles",
		Example: "  assay bundle get 7c0f…\n  assay bundle verify 7c0f….tar.zst",
	}
	return group(c, newBundleGet(s), newBundleVerify(s))
}

func newBundleGet(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "get VALIDATION [FILE]",
		Short:   "Download the bundle of a final verdict",
		Long:    "Get downloads the bundle and checks every byte of it before the file gets its name, by\ndefault that of what was asked for. The exit code is 5 while nothing is sealed yet.",
		Example: "  assay bundle get 7c0f… evidence.tar.zst",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage(errors.New("bundle get takes a validation or deployment id, and optionally a file name"))
			}
			return nil
		},
	}
	server := addServer(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		name := filepath.Base(args[0]) + ".tar.zst"
		if len(args) == 2 {
			name = args[1]
		}
		err := writeWhole(name, func(f *os.File) error {
			if err := download(c.Context(), *server, http.MethodGet, "/v1/validations/"+url.PathEscape(args[0])+"/bundle", f); err != nil {
				return err
			}
			if _, err := bundle.Verify(f.Name()); err != nil {
				return internal(fmt.Errorf("the bundle arrived damaged: %w", err))
			}
			return nil
		})
		if err != nil {
			return err
		}
		fmt.Fprintln(s.out, name)
		return nil
	}
	return c
}

func newBundleVerify(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "verify FILE",
		Short:   "Check every byte of a bundle",
		Example: "  assay bundle verify 7c0f….tar.zst",
		Args:    exactArgs(1, "one bundle file"),
	}
	output := addOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		report, err := bundle.Verify(args[0])
		if err != nil {
			return internal(fmt.Errorf("%s: %w", args[0], err))
		}
		if *output == "json" {
			return json.NewEncoder(s.out).Encode(report)
		}
		fmt.Fprintf(s.out, "intact: %s of validation %s, %s\n%s\n", report.Verdict, report.Manifest.Validation, counted(report.Looks, "look"), report.Digest)
		return nil
	}
	return c
}

func newRejudge(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "rejudge FILE",
		Short: "Judge a bundle again, offline, and compare byte for byte",
		Long: `Rejudge checks a bundle and runs the judge over the evidence in it, exactly as the
service did. It succeeds if the same verdict comes out, byte for byte; its exit code
does not say which verdict that is.`,
		Example: "  assay rejudge 7c0f….tar.zst",
		Args:    exactArgs(1, "one bundle file"),
	}
	output := addOutput(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		if _, err := bundle.Verify(args[0]); err != nil {
			return internal(fmt.Errorf("%s: %w", args[0], err))
		}
		b, err := bundle.Open(args[0])
		if err != nil {
			return internal(err)
		}
		defer b.Close()
		verdict, same, err := validation.Rejudge(b)
		if err != nil {
			return internal(fmt.Errorf("%s: %w", args[0], err))
		}
		if *output == "json" {
			if err := json.NewEncoder(s.out).Encode(map[string]any{"same": same, "verdict": verdict}); err != nil {
				return err
			}
		} else if same {
			fmt.Fprintf(s.out, "reproduced: %s (%s), byte for byte\n", verdict.Verdict, verdict.ReasonCode)
		}
		if !same {
			return internal(fmt.Errorf("%s: the bundle holds %s by %s, judged again by assay %s it is %s (%s)",
				args[0], b.Verdict.Verdict, b.Manifest.Engine, version, verdict.Verdict, verdict.ReasonCode))
		}
		return nil
	}
	return c
}
