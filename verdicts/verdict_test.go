package verdicts

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

// full is a verdict with something in every field.
func full() Verdict {
	plan := &analysis.Plan{
		Validation: "4dd3a1b8-4f2c-5f0f-9a59-9a3c0a1f3a10",
		Deployment: analysis.Deployment{
			ID: "checkout-2026-11-03-1", Attempt: 1, StartedAt: start, Mode: analysis.Shadow,
			Release: analysis.Release{Environment: "prod-eu1", Namespace: "shop", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9", ArtifactDigest: "sha256:5f1d"},
		},
		Window:     analysis.Window{MinBake: analysis.Duration(10 * time.Minute), Deadline: analysis.Duration(time.Hour)},
		Calibrated: true, Weight: 0.1, WeightDeclared: true,
		Warnings: []string{"baseline_over_slo: availability was 99.2 % in the hour before"},
	}
	checks := allGood()
	checks.Harm = analysis.Check{State: analysis.Bad, Code: analysis.HarmShown, Reason: "errors 4.1 times the baseline's"}
	gates := []Gate{{Name: "approved", Open: true}, {Name: "no-freeze", Reason: "freeze until Monday"}}
	findings := []analysis.Finding{{
		Objective: "availability", Role: analysis.Critical, Method: "ratio/1", State: analysis.FindingBreached, EffectKind: "ratio",
		Effect: 4.1, Low: 2.3, High: 7.7, Tolerance: 1.05, Margin: 1.25, ERollback: 213.7123456, EPromote: 0.001,
		N:   analysis.Counts{Folds: 12, CanaryBad: 41, CanaryExposure: 3000, BaselineBad: 90, BaselineExposure: 27000},
		Phi: 1.2, Code: analysis.HarmShown, Reason: "worse than the tolerance", Strength: "exact", Evidence: analysis.BesideBaseline,
		MinutesToPromote: analysis.Figure(math.NaN()), MinutesToDetectDouble: 0,
		Budget: &analysis.Budget{
			Attributable: 31, Total: 41, Size: 2.592e6, ShareOfBudget: 31 / 2.592e6, BurnRate: 13.7,
			ProjectedPerHour: analysis.Projection{Effect: .0143, Low: .006, High: .031}, Window: analysis.Duration(30 * 24 * time.Hour), WindowAssumed: true,
		},
		Posterior: &analysis.Posterior{PBad: .24, ExpectedExcess: .647, Prior: analysis.ReleasePrior{PBad: .1, GoodSD: .05}},
		Cost: &analysis.Cost{
			Currency: "EUR", SoFar: 387.5, PerHour: analysis.Projection{Effect: 465000, Low: 195000, High: analysis.Figure(math.NaN())},
			Waiting: 900, WaitMinutes: 7.5, FalseRollback: 380, ReduceWeight: true,
		},
	}}
	v := New(plan, Decide(plan, checks, gates, minutes(12)), findings)
	asOf, issued, notAfter := minutes(12), minutes(13), minutes(73)
	v.AsOf, v.IssuedAt, v.NotAfter = &asOf, &issued, &notAfter
	v.Coverage = Coverage{ArmCoverage{120, 119, 9, 27000}, ArmCoverage{12, 12, 1, 3000}}
	v.Checks, v.Gates = checks, gates
	since := minutes(3)
	v.Differences = []analysis.Difference{{
		Key: "template:a1", Kind: analysis.DiffTemplate, What: "new error line: “cart <*> is gone”", Service: "checkout", Template: "cart <*> is gone",
		Severity: analysis.SeverityError, New: true, Found: true, E: 360.8, Canary: 5, Ratio: analysis.Figure(math.Inf(1)), Pods: []string{"checkout-2"}, OfPods: 1, Since: &since,
		Example: &analysis.Line{Time: minutes(3), Pod: "checkout-2", Severity: analysis.SeverityError, Text: "cart 17 is gone"}, TraceID: "0af7651916cd43dd8448eb211c80319c",
	}}
	v.NotRead = analysis.NotRead{Skipped: 120, Late: 3, Truncated: 2, Dropped: 1, Broken: 4, Share: .125}
	v.PlanDigest, v.EvidenceDigest, v.Bundle, v.Seq = "sha256:aa", "sha256:bb", string(v.ValidationID)+".tar.zst", 2
	return v
}

func TestVerdictGolden(t *testing.T) {
	for name, v := range map[string]Verdict{"full": full(), "zero": {}} {
		got, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "testdata/verdict-"+name+".json", append(got, '\n'))
	}
}

// TestEveryKeyIsAlwaysThere: the empty verdict has the keys of the full one, at
// every level, and every field of the struct has its key.
func TestEveryKeyIsAlwaysThere(t *testing.T) {
	decode := func(v Verdict) map[string]any {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	fullKeys, zeroKeys := decode(full()), decode(Verdict{})
	sameKeys(t, "verdict", fullKeys, zeroKeys)
	typ := reflect.TypeFor[Verdict]()
	for i := range typ.NumField() {
		if _, ok := zeroKeys[typ.Field(i).Tag.Get("json")]; !ok {
			t.Errorf("field %s has no key in the JSON", typ.Field(i).Name)
		}
	}
	if len(zeroKeys) != typ.NumField() {
		t.Errorf("%d keys for %d fields", len(zeroKeys), typ.NumField())
	}
	for _, list := range []string{"findings", "differences", "exemplars", "gates", "warnings"} {
		if items, ok := zeroKeys[list].([]any); !ok || len(items) != 0 {
			t.Errorf("%s of the empty verdict is %v; want []", list, zeroKeys[list])
		}
	}
	// The elements of lists: an empty one has the keys of a full one.
	elements := decode(Verdict{Findings: make([]analysis.Finding, 1), Gates: make([]Gate, 1)})
	for _, list := range []string{"findings", "gates"} {
		sameKeys(t, list, fullKeys[list].([]any)[0], elements[list].([]any)[0])
	}
}

// sameKeys compares the keys of objects, of the objects in them too. A null may
// stand for an object.
func sameKeys(t *testing.T, path string, a, b any) {
	t.Helper()
	x, isObject := a.(map[string]any)
	y, both := b.(map[string]any)
	if !isObject || !both {
		return
	}
	if got, want := slices.Sorted(maps.Keys(y)), slices.Sorted(maps.Keys(x)); !slices.Equal(got, want) {
		t.Errorf("%s: keys %v; want %v", path, got, want)
	}
	for key := range x {
		sameKeys(t, path+"."+key, x[key], y[key])
	}
}

// A verdict that was read back is written in the same bytes.
func TestVerdictRoundTrip(t *testing.T) {
	zero := Verdict{}
	for _, v := range []Verdict{full(), zero} {
		first, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back Verdict
		if err := json.Unmarshal(first, &back); err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(back)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%v\n%s\n%s", err, first, second)
		}
	}
}

// Whatever a look computes, its verdict can be written, in UTC.
func TestVerdictCanAlwaysBeWritten(t *testing.T) {
	v := full()
	nan, inf := math.NaN(), math.Inf(1)
	v.Findings[0].Effect, v.Findings[0].High = analysis.Figure(nan), analysis.Figure(inf)
	v.Findings[0].N.CanaryBad, v.Coverage.Canary.Exposure = nan, inf
	v.NotRead.Late, v.NotRead.Share = inf, analysis.Figure(nan)
	w, here := analysis.Figure(nan), start.In(time.FixedZone("", 3600))
	v.Weight, v.AsOf = &w, &here
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"effect":null`, `"high":null`, `"weight":null`, `"canaryBad":0`, `"late":0`, `"share":0`, `"asOf":"2026-11-03T14:00:00Z"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
	if !math.IsNaN(v.Findings[0].N.CanaryBad) {
		t.Error("writing a verdict changed it")
	}
}

func TestNewSaysWhatIsStillNeeded(t *testing.T) {
	plan := plans[planSound]
	finding := func(role analysis.Role, m float64) analysis.Finding {
		return analysis.Finding{Role: role, MinutesToPromote: analysis.Figure(m), MinutesToDetectDouble: analysis.Figure(m / 2)}
	}
	for _, c := range []struct {
		findings []analysis.Finding
		want     float64
	}{
		{nil, math.NaN()},
		{[]analysis.Finding{finding(analysis.Secondary, 7)}, math.NaN()},
		{[]analysis.Finding{finding(analysis.Critical, 7), finding(analysis.Critical, 12), finding(analysis.Secondary, 90)}, 12},
		{[]analysis.Finding{finding(analysis.Critical, math.NaN()), finding(analysis.Critical, 12)}, math.NaN()},
	} {
		v := New(plan, Decide(plan, allGood(), nil, minutes(3)), c.findings)
		if got := float64(v.MinutesToPromote); got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%+v: %v minutes; want %v", c.findings, got, c.want)
		}
		if v.Evidence != "concurrent" || v.Weight != nil || v.Final || v.IssuedAt != nil {
			t.Errorf("%+v", v)
		}
	}
	refused := New(plans[planRefused], Decide(plans[planRefused], allGood(), nil, minutes(40)), nil)
	if refused.Evidence != "none" || !refused.Final || refused.Verdict != Hold || refused.ReasonCode != analysis.NoBaseline {
		t.Errorf("%+v", refused)
	}
}

func TestVerdictID(t *testing.T) {
	v := full()
	if v.ID() != full().ID() {
		t.Error("the id of a verdict changes")
	}
	v.Seq++
	if v.ID() == full().ID() {
		t.Error("two records of a validation share an id")
	}
}
