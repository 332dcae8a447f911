package analysis

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

const minute = time.Minute

// A History is what the hours before the deployment say about one objective's
// baseline (statistics 2.5). The zero value is "unknown": uncalibrated.
type History struct {
	Calibrated bool       `json:"calibrated"`         // at least 2 h and 2 baseline pods
	Minutes    int        `json:"minutes"`            // minutes with data
	Pods       int        `json:"pods"`               // baseline pods in the last hour
	Phi0       [3]float64 `json:"phi0"`               // dispersion of A/A comparisons at batches of 1, 5, 15 min; 3 where unknown
	PhiBefore  [3]float64 `json:"phiBefore,omitzero"` // the same of blocks of minutes against the hour before them; 0 where unknown
	PlanPhi    float64    `json:"planPhi"`            // largest Phi0, for planning
	Bad        float64    `json:"bad"`                // over the whole history
	Exposure   float64    `json:"exposure"`           // over the whole history
	BadHour    float64    `json:"badLastHour"`        // in the hour before the deployment
	HourTotal  float64    `json:"exposureLastHour"`   // in the hour before the deployment
	HourSpan   float64    `json:"minutesLastHour"`    // minutes of that hour with data

	Latency *LatencyHistory `json:"latency,omitempty"` // of a distribution
	Level   *LevelHistory   `json:"level,omitempty"`   // of a level
	Long    *LongHistory    `json:"long,omitempty"`    // of a level without a baseline beside the canary
}

// Rate returns (bad + 1/2) / exposure over the history, the p_hist of statistics
// 3.3, and whether there is any exposure.
func (h History) Rate() (float64, bool) {
	if h.Exposure <= 0 {
		return 0, false
	}
	return (h.Bad + 0.5) / h.Exposure, true
}

// Null says which null hypothesis an objective is tested against.
type Null string

const (
	NullRatio  Null = "ratio"  // p_C <= Ratio * p_B (statistics 3.2)
	NullAffine Null = "affine" // p_C <= Ratio * p_B + Budget (1-SLO) (statistics 3.3)
	// NullBernoulli is either of them for outcomes that are common: both happen to
	// more than a tenth of the requests (statistics 3.4).
	NullBernoulli Null = "bernoulli"
)

// A PlannedObjective is an objective with everything resolved.
type PlannedObjective struct {
	Objective
	Method         string       `json:"method"` // name/version of its row in Methods
	Weight         float64      `json:"weight"` // its share of the harm evidence, statistics 9.1
	Cadence        Duration     `json:"cadence"`
	Lateness       Duration     `json:"lateness"`
	Null           Null         `json:"null"`
	CountGood      bool         `json:"countGood,omitempty"` // good events are the rarer ones: they are counted, and fewer of them is worse
	ToleranceBound Bound        `json:"toleranceBound"`
	MarginBound    Bound        `json:"marginBound"`
	Rung           string       `json:"rung"`     // which margin was chosen: one of the Rung constants
	BaseRate       float64      `json:"baseRate"` // p_hist
	History        History      `json:"history"`
	Latency        *LatencyPlan `json:"latency,omitempty"` // of a distribution
	Level          *LevelPlan   `json:"level,omitempty"`   // of a level
	// Forecasts from the baseline's last hour, minutes from the start; 0: unknown.
	MinutesToPromote      Figure `json:"minutesToPromote"`
	MinutesToDetectDouble Figure `json:"minutesToDetectDouble"`
	WeightNeeded          Figure `json:"weightNeeded,omitempty"`    // smallest canary share that could decide by the deadline, where underpowered
	BaselineOverSLO       bool   `json:"baselineOverSlo,omitempty"` // already in the hour before the deployment
	Underpowered          bool   `json:"underpowered,omitempty"`    // the forecast does not fit the deadline: it may still promote, mostly it will hold
}

// countsExposure reports whether the rows of o count what was served: a level is
// measured whether or not there is traffic.
func (o *PlannedObjective) countsExposure() bool { return o.Signal.Shape != ShapeLevel }

// A Plan is everything that is fixed before data is seen. It is immutable; its
// digest is in every verdict.
type Plan struct {
	Schema             string             `json:"schema"`
	Validation         ValidationID       `json:"validation"`
	Deployment         Deployment         `json:"deployment"` // Release.PreviousVersion resolved
	Policy             string             `json:"policy"`
	BuiltIn            bool               `json:"builtIn"`
	Cohorts            Cohorts            `json:"cohorts"`
	Comparison         Comparison         `json:"comparison,omitempty"` // "": concurrent
	Window             Window             `json:"window"`
	AlphaRollback      float64            `json:"alphaRollback"`
	AlphaPromote       float64            `json:"alphaPromote"`
	AlphaHold          float64            `json:"alphaHold"`
	Costs              *Costs             `json:"costs,omitempty"` // of mistakes; nil: unknown
	Objectives         []PlannedObjective `json:"objectives"`
	Weight             float64            `json:"weight"`             // share of the canary that forecasts assume
	WeightDeclared     bool               `json:"weightDeclared"`     // by the deployment; else assumed
	Restarts           []time.Time        `json:"restarts"`           // planned start times of late-onset mixtures, statistics 3.7
	IdentityBySelector bool               `json:"identityBySelector"` // both cohorts select on service.version = the event's
	Calibrated         bool               `json:"calibrated"`
	Logs               *LogPlan           `json:"logs,omitempty"`        // nil: no objective is about logs
	Traces             *TracePlan         `json:"traces,omitempty"`      // nil: no objective is about traces
	FalseAlarms        *FalseAlarms       `json:"falseAlarms,omitempty"` // of this plan in the service's own quiet time
	Warnings           []string           `json:"warnings,omitempty"`
	// Refused is set where no comparison is possible (no_baseline, no_objectives,
	// nothing_seen): the validation ends, or waits, with this reason.
	Refused       Code   `json:"refused,omitempty"`
	RefusedReason string `json:"refusedReason,omitempty"`
}

// Deadline is the instant in event time by which a verdict is final.
func (p *Plan) Deadline() time.Time { return p.Deployment.StartedAt.Add(p.Window.Deadline.D()) }

// Encode returns the canonical bytes of the plan: one line of JSON.
func (p *Plan) Encode() ([]byte, error) { return json.Marshal(p) }

// Digest returns "sha256:" and the hex digest of the plan's canonical bytes.
func (p *Plan) Digest() (string, error) {
	b, err := p.Encode()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// beforeAfter reports whether the canary is compared with the time before.
func (p *Plan) beforeAfter() bool { return p.Comparison == PreviousWindow || p.Comparison == Both }

// Query returns the question for one objective and fold, both arms at once.
func (p *Plan) Query(o *PlannedObjective, fold Fold) Query {
	q := Query{Signal: o.Signal, Matches: p.matches(), Fold: fold, Since: p.Deployment.StartedAt.Add(-lookBack), Strata: o.Strata}
	if o.Latency != nil {
		q.Bounds = o.Latency.Bounds
	}
	switch o.Signal.Shape {
	case ShapeTemplates:
		q.Lines = &LineQuery{}
		if p.Logs != nil {
			q.Lines.Templates, q.Lines.Share = p.Logs.Templates, p.Logs.Share
		}
	case ShapeTopology:
		q.Spans = &SpanQuery{}
		if p.Traces != nil {
			q.Spans.Operations = p.Traces.Operations
		}
	}
	if !p.IdentityBySelector {
		q.Observe = []string{AttrVersion}
	}
	return q
}

// matches returns, for every attribute that either cohort selects on, the values
// of both.
func (p *Plan) matches() []Match {
	values := map[string][]string{}
	for _, c := range []Cohort{p.Cohorts.Baseline, p.Cohorts.Canary, p.Cohorts.Control} {
		for name, v := range c {
			if !slices.Contains(values[name], v) {
				values[name] = append(values[name], v)
			}
		}
	}
	out := make([]Match, 0, len(values))
	for name, v := range values {
		slices.Sort(v)
		out = append(out, Match{name, v})
	}
	slices.SortFunc(out, func(a, b Match) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// BaselineMatches returns the matches that select the baseline alone, for
// questions about its history.
func (p *Plan) BaselineMatches() []Match { return p.Cohorts.Baseline.Matches() }

// lookBack is how long before the deployment an earlier sample of a target is
// looked for: long enough for any cadence, short enough to be cheap.
const lookBack = 10 * time.Minute
