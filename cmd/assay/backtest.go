package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/backtest"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// backtestFlags are the flags of backtest as they were written.
type backtestFlags struct {
	file, labels   string
	paths, against []string
	timeout        time.Duration
	quiet          bool
}

func newBacktest(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "backtest BUNDLE|DIRECTORY...|EVENTS.jsonl",
		Short: "Judge past releases by changed policies, and list the verdicts that would change",
		Long: `Backtest judges the evidence of sealed bundles again, offline, by the policies that are
given now, and counts what would have come out otherwise. Of a directory it takes every
.tar.zst file below it.

Alphas, tolerances, margins, targets, roles and windows may differ. What the evidence does
not answer, since it was never asked for, is listed as 'cannot tell': another signal, other
strata or cohorts, other quantiles or bounds of a latency. Evidence ends with the verdict
that was given; a policy that would have waited longer is 'pending' there.

With --against it takes a file of deployment events instead, one structured CloudEvent a
line, and judges each release twice from what Prometheus still has of that time: by the
policies of --against, and by those of --policies. These may differ in everything.

With --labels, which say how releases turned out, old and new answers are counted against
that. A label names a deployment, or a service and its version; it is good or bad:
  deployment,label                          {"service": "checkout", "version": "1.5.0", "label": "bad"}
  7c0f…,good                                {"deployment": "7c0f…", "label": "good"}

Exit codes: 0 whatever would change; 1 a release could not be judged (the others are),
2 the command names what is not there.`,
		Example: `  assay backtest --policies policies/ /var/lib/assay/bundles
  assay backtest --config assay.yaml --labels labels.csv 7c0f….tar.zst
  assay backtest --config assay.yaml --policies new/ --against old/ deployments.jsonl
  assay backtest --policies stricter.yaml bundles/ -o json | jq '.changes[] | [.deployment, .before.verdict, .after.verdict]'`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(fmt.Errorf("backtest takes bundles, directories of them, or with --against a file of events\nsee '%s --help'", c.CommandPath()))
			}
			return nil
		},
	}
	v := &backtestFlags{}
	file, paths := addConfigFlags(c)
	f := c.Flags()
	f.StringSliceVar(&v.against, "against", nil, "judge a file of events by these policies too, and compare with that")
	f.StringVar(&v.labels, "labels", "", "file that says how releases turned out, CSV or lines of JSON")
	f.DurationVar(&v.timeout, "timeout", 3*time.Minute, "with --against: give a release up when the server has brought nothing new for so long")
	f.BoolVarP(&v.quiet, "quiet", "q", false, "no progress")
	output := addOutput(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		v.file, v.paths = *file, *paths
		labels, err := readLabels(v.labels)
		if err != nil {
			return usage(err)
		}
		p := progressOf(s, v.quiet)
		tally, err := v.run(c.Context(), args, labels, p)
		p.end()
		if err != nil {
			return err
		}
		return showBacktest(s, string(*output), tally, labels)
	}
	return c
}

// run judges what the arguments name. Errors carry their exit code.
func (v *backtestFlags) run(ctx context.Context, args []string, labels *backtest.Labels, p *progress) (t backtest.Tally, err error) {
	if v.file == "" && len(v.paths) == 0 {
		return t, usage(errors.New("name the policies to judge by: --policies FILE or --config FILE"))
	}
	if len(v.against) > 0 {
		return v.runEvents(ctx, args, labels, p)
	}
	_, policies, err := readConfig(v.file, v.paths)
	if err != nil {
		return t, usage(err)
	}
	bundles, err := bundlesIn(args)
	if err != nil {
		return t, usage(err)
	}
	if t, err = judgeAgain(ctx, bundles, policyOf(policies), labels, p); err != nil {
		return t, internal(err)
	}
	return t, nil
}

func (v *backtestFlags) runEvents(ctx context.Context, args []string, labels *backtest.Labels, p *progress) (t backtest.Tally, err error) {
	var releases []pastRelease
	for _, name := range args {
		more, err := readPastReleases(name)
		if err != nil {
			return t, usage(err)
		}
		releases = append(releases, more...)
	}
	before, err := openConfiguration(v.file, v.against)
	if err != nil {
		return t, err
	}
	defer before.close()
	after, err := openConfiguration(v.file, v.paths)
	if err != nil {
		return t, err
	}
	defer after.close()
	if t, err = judgeEvents(ctx, releases, before, after, labels, v.timeout, p); err != nil {
		return t, internal(err)
	}
	return t, nil
}

// showBacktest prints what was counted. That a release could not be judged is an error,
// told after all that could.
func showBacktest(s streams, output string, t backtest.Tally, labels *backtest.Labels) error {
	var err error
	if output == "json" {
		err = writeJSON(s.out, t)
	} else {
		err = showTally(s.out, t)
	}
	if err != nil {
		return internal(err)
	}
	if labels != nil {
		for _, what := range labels.Unused() {
			fmt.Fprintf(s.err, "labelled, but not judged: %s\n", verdicts.Plain(what))
		}
	}
	if n := len(t.Unread); n > 0 {
		return internal(fmt.Errorf("%s could not be judged", counted(n, "release")))
	}
	return nil
}

// readLabels reads a file of labels; none is no labels.
func readLabels(name string) (*backtest.Labels, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	labels, err := backtest.ReadLabels(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return labels, nil
}

// bundlesIn lists the bundles that paths stand for, each once.
func bundlesIn(paths []string) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	add := func(name string) {
		if name = filepath.Clean(name); !seen[name] {
			seen[name] = true
			out = append(out, name)
		}
	}
	for _, root := range paths {
		info, err := os.Stat(root)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(root)
			continue
		}
		before := len(seen)
		err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(name, bundle.Name("")) {
				add(name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(seen) == before {
			return nil, fmt.Errorf("%s holds no further bundle (*%s)", root, bundle.Name(""))
		}
	}
	return out, nil
}

// progressSteps is about how often the progress of many bundles is told.
const progressSteps = 20

// judgeAgain judges bundles by other policies. One that cannot be read holds up none.
func judgeAgain(ctx context.Context, bundles []string, policy func(analysis.Release, string) validation.Policy, labels *backtest.Labels, p *progress) (backtest.Tally, error) {
	var cases []backtest.Case
	unread := []backtest.Unread{}
	for i, name := range bundles {
		if err := ctx.Err(); err != nil {
			return backtest.Tally{}, err
		}
		one, err := judgeBundleAgain(name, policy)
		if err != nil {
			unread = append(unread, backtest.Unread{From: name, Error: err.Error()})
		} else {
			if labels != nil {
				one.Truth = labels.Of(one)
			}
			cases = append(cases, one)
		}
		if done := i + 1; done%max(1, len(bundles)/progressSteps) == 0 || done == len(bundles) {
			p.say("%d of %s judged again", done, counted(len(bundles), "bundle"))
		}
	}
	tally := backtest.Count(cases)
	tally.Unread = unread
	return tally, nil
}

func judgeBundleAgain(name string, policy func(analysis.Release, string) validation.Policy) (backtest.Case, error) {
	b, err := bundle.Open(name)
	if err != nil {
		return backtest.Case{}, err
	}
	defer b.Close()
	c, err := backtest.Judge(b, policy)
	c.From = name
	return c, err
}
