package verdicts

import (
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// New returns the verdict that a decision on plan makes, with everything that
// the plan, the decision and the findings say. The caller adds what only the
// look knows: Checks, Gates, Coverage, AsOf, IssuedAt, NotAfter, the digests,
// Bundle, Seq and further Warnings.
func New(plan *analysis.Plan, d Decision, findings []analysis.Finding) Verdict {
	r := plan.Deployment.Release
	started, deadline := plan.Deployment.StartedAt, plan.Deadline()
	v := Verdict{
		Schema: Schema, ValidationID: plan.Validation, DeploymentID: plan.Deployment.ID, Attempt: plan.Deployment.Attempt,
		Environment: r.Environment, Namespace: r.Namespace, Service: r.Service,
		Version: r.Version, BaselineVersion: r.PreviousVersion, ArtifactDigest: r.ArtifactDigest, Mode: plan.Deployment.Mode,
		Verdict: d.Word, Final: d.Final(), ReasonCode: d.Code, Reason: d.Reason, Advice: d.Advice,
		Evidence: "concurrent", Calibrated: plan.Calibrated,
		StartedAt: &started, Deadline: &deadline,
		Findings: findings, Warnings: slices.Clone(plan.Warnings),
	}
	switch {
	case plan.Refused != "":
		v.Evidence = "none"
	case plan.Comparison == analysis.PreviousWindow:
		v.Evidence = analysis.BeforeAfter
	}
	v.FalseAlarms = falseAlarms(plan)
	if plan.WeightDeclared {
		w := analysis.Figure(plan.Weight)
		v.Weight = &w
	}
	v.MinutesToPromote = slowest(findings, func(f analysis.Finding) analysis.Figure { return f.MinutesToPromote })
	v.MinutesToDetectDouble = slowest(findings, func(f analysis.Finding) analysis.Figure { return f.MinutesToDetectDouble })
	return v
}

func falseAlarms(plan *analysis.Plan) FalseAlarms {
	alarms, windows, low, high, shown := plan.FalseAlarms.Rate()
	return FalseAlarms{alarms, windows, analysis.Figure(low), analysis.Figure(high), shown}
}

// slowest returns the largest of the critical objectives' minutes; NaN, unknown
// or never, where one of them is or where there is none.
func slowest(findings []analysis.Finding, minutes func(analysis.Finding) analysis.Figure) analysis.Figure {
	worst, found := 0.0, false
	for _, f := range findings {
		if f.Role == analysis.Critical {
			worst, found = math.Max(worst, float64(minutes(f))), true // NaN stays NaN
		}
	}
	if !found {
		return analysis.Figure(math.NaN())
	}
	return analysis.Figure(worst)
}

// MarshalJSON implements json.Marshaler. Every key is always there, lists are
// never null, words are never empty, times are UTC, and a count that is no number
// is 0: a verdict can always be written.
func (v Verdict) MarshalJSON() ([]byte, error) {
	type plain Verdict
	if v.Schema == "" {
		v.Schema = Schema
	}
	if v.Mode == "" {
		v.Mode = analysis.Live
	}
	if v.Advice == "" {
		v.Advice = Keep
	}
	if v.Evidence == "" {
		v.Evidence = "none"
	}
	v.StartedAt, v.AsOf, v.Deadline = utc(v.StartedAt), utc(v.AsOf), utc(v.Deadline)
	v.IssuedAt, v.NotAfter = utc(v.IssuedAt), utc(v.NotAfter)
	v.Coverage.Baseline.Exposure, v.Coverage.Canary.Exposure = count(v.Coverage.Baseline.Exposure), count(v.Coverage.Canary.Exposure)
	v.Findings = append([]analysis.Finding{}, v.Findings...)
	v.Differences = append([]analysis.Difference{}, v.Differences...)
	v.Exemplars = append([]analysis.Exemplar{}, v.Exemplars...)
	for i := range v.Findings {
		n := &v.Findings[i].N
		n.CanaryBad, n.CanaryExposure = count(n.CanaryBad), count(n.CanaryExposure)
		n.BaselineBad, n.BaselineExposure = count(n.BaselineBad), count(n.BaselineExposure)
	}
	if len(v.Findings) == 0 && v.MinutesToPromote == 0 { // nothing is known, and 0 would say "now"
		v.MinutesToPromote = analysis.Figure(math.NaN())
	}
	if len(v.Findings) == 0 && v.MinutesToDetectDouble == 0 {
		v.MinutesToDetectDouble = analysis.Figure(math.NaN())
	}
	if v.FalseAlarms.Windows == 0 { // a share of nothing
		v.FalseAlarms.Low, v.FalseAlarms.High = analysis.Figure(math.NaN()), analysis.Figure(math.NaN())
	}
	v.Gates = append([]Gate{}, v.Gates...)
	v.Warnings = append([]string{}, v.Warnings...)
	return json.Marshal(struct {
		plain
		Checks  wireChecks  `json:"checks"`
		NotRead wireNotRead `json:"notRead"`
	}{plain(v), checksOnWire(v.Checks), notReadOnWire(v.NotRead)})
}

// wireNotRead is what was not read with every key present.
type wireNotRead struct {
	Skipped   float64         `json:"skipped"`
	Late      float64         `json:"late"`
	Truncated float64         `json:"truncated"`
	Dropped   float64         `json:"dropped"`
	Broken    float64         `json:"broken"`
	Share     analysis.Figure `json:"share"` // 0: no traces were asked for, or all were assembled
}

func notReadOnWire(n analysis.NotRead) wireNotRead {
	w := wireNotRead{count(n.Skipped), count(n.Late), count(n.Truncated), count(n.Dropped), count(n.Broken), n.Share}
	if share := float64(w.Share); math.IsNaN(share) || math.IsInf(share, 0) {
		w.Share = 0
	}
	return w
}

// wireCheck and wireChecks are the checks with every key present.
type wireCheck struct {
	State  analysis.CheckState `json:"state"`
	Code   analysis.Code       `json:"code"`
	Reason string              `json:"reason"`
}

type wireChecks struct {
	Harm          wireCheck      `json:"harm"`
	Safety        wireCheck      `json:"safety"`
	Coverage      wireCheck      `json:"coverage"`
	Identity      wireCheck      `json:"identity"`
	Serving       wireCheck      `json:"serving"`
	Environment   wireCheck      `json:"environment"`
	FirstExposure *analysis.Fold `json:"firstExposure"` // null: the canary has served nothing yet
}

func checksOnWire(c analysis.Checks) wireChecks {
	w := wireChecks{
		Harm: wireCheck(c.Harm), Safety: wireCheck(c.Safety), Coverage: wireCheck(c.Coverage),
		Identity: wireCheck(c.Identity), Serving: wireCheck(c.Serving), Environment: wireCheck(c.Environment),
	}
	if first := c.FirstExposure; first != (analysis.Fold{}) {
		w.FirstExposure = &analysis.Fold{Start: first.Start.UTC(), End: first.End.UTC()}
	}
	return w
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func count(n float64) float64 {
	if math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}
