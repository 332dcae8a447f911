package report

import (
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

var update = flag.Bool("update", false, "rewrite golden files; read the diff")

var start = time.Date(2026, 11, 3, 2, 58, 0, 0, time.UTC)

func at(minutes int) *time.Time {
	t := start.Add(time.Duration(minutes) * time.Minute)
	return &t
}

// plan compares checkout 1.5.0 with 1.4.9 on an SLO and on a secondary ratio.
func plan() *analysis.Plan {
	return &analysis.Plan{
		Validation: "4dd3a1b8-4f2c-5f0f-9a59-9a3c0a1f3a10",
		Deployment: analysis.Deployment{
			ID: "checkout-2026-11-03-1", Attempt: 1, StartedAt: start,
			Release: analysis.Release{Environment: "prod-eu1", Namespace: "shop", Service: "checkout", Version: "1.5.0", PreviousVersion: "1.4.9", ArtifactDigest: "sha256:" + strings.Repeat("5f1d", 16)},
		},
		Window:        analysis.Window{MinBake: analysis.Duration(10 * time.Minute), Deadline: analysis.Duration(time.Hour)},
		AlphaRollback: 0.01, AlphaPromote: 0.05, AlphaHold: 0.1,
		Weight: 0.1, WeightDeclared: true, Calibrated: true,
		Objectives: []analysis.PlannedObjective{
			{Objective: analysis.Objective{Name: "availability", Role: analysis.Critical}, Weight: 0.7, Rung: "keeps_slo", MarginBound: analysis.Bound{Ratio: 1, Budget: 0.8}},
			{Objective: analysis.Objective{Name: "payment errors", Role: analysis.Secondary}, Weight: 0.3, Rung: "default", MarginBound: analysis.Bound{Ratio: 1.25}},
		},
	}
}

func findings() (availability, payment analysis.Finding) {
	nan := analysis.Figure(math.NaN())
	availability = analysis.Finding{
		Objective: "availability", Role: analysis.Critical, Method: "affine/1", State: analysis.FindingUndecided, EffectKind: "difference",
		Effect: 0.0002, Low: -0.0011, High: 0.0019, Tolerance: 0.00031, Margin: 0.0008, ERollback: 1.3, EPromote: 4.2,
		N: analysis.Counts{Folds: 12, CanaryBad: 4, CanaryExposure: 3000, BaselineBad: 33, BaselineExposure: 27000}, Phi: 1.2,
		Code: analysis.Collecting, Strength: "exact", MinutesToPromote: 17.4, MinutesToDetectDouble: 6,
	}
	payment = analysis.Finding{
		Objective: "payment errors", Role: analysis.Secondary, Method: "ratio/1", State: analysis.FindingUndecided, EffectKind: "ratio",
		Effect: 1.1, Low: 0.4, High: 3.9, Tolerance: 1.05, Margin: 1.25, ERollback: 0.7, EPromote: 0.9,
		N: analysis.Counts{Folds: 12, CanaryBad: 2, CanaryExposure: 310, BaselineBad: 17, BaselineExposure: 2900}, Phi: 1,
		Code: analysis.Collecting, Strength: "exact", MinutesToPromote: nan, MinutesToDetectDouble: nan,
	}
	return availability, payment
}

func good() analysis.Checks {
	g := func(reason string) analysis.Check { return analysis.Check{State: analysis.Good, Reason: reason} }
	return analysis.Checks{
		Harm: g("the evidence of harm is 1.1, far from 100"), Safety: g("1 of 1 critical objective shown safe"),
		Coverage:    g("canary 100 %, baseline 99.2 % of what was expected"),
		Identity:    g("pods are disjoint; service.version is the event's for 100 % of the traffic of both arms"),
		Serving:     analysis.Check{State: analysis.NotRequired, Reason: "no share of the traffic was declared"},
		Environment: g("the baseline keeps its SLO"), FirstExposure: analysis.Fold{Start: start, End: *at(1)},
	}
}

func explanation(p *analysis.Plan, checks analysis.Checks, gates []verdicts.Gate, asOf int, fs ...analysis.Finding) Explanation {
	v := verdicts.New(p, verdicts.Decide(p, checks, gates, *at(asOf)), fs)
	v.Checks, v.Gates, v.AsOf = checks, gates, at(asOf)
	v.Coverage = verdicts.Coverage{
		Baseline: verdicts.ArmCoverage{Expected: 120, Received: 119, Pods: 9, Exposure: 27000},
		Canary:   verdicts.ArmCoverage{Expected: 12, Received: 12, Pods: 1, Exposure: 3000},
	}
	v.PlanDigest, v.EvidenceDigest = "sha256:"+strings.Repeat("ab", 32), "sha256:"+strings.Repeat("cd", 32)
	if v.Final {
		v.IssuedAt, v.NotAfter = at(asOf), at(asOf+60)
		v.Bundle = string(v.ValidationID) + ".tar.zst"
	}
	return Explanation{Verdict: v, Plan: p}
}

// pages are the explanations of the golden files.
func pages() map[string]Explanation {
	all := map[string]Explanation{}
	availability, payment := findings()

	waiting := good()
	waiting.Safety = analysis.Check{Code: analysis.Collecting, Reason: "availability is not shown safe yet: about 18 min of this traffic are needed (margin: keeps its SLO)"}
	all["pending"] = explanation(plan(), waiting, []verdicts.Gate{{Name: "approved-by-cab", Reason: "waits for the approval of change CHG-1042"}}, 12, availability, payment)

	dear := availability
	dear.Budget, dear.Posterior, dear.Cost = besides()
	all["costs"] = explanation(plan(), waiting, nil, 12, dear)

	bare := all["pending"]
	bare.Plan = nil
	all["pending-without-plan"] = bare

	safe := availability
	safe.State, safe.Code, safe.Reason = analysis.FindingWithin, analysis.AllSafe, "shown to keep its SLO"
	safe.EPromote, safe.Effect, safe.Low, safe.High, safe.MinutesToPromote = 41.2, -0.0001, -0.0006, 0.0005, 0
	all["promote"] = explanation(plan(), good(), []verdicts.Gate{{Name: "no-freeze", Open: true}}, 31, safe, payment)

	bad := payment
	bad.State, bad.Code, bad.Reason = analysis.FindingBreached, analysis.HarmShown, "4.1 times the baseline's rate, the tolerance is 1.05"
	bad.Effect, bad.Low, bad.High, bad.ERollback = 4.1, 2.3, 7.7, 2137
	bad.N = analysis.Counts{Folds: 12, CanaryBad: 24, CanaryExposure: 1000, BaselineBad: 53, BaselineExposure: 9000}
	harmed := good()
	harmed.Harm = analysis.Check{State: analysis.Bad, Code: analysis.HarmShown, Reason: "payment errors: 4.1 times the baseline's rate (2.3 to 7.7), 24 of 1,000 requests"}
	harmed.Safety = waiting.Safety
	p := plan()
	p.Calibrated = false
	p.Warnings = []string{"baseline_over_slo: availability was 99.2 % in the hour before the deployment, its SLO is 99.9 %; the canary is judged against the baseline only"}
	all["rollback"] = explanation(p, harmed, nil, 12, availability, bad)

	held := waiting
	held.Coverage = analysis.Check{State: analysis.Stale, Code: analysis.TelemetryStale, Reason: "the canary's newest sample is 11 min old"}
	p = plan()
	p.WeightDeclared = false
	e := explanation(p, held, nil, 60, availability, payment)
	e.Verdict.Coverage.Canary = verdicts.ArmCoverage{Expected: 60, Received: 49, Pods: 0, Exposure: 12010}
	e.Verdict.Warnings = []string{"traffic_share_off: 18 % of the traffic reached the canary, 10 % was declared"}
	all["hold"] = e

	all["shapes"] = shapes(waiting)
	all["differences"] = withDifferences(all["rollback"])

	p = plan()
	p.Refused, p.RefusedReason = analysis.NothingSeen, "checkout: versions 1.5.0, 1.4.9; environments production; the event says prod-eu1"
	p.Deployment.Release.PreviousVersion = ""
	e = explanation(p, analysis.Checks{}, nil, 2)
	e.Verdict.Coverage = verdicts.Coverage{}
	e.Verdict.EvidenceDigest = ""
	all["refused"] = e
	all["zero"] = Explanation{}
	return all
}

// shapes has an objective of every shape but a ratio.
func shapes(checks analysis.Checks) Explanation {
	objective := func(name string, role analysis.Role, unit string, weight float64) analysis.PlannedObjective {
		return analysis.PlannedObjective{Weight: weight, Objective: analysis.Objective{Name: name, Role: role, Signal: analysis.Signal{Name: name, Unit: unit}}, MarginBound: analysis.Bound{Ratio: 1.2}}
	}
	latency, memory, leak, success := objective("http_duration", analysis.Critical, "s", .7), objective("memory", analysis.Secondary, "By", .1),
		objective("memory_leak", analysis.Secondary, "By", .1), objective("success", analysis.Secondary, "1", .1)
	latency.Latency = &analysis.LatencyPlan{
		Bounds: []float64{.03, .4, .5},
		Thresholds: []analysis.LatencyThreshold{
			{Quantiles: []float64{.5}, Baseline: 0},
			{Quantiles: []float64{.95, .99}, Baseline: 1, Critical: true},
		},
		Untested: []analysis.UntestedQuantile{{Quantile: .999, Why: "812 observations before the deployment, 10000 are needed"}},
	}
	leak.Leak = &analysis.Leak{Limit: 512 << 20}
	success.Target, success.MarginBound, success.Signal.Better = .99, analysis.Bound{Ratio: 1, Budget: .5}, analysis.BetterHigher

	p := plan()
	p.Objectives = []analysis.PlannedObjective{latency, memory, leak, success}
	finding := func(o analysis.PlannedObjective, method, kind string, effect, low, high, tolerance, margin analysis.Figure) analysis.Finding {
		return analysis.Finding{
			Objective: o.Name, Role: o.Role, Method: method, State: analysis.FindingUndecided, EffectKind: kind, Effect: effect, Low: low, High: high, Tolerance: tolerance, Margin: margin,
			ERollback: .8, EPromote: 1.4, Strength: "exact", MinutesToPromote: 9, MinutesToDetectDouble: 4, Reason: o.Name + ": not decided yet",
		}
	}
	slow := finding(latency, "distribution/1", "ratio", 1.08, .91, 1.31, 1.05, 1.2)
	slow.N = analysis.Counts{Folds: 12, CanaryBad: 160, CanaryExposure: 3000, BaselineBad: 1360, BaselineExposure: 27000}
	more := finding(memory, "level/1", "ratio", 1.02, .97, 1.07, 1.05, 1.2)
	more.Evidence = analysis.BeforeAfter
	growth := finding(leak, "leak/1", "slope", 41_000, 39_000, 43_500, 6_100, 6_100)
	growth.State, growth.MinutesToDetectDouble = analysis.FindingBreached, analysis.Figure(math.NaN())
	weak := finding(success, "level/1", "difference", .0004, -.001, .0021, .0025, .005)
	weak.Strength = "weak"
	checks.Environment = analysis.Check{State: analysis.Undecided, Code: analysis.Localised, Reason: "http_duration: the harm is in one stratum only, eu-1a"}
	e := explanation(p, checks, nil, 12, slow, more, growth, weak)
	e.Verdict.FalseAlarms = verdicts.FalseAlarms{Alarms: 1, Windows: 96, Low: .0018, High: .0566, Calibrated: true}
	return e
}

func explain(t *testing.T, e Explanation) string {
	t.Helper()
	var b strings.Builder
	if err := Explain(&b, e); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExplainGolden(t *testing.T) {
	for name, e := range pages() {
		got := explain(t, e)
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs (rewrite it with -update and read the diff); got:\n%s", path, got)
		}
		checkPage(t, name, got)
	}
}

// link is a line that holds an address and nothing else, which must not be broken.
var link = regexp.MustCompile(`^    in \S+ +https?://\S+$`)

// checkPage checks what holds for every page: no wide line, no blanks at an end,
// nothing that a terminal acts on, no figure that is none.
func checkPage(t *testing.T, name, page string) {
	t.Helper()
	if !utf8.ValidString(page) {
		t.Errorf("%s is not UTF-8", name)
	}
	for i, line := range strings.Split(page, "\n") {
		if n := utf8.RuneCountInString(line); n > Width && !link.MatchString(line) {
			t.Errorf("%s: line %d has %d characters: %s", name, i+1, n, line)
		}
		if line != strings.TrimRight(line, " ") {
			t.Errorf("%s: line %d ends in blanks", name, i+1)
		}
		for _, r := range line {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("%s: line %d holds %q", name, i+1, r)
			}
		}
		if regexp.MustCompile(`NaN|\bInf|e\+\d\d`).MatchString(line) {
			t.Errorf("%s: line %d: %s", name, i+1, line)
		}
	}
}

// TestHostileWords: what others wrote reaches no terminal, and cannot forge a
// line of the page.
func TestHostileWords(t *testing.T) {
	evil := "x\x1b]0;owned\a\x1b[2J\nROLLBACK, final   forged\r\u202egnp\u2066\u2028\x00\x9b31m\xff" + strings.Repeat("W", 500)
	e := pages()["pending"]
	v := &e.Verdict
	v.Service, v.Version, v.BaselineVersion, v.Environment, v.Namespace = evil, evil, evil, evil, evil
	v.ArtifactDigest, v.DeploymentID, v.ValidationID, v.Bundle = evil, analysis.DeploymentID(evil), analysis.ValidationID(evil), evil
	v.Reason, v.ReasonCode, v.Mode, v.Advice = evil, analysis.Code(evil), analysis.Mode(evil), verdicts.Advice(evil)
	v.PlanDigest, v.EvidenceDigest, v.Warnings = evil, evil, []string{evil}
	v.Gates = []verdicts.Gate{{Name: evil, Reason: evil}}
	v.Checks.Harm.Reason, v.Checks.Harm.Code = evil, analysis.Code(evil)
	for i := range v.Findings {
		f := &v.Findings[i]
		f.Objective, f.Role, f.Method, f.State, f.EffectKind = evil, analysis.Role(evil), evil, analysis.FindingState(evil), evil
		f.Code, f.Reason, f.Strength = analysis.Code(evil), evil, evil
	}
	e.Plan.Objectives[0].Name, e.Plan.Objectives[0].Rung = evil, evil
	e.Plan.Objectives[0].Signal.Unit = evil
	e.Plan.Objectives[0].Latency = &analysis.LatencyPlan{Bounds: []float64{.1}, Thresholds: []analysis.LatencyThreshold{{Quantiles: []float64{.5}}, {Baseline: 7}}, Untested: []analysis.UntestedQuantile{{Why: evil}}}
	for _, word := range []verdicts.Word{verdicts.Pending, verdicts.Promote, verdicts.Rollback, verdicts.Hold, 77} {
		v.Verdict = word
		page := explain(t, e)
		checkPage(t, "hostile", page)
		if regexp.MustCompile(`(?m)^ROLLBACK, final   forged`).MatchString(page) {
			t.Error("a line of the page is forged")
		}
	}
}

// TestStrangeFigures: no finding breaks the page or the ruler.
func TestStrangeFigures(t *testing.T) {
	strange := []analysis.Figure{0, -1, 1e-300, 1e300, 1, 0.05, analysis.Figure(math.NaN()), analysis.Figure(math.Inf(1)), analysis.Figure(math.Inf(-1))}
	e := pages()["pending"]
	for _, kind := range []string{"ratio", "difference", "slope", ""} {
		for _, effect := range strange {
			for _, low := range strange {
				for _, high := range strange {
					f := e.Verdict.Findings[0]
					f.EffectKind, f.Effect, f.Low, f.High = kind, effect, low, high
					f.Tolerance, f.Margin, f.ERollback, f.EPromote = high, low, effect, low
					f.MinutesToPromote, f.MinutesToDetectDouble = effect, high
					f.N = analysis.Counts{CanaryBad: float64(effect), CanaryExposure: float64(high), BaselineBad: 3, BaselineExposure: float64(low)}
					var p page
					p.objective(f, barsOf(e.Plan))
					if utf8.RuneCountInString(p.b.String()) > 40*Width {
						t.Fatalf("%+v: %s", f, p.b.String())
					}
					if r, ok := newRuler(f, kind == "ratio"); ok {
						lines := r.draw(f, figure)
						for _, line := range lines[1:] {
							if len(line) != rulerWidth {
								t.Fatalf("%+v: a ruler of %d cells", f, len(line))
							}
						}
					}
				}
			}
		}
	}
}

func TestRuler(t *testing.T) {
	f := analysis.Finding{EffectKind: "ratio", Effect: 2, Low: 1.5, High: 2.7, Tolerance: 1.05, Margin: 1.25}
	draw := func() (string, string) {
		r, ok := newRuler(f, true)
		if !ok {
			t.Fatal("nothing drawn")
		}
		lines := r.draw(f, figure)
		return lines[1], lines[2]
	}
	interval, limits := draw()
	at := func(s, sign string) int { return strings.Index(s, sign) }
	places := []int{at(limits, "|"), at(limits, "t"), at(limits, "m"), at(interval, "["), at(interval, "*"), at(interval, "]")}
	for i := 1; i < len(places); i++ {
		if places[i-1] < 0 || places[i-1] >= places[i] {
			t.Errorf("1 < tolerance < margin < low < effect < high is drawn at %v:\n%s\n%s", places, interval, limits)
			break
		}
	}
	f.High = analysis.Figure(math.Inf(1))
	f.Low = 0
	if interval, _ = draw(); interval[0] != '<' || interval[rulerWidth-1] != '>' {
		t.Errorf("an interval without ends: %s", interval)
	}
	f.Low, f.High, f.Tolerance, f.Margin = 0.001, 1000, 1.00001, 1.00002
	if interval, limits = draw(); interval[0] != '<' || interval[rulerWidth-1] != '>' || !strings.Contains(limits, "|tm") {
		t.Errorf("limits too near to tell apart:\n%s\n%s", interval, limits)
	}
}

func TestColourIsOffByDefault(t *testing.T) {
	e := pages()["rollback"]
	without := explain(t, e)
	e.Colour = true
	with := explain(t, e)
	if strings.Contains(without, "\x1b") || !strings.Contains(with, "\x1b[1;31mROLLBACK\x1b[0m") {
		t.Error("colour is on when it should be off, or off when on")
	}
	if stripped := regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(with, ""); stripped != without {
		t.Errorf("colour changes the page:\n%s", stripped)
	}
}

// TestSaysWhatMatters: the sentences that the page exists for.
func TestSaysWhatMatters(t *testing.T) {
	for name, wants := range map[string][]string{
		"promote":              {"PROMOTE, final checkout 1.4.9 -> 1.5.0 prod-eu1", "safety 41.2 of 20 needed: shown", "bundle", "assay rejudge 4dd3a1b8"},
		"rollback":             {"ROLLBACK, final checkout 1.4.9 -> 1.5.0 prod-eu1", "Roll back.", "harm 2,137 of 333 needed: shown", "642 of 100 needed: shown", "24 bad of 1,000 (2.4 %)", "not calibrated"},
		"hold":                 {"HOLD, final checkout", "(reached)", "[telemetry_stale]", "Stay where you are", "49 of 60 expected (81.7 %) from 0 pods"},
		"pending":              {"PENDING, not final checkout", "(48 min left)", "about 18 min", "approved-by-cab"},
		"pending-without-plan": {"harm 1.3 of 100 needed; safety 4.2 of 20 needed"},
		"differences": {
			"FINDING, new with the canary", "line ERROR payment of <*> refused", "24 in the canary, 0 in the baseline; 1 of 3 pods of the canary: checkout-7d9f-x2",
			"since 03:02:00", "trace " + trace, "98 times as often; every pod of the canary", "seen, not yet evidence, gone with the canary", "muted or expected",
			"14 spans, 2 failed, 812ms, of checkout, payment", "it could not be had [exemplar_unavailable]",
			"81,200 left out on purpose", "12 came after their time", "12.5 % of the traces were put together whole",
		},
		"refused": {"the event says prod-eu1 [nothing_seen]", "none has been judged", "it is sealed with the final verdict"},
	} {
		page := explain(t, pages()[name])
		for _, want := range wants {
			if !strings.Contains(strings.Join(strings.Fields(page), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s does not say %q:\n%s", name, want, page)
			}
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no terminal") }

func TestExplainReportsWriteErrors(t *testing.T) {
	if err := Explain(broken{}, Explanation{}); err == nil {
		t.Error("no error")
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(27000): "27,000", count(1234567.4): "1,234,567", count(-1200): "-1,200", count(2.25): "2.25",
		figure(0.000123456): "0.000123", figure(213.7): "214", figure(4.1): "4.1", figure(math.NaN()): "unknown",
		percent(0.0137): "1.37 %", percent(0): "0 %", percent(1e-9): "under 0.000001 %", figure(-1e-9): "over -0.000001", count(1e30): "over a trillion",
		evidence(0): "0", evidence(0.001): "under 0.01", evidence(5e9): "over a million",
		minutesText(17.4): "about 18 min", minutesText(0.3): "under a minute", minutesText(300): "about 5 h", minutesText(1e4): "about 6.9 days",
		minutesText(analysis.Figure(math.Inf(1))): "unknown", minutesText(0): "none",
		span(5 * time.Second): "5 s", span(90 * time.Second): "1 min 30 s", span(3*time.Hour + time.Minute): "3 h 1 min",
		strings.Join(wrap("aa bb "+strings.Repeat("c", 9), 5), "/"): "aa bb/ccccc/cccc", strings.Join(wrap("", 5), "/"): "",
	} {
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
