package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	httpconfig "github.com/prometheus/common/config"
	"github.com/spf13/cobra"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/prometheus"
)

// promSource is what the one source of validate is called in plans and bundles.
const promSource = "prometheus"

// validateFlags are the flags of validate as they were written.
type validateFlags struct {
	prometheus, httpConfig                            string
	headers, labels                                   []string
	loki                                              string
	lokiHeaders, lokiLabels                           []string
	service, canary, baseline, environment, namespace string
	since, deadline, warmup, minBake, timeout         time.Duration
	start, until                                      string
	follow                                            bool
	objectives, slos                                  []string
	weight, bundle                                    string
	quiet                                             bool
}

// A comparison is what validate is asked.
type comparison struct {
	server  prometheus.Config
	lines   *loki.Config // nil: no log lines are asked for
	release analysis.Release
	weight  *analysis.Step // nil: not declared
	start   time.Time
	until   time.Time // of the past; zero: now
	follow  bool
	policy  validation.Policy // its deadline is set when until is known
	timeout time.Duration
	bundles string // folder that keeps the bundle; empty: none
}

func addValidateFlags(c *cobra.Command) *validateFlags {
	v, window := &validateFlags{}, analysis.DefaultWindow()
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&v.prometheus, "prometheus", "", "address of Prometheus, Mimir, Thanos or VictoriaMetrics: the root of its API (required)")
	f.StringVar(&v.loki, "loki", "", "address of a Loki that has the service's log lines: the root of its API")
	f.StringVar(&v.service, "service", "", "service that was deployed (required)")
	f.StringVar(&v.canary, "canary", "", "the new version (required)")
	f.StringVar(&v.baseline, "baseline", "", "the version to compare with (default: the one with most traffic before)")
	f.DurationVar(&v.since, "since", 0, "the deployment started so long ago, e.g. 30m")
	f.StringVar(&v.start, "start", "", "or: when it started, RFC 3339")
	f.StringVar(&v.until, "until", "", "judge the past up to this time, RFC 3339 (default: now)")
	f.BoolVar(&v.follow, "follow", false, "go on with each new sample; without --since and --start the deployment starts now")
	f.DurationVar(&v.deadline, "deadline", window.Deadline.D(), "with --follow: hold if nothing is decided so long after the start")
	f.StringArrayVar(&v.objectives, "objective", nil, `what is compared, in PromQL: [NAME=][good:]EVENTS / TOTAL, events that are bad unless good: is written; [NAME=]histogram:METRIC; or [NAME=]gauge:METRIC; may be given several times`)
	f.StringArrayVar(&v.slos, "slo", nil, "target of all shares of events, or NAME=TARGET of one, e.g. 99.9%")
	f.StringArrayVar(&v.labels, "label", nil, "ATTRIBUTE=LABEL, where a label is not the attribute's name with underscores, e.g. service.version=version")
	f.StringVar(&v.environment, "environment", "", "environment (default: the one where both versions run)")
	f.StringVar(&v.namespace, "namespace", "", "namespace of the service")
	f.StringVar(&v.weight, "weight", "", "the canary's declared share of the traffic, e.g. 10%: a canary that gets far less is harm")
	f.DurationVar(&v.warmup, "warmup", window.Warmup.D(), "leave out so much at the beginning")
	f.DurationVar(&v.minBake, "min-bake", window.MinBake.D(), "promote no earlier than so long after the first request")
	f.StringVar(&v.httpConfig, "http-config", "", "YAML file with basic_auth, authorization, oauth2, tls_config, ... as Prometheus writes them")
	f.StringArrayVar(&v.headers, "header", nil, "NAME: VALUE, sent with every query, e.g. X-Scope-OrgID: team-a")
	f.StringArrayVar(&v.lokiHeaders, "loki-header", nil, "NAME: VALUE, sent with every query to Loki, e.g. X-Scope-OrgID: team-a")
	f.StringArrayVar(&v.lokiLabels, "loki-label", nil, "ATTRIBUTE=NAME of the label or structured metadata of lines, where that is not the attribute's name with underscores")
	f.StringVar(&v.bundle, "bundle", "", "directory that keeps the evidence, for 'assay rejudge'")
	f.DurationVar(&v.timeout, "timeout", 3*time.Minute, "without --follow: give up when the server has brought nothing new for so long")
	f.BoolVarP(&v.quiet, "quiet", "q", false, "no progress")
	return v
}

// comparison reads the flags. It returns every fault, joined.
func (v *validateFlags) comparison(now time.Time) (comparison, error) {
	c := comparison{
		follow: v.follow, timeout: v.timeout, bundles: v.bundle,
		release: analysis.Release{Environment: v.environment, Namespace: v.namespace, Service: v.service, Version: v.canary, PreviousVersion: v.baseline},
	}
	var faults []error
	check := func(err error) { faults = append(faults, err) }
	for _, r := range []struct{ flag, value string }{{"--prometheus", v.prometheus}, {"--service", v.service}, {"--canary", v.canary}} {
		if r.value == "" {
			check(fmt.Errorf("%s is required", r.flag))
		}
	}
	if v.canary != "" && v.canary == v.baseline {
		check(fmt.Errorf("--canary and --baseline are both %q: there is nothing to compare", v.canary))
	}
	var err error
	c.server, err = v.server()
	check(err)
	c.lines, err = v.lines()
	check(err)
	check(v.times(&c, now))
	c.policy, err = v.policy()
	check(err)
	if v.weight != "" {
		share, err := parseShare(v.weight)
		check(err)
		c.weight = &analysis.Step{Weight: share, At: c.start}
	}
	return c, errors.Join(faults...)
}

// server reads how the server is asked.
func (v *validateFlags) server() (prometheus.Config, error) {
	c := prometheus.DefaultConfig()
	c.URL = v.prometheus
	if v.httpConfig != "" {
		read, _, err := httpconfig.LoadHTTPConfigFile(v.httpConfig)
		if err != nil {
			return c, fmt.Errorf("--http-config %s: %w", v.httpConfig, err)
		}
		c.HTTP = *read
	}
	if err := setHeaders(&c.HTTP, "--header", v.headers); err != nil {
		return c, err
	}
	var err error
	if c.Labels, err = labelsOf("--label", v.labels); err != nil {
		return c, err
	}
	if v.prometheus == "" {
		return c, nil // said already
	}
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("--prometheus: %w", err)
	}
	return c, nil
}

// setHeaders adds headers as they are written on the command line.
func setHeaders(c *httpconfig.HTTPClientConfig, flag string, headers []string) error {
	for _, text := range headers {
		name, value, found := strings.Cut(text, ":")
		if value = strings.TrimSpace(value); !found || name == "" || value == "" {
			return errors.New(flag + " must be NAME: VALUE") // without the text: it may be a secret
		}
		if strings.EqualFold(name, "Authorization") {
			kind, credentials, found := strings.Cut(value, " ")
			if !found {
				return errors.New(flag + " Authorization must be TYPE CREDENTIALS, e.g. Authorization: Bearer TOKEN")
			}
			c.Authorization = &httpconfig.Authorization{Type: kind, Credentials: httpconfig.Secret(strings.TrimSpace(credentials))}
			continue
		}
		if c.HTTPHeaders == nil {
			c.HTTPHeaders = &httpconfig.Headers{Headers: map[string]httpconfig.Header{}}
		}
		c.HTTPHeaders.Headers[name] = httpconfig.Header{Secrets: []httpconfig.Secret{httpconfig.Secret(value)}}
	}
	return nil
}

// labelsOf reads which labels carry attributes.
func labelsOf(flag string, labels []string) (map[string]string, error) {
	attributes := []string{analysis.AttrService, analysis.AttrVersion, analysis.AttrEnvironment, analysis.AttrNamespace, analysis.AttrPod, analysis.AttrInstance}
	out := map[string]string{}
	for _, text := range labels {
		attribute, label, _ := strings.Cut(text, "=")
		if !slices.Contains(attributes, attribute) || label == "" {
			return nil, fmt.Errorf("%s %q must be ATTRIBUTE=LABEL (attributes: %s)", flag, text, strings.Join(attributes, ", "))
		}
		out[attribute] = label
	}
	return out, nil
}

// times reads when the deployment started and up to when it is judged.
func (v *validateFlags) times(c *comparison, now time.Time) error {
	now = now.UTC().Truncate(time.Second)
	instant := func(flag, text string) (time.Time, error) {
		t, err := time.Parse(time.RFC3339, text)
		switch {
		case err != nil:
			return t, fmt.Errorf("%s %q is no time (write 2026-11-23T10:00:00Z)", flag, text)
		case t.After(now):
			return t, fmt.Errorf("%s %s is in the future", flag, text)
		}
		return t.UTC(), nil
	}
	var err error
	switch {
	case v.since < 0 || v.since > 0 && v.start != "":
		return errors.New("give either --since, which is positive, or --start")
	case v.since > 0:
		c.start = now.Add(-v.since)
	case v.start != "":
		if c.start, err = instant("--start", v.start); err != nil {
			return err
		}
	case v.follow:
		c.start = now
	default:
		return errors.New("when did the deployment start? give --since 30m or --start TIME, or --follow for one that starts now")
	}
	for _, d := range []struct {
		flag  string
		value time.Duration
	}{{"--warmup", v.warmup}, {"--min-bake", v.minBake}, {"--deadline", v.deadline}, {"--timeout", v.timeout}} {
		if d.value < 0 || d.value == 0 && (d.flag == "--deadline" || d.flag == "--timeout") {
			return fmt.Errorf("%s %v must be positive", d.flag, d.value)
		}
	}
	if v.until != "" {
		if v.follow {
			return errors.New("--until ends in the past, --follow does not: give one of them")
		}
		if c.until, err = instant("--until", v.until); err == nil && !c.until.After(c.start) {
			err = fmt.Errorf("--until %s is not after the start", v.until)
		}
		return err
	}
	if v.follow && !c.start.Add(v.deadline).After(now) {
		return fmt.Errorf("the deadline of %v after the start is over: leave out --follow to judge the past, or give a later --deadline", v.deadline)
	}
	return nil
}

// policy makes the policy: the objectives of the flags, else the built-in ones.
func (v *validateFlags) policy() (validation.Policy, error) {
	targets, err := v.targets()
	if err != nil {
		return validation.Policy{}, err
	}
	p := config.BuiltinPolicy(promSource)
	p.Window = analysis.Window{Warmup: analysis.Duration(v.warmup), MinBake: analysis.Duration(v.minBake), Deadline: analysis.Duration(v.deadline), OnUnderpowered: analysis.WaitUnderpowered}
	if len(v.objectives) == 0 {
		if target := targets[""]; target > 0 {
			for i := range p.Objectives {
				if o := &p.Objectives[i]; o.Signal.Shape == analysis.ShapeRatio {
					o.Target, o.Tolerance, o.Margin = target, nil, nil
				}
			}
		}
		return validation.Policy{Policy: p, Candidates: true}, unused(targets)
	}
	p.Name, p.BuiltIn, p.Objectives = "command line", false, nil
	for _, text := range v.objectives {
		o, err := parseObjective(text)
		if err != nil {
			return validation.Policy{}, fmt.Errorf("--objective %q: %w", text, err)
		}
		if slices.ContainsFunc(p.Objectives, func(other analysis.Objective) bool { return other.Name == o.Name }) {
			return validation.Policy{}, fmt.Errorf("--objective %q: another one is called %s: give it a name of its own (NAME=EVENTS / TOTAL)", text, o.Name)
		}
		switch own, named := targets[o.Name]; {
		case o.Signal.Shape == analysis.ShapeRatio:
			o.Target = cmp.Or(own, targets[""])
		case named:
			return validation.Policy{}, fmt.Errorf("--slo %s=…: a %s has no target, a share of events has one", o.Name, noun(o.Signal.Shape))
		}
		delete(targets, o.Name)
		p.Objectives = append(p.Objectives, o)
	}
	return validation.Policy{Policy: p}, unused(targets)
}

// targets reads the SLO targets by objective; that of all has the name "".
func (v *validateFlags) targets() (map[string]float64, error) {
	targets := map[string]float64{}
	for _, text := range v.slos {
		name, target, named := strings.Cut(text, "=")
		if !named {
			name, target = "", text
		}
		if percent, is := strings.CutSuffix(target, "%"); is {
			target = percent + "e-2" // exactly, as a division is not
		}
		share, err := strconv.ParseFloat(target, 64)
		if err != nil || !(share > 0 && share < 1) || named && name == "" {
			return nil, fmt.Errorf("--slo %q is no target between 0 and 1 (write 99.9%% or 0.999, for one objective NAME=99.9%%)", text)
		}
		if _, twice := targets[name]; twice {
			return nil, fmt.Errorf("--slo %q: there is a target already", text)
		}
		targets[name] = share
	}
	return targets, nil
}

// unused names a target that belongs to no objective.
func unused(targets map[string]float64) error {
	for name := range targets {
		if name != "" {
			return fmt.Errorf("--slo: no --objective is called %q", name)
		}
	}
	return nil
}
