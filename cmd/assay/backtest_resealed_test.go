package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// resealed is a bundle with other contents, sealed as if they had been judged.
func resealed(t *testing.T, from string, change func(*analysis.Plan, *[]analysis.Look, *verdicts.Verdict)) string {
	t.Helper()
	b, err := bundle.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	plan, err := b.Plan()
	if err != nil {
		t.Fatal(err)
	}
	var looks []analysis.Look
	for look, err := range b.Looks() {
		if err != nil {
			t.Fatal(err)
		}
		looks = append(looks, look)
	}
	v := b.Verdict
	change(plan, &looks, &v)
	encoded, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if v.PlanDigest, err = plan.Digest(); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	digest := bundle.NewEvidenceDigest()
	for _, look := range looks {
		line, err := bundle.EncodeLook(look)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(line)
	}
	if _, err := digest.Write(lines.Bytes()); err != nil {
		t.Fatal(err)
	}
	v.EvidenceDigest = digest.String()
	name := filepath.Join(t.TempDir(), bundle.Name(plan.Validation))
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := bundle.Write(f, bundle.Contents{Plan: encoded, Looks: bytes.NewReader(lines.Bytes()), Verdict: v, Engine: b.Manifest.Engine}); err != nil {
		t.Fatal(err)
	}
	return name
}

// What ended a release from outside ends it under every policy. An end that followed from
// the recorded plan says nothing about another one: the evidence ends there.
func TestBacktestOfEndedReleases(t *testing.T) {
	healthy := play(t, 1)[0].Bundle
	ended := func(code analysis.Code) string {
		return resealed(t, healthy, func(_ *analysis.Plan, looks *[]analysis.Look, v *verdicts.Verdict) {
			*looks = (*looks)[:4]
			*looks = append(*looks, analysis.Look{Now: (*looks)[3].Now, End: &analysis.End{Code: code, Reason: "because"}})
			v.Verdict, v.ReasonCode, v.Reason = verdicts.Hold, code, "because"
		})
	}
	for _, c := range []struct {
		code          analysis.Code
		same, changed verdicts.Word // by the same policy, and by one with another deadline
	}{
		{analysis.Superseded, verdicts.Hold, verdicts.Hold},
		{analysis.Cancelled, verdicts.Hold, verdicts.Hold},
		{analysis.AnalyzerFault, verdicts.Hold, verdicts.Pending},
		{analysis.Expired, verdicts.Hold, verdicts.Pending},
	} {
		name := ended(c.code)
		for deadline, want := range map[string]verdicts.Word{"deadline: 20m": c.same, "deadline: 30m": c.changed} {
			conf := config.Defaults()
			conf.Policies = []string{writeIn(t, t.TempDir(), "policy.yaml", strings.ReplaceAll(string(demoPolicy), "deadline: 20m", deadline))}
			policies, err := conf.LoadPolicies()
			if err != nil {
				t.Fatal(err)
			}
			got, err := judgeBundleAgain(name, policyOf(policies))
			if err != nil || got.After == nil || got.After.Verdict != want || want == verdicts.Hold && got.After.ReasonCode != c.code {
				t.Errorf("%s, %s: %+v, %v", c.code, deadline, got.After, err)
			}
		}
	}
}

// A bundle whose plan no planning can have made is an error of its own, not a crash.
func TestBacktestOfAForgedPlan(t *testing.T) {
	results := play(t, 1)
	for name, forge := range map[string]func(*analysis.PlannedObjective){
		"a bound that there is not": func(o *analysis.PlannedObjective) { o.Latency.Thresholds[0].Baseline = 1000 },
		"no thresholds":             func(o *analysis.PlannedObjective) { o.Latency = nil },
		"no cadence":                func(o *analysis.PlannedObjective) { o.Cadence = -1 },
	} {
		forged := resealed(t, results[0].Bundle, func(p *analysis.Plan, _ *[]analysis.Look, _ *verdicts.Verdict) {
			i := slices.IndexFunc(p.Objectives, func(o analysis.PlannedObjective) bool { return o.Latency != nil })
			forge(&p.Objectives[i])
		})
		_, tally, failed := backtested(t, []string{forged, results[1].Bundle}, "5m", "5m")
		if tally.Same != 1 || len(tally.Unread)+len(tally.CannotTell) != 1 {
			t.Errorf("%s: %+v\n%s", name, tally, failed)
		}
	}
}
