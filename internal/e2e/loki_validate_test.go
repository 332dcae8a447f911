package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/testdata/backends"
	"github.com/release-assay/assay/verdicts"
)

// TestValidateWithLoki compares a release whose requests are as good as before, and whose
// logs are not: one line of ERROR that was never written before. The requests come from a
// real Prometheus and the lines from a real Loki.
func TestValidateWithLoki(t *testing.T) {
	t.Parallel()
	w := worldOf(t, 25*time.Minute, "healthy")
	prom, server := w.prometheus(t), backends.StartLoki(t, backends.LokiConfig{})
	pushLoki(t, server, "", shopLines(w, environmentOf("healthy")))
	source := openLoki(t, server.URL)
	awaitLoki(t, source, shopLines(w, environmentOf("healthy")))
	validate := func(flags ...string) outcome {
		return command(t, nil, append([]string{
			"validate", "--prometheus", prom.URL, "--service", lab.Service, "--canary", lab.CanaryVersion, "--baseline", lab.BaselineVersion,
			"--start", w.deployed.Format(time.RFC3339), "--environment", environmentOf("healthy"),
		}, flags...)...)
	}

	o := validate("--loki", server.URL, "-o", "json")
	var v verdicts.Verdict
	if err := json.Unmarshal([]byte(o.out), &v); err != nil {
		t.Fatalf("%v: %v", err, o)
	}
	if v.Verdict == verdicts.Promote {
		t.Errorf("promoted: %s", v.Reason)
	}
	found := false
	for i, d := range v.Differences {
		t.Logf("%d. %s", i+1, d.What)
		if d.New && d.Found && d.Severity == analysis.SeverityError && strings.Contains(d.Template, "cannot reach payment gateway") {
			found = i < 5 && d.Example != nil && d.Example.TraceID != "" && strings.Contains(d.Example.Text, "cannot reach payment gateway") && d.Baseline == 0
		}
		if strings.Contains(d.Template, "order") && d.Found {
			t.Errorf("an old line is a finding: %+v", d)
		}
	}
	if !found {
		t.Errorf("the new line is not named: %s (%s)\n%s", v.Verdict, v.Reason, o.out)
	}

	for name, test := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"nothing answers":        {[]string{"--loki", "http://" + freeAddress(t)}, 1, "no answer from"},
		"not a Loki":             {[]string{"--loki", prom.URL}, 2, "not as the API of Loki"},
		"no address":             {[]string{"--loki", "loki"}, 2, "is no address"},
		"the service's label":    {[]string{"--loki", server.URL, "--loki-label", "service.name=app"}, 2, `no lines with the label app="checkout"`},
		"the version's label":    {[]string{"--loki", server.URL, "--loki-label", "service.version=release"}, 2, "have no version"},
		"a flag without address": {[]string{"--loki-header", "X-Scope-OrgID: a"}, 2, "--loki, which is not given"},
	} {
		o := validate(test.flags...)
		if o.code != test.code || !strings.Contains(o.err, test.says) {
			t.Errorf("%s: %v", name, o)
		}
	}
}

// shopLines are what both versions wrote since an hour before the deployment: a line of a
// request each second in turn, one failed order a minute; and of the new version one that
// cannot reach what it never called before, every ten seconds.
func shopLines(w world, environment string) (lines []lokiLine) {
	attributes := func(version, pod string) map[string]string {
		return map[string]string{analysis.AttrService: lab.Service, analysis.AttrVersion: version, analysis.AttrEnvironment: environment, analysis.AttrPod: pod}
	}
	until := time.Now().Add(-2 * time.Second)
	n := 0
	for at := w.deployed.Add(-time.Hour); at.Before(until); at = at.Add(time.Second) {
		n++
		version, pod := lab.BaselineVersion, fmt.Sprint("checkout-old-", n%3)
		if !at.Before(w.deployed) && n%5 == 0 {
			version, pod = lab.CanaryVersion, fmt.Sprint("checkout-new-", n%2)
		}
		add := func(severity analysis.Severity, format string, args ...any) {
			lines = append(lines, lokiLineOf(attributes(version, pod), analysis.Line{
				Time: at.Add(time.Duration(len(lines)%900) * time.Millisecond), Severity: severity, TraceID: fmt.Sprintf("%032x", len(lines)+1), Text: fmt.Sprintf(format, args...),
			}))
		}
		add(analysis.SeverityInfo, "order %d stored in %d ms", 1000+n, n%90)
		if n%60 == 0 {
			add(analysis.SeverityError, "order %d refused: card expired", 1000+n)
		}
		if version == lab.CanaryVersion && n%10 == 0 {
			add(analysis.SeverityError, "cannot reach payment gateway 10.0.0.%d: timeout after %d ms", n%200, 1000+n%7)
		}
	}
	return lines
}
