package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// sloObject is an OpenSLO v1 SLO. Of it, a comparison needs the indicator and the
// target; the time window says how large the error budget is, and what is for alerting
// is passed over.
type sloObject struct {
	header `yaml:",inline"`
	Spec   struct {
		Description     string          `yaml:"description"`
		Service         string          `yaml:"service" need:"true"`
		Indicator       *indicator      `yaml:"indicator"`
		IndicatorRef    string          `yaml:"indicatorRef"`
		TimeWindow      []timeWindow    `yaml:"timeWindow"`
		BudgetingMethod budgetingMethod `yaml:"budgetingMethod" need:"true"`
		Objectives      []sloObjective  `yaml:"objectives" need:"true"`
		AlertPolicies   []yaml.Node     `yaml:"alertPolicies"` // passed over
	} `yaml:"spec" need:"true"`
}

// sliObject is an OpenSLO v1 SLI.
type sliObject struct {
	header `yaml:",inline"`
	Spec   indicatorSpec `yaml:"spec" need:"true"`
}

// indicator is an SLI written inside an SLO.
type indicator struct {
	Metadata *metadata     `yaml:"metadata"`
	Spec     indicatorSpec `yaml:"spec" need:"true"`
}

type indicatorSpec struct {
	Description     string       `yaml:"description"`
	RatioMetric     *ratioMetric `yaml:"ratioMetric"`
	ThresholdMetric *wholeMetric `yaml:"thresholdMetric"`
}

type ratioMetric struct {
	Counter *bool        `yaml:"counter"`
	Good    *metric      `yaml:"good"`
	Bad     *metric      `yaml:"bad"`
	Total   *metric      `yaml:"total"`
	Raw     *wholeMetric `yaml:"raw"`
	RawType rawType      `yaml:"rawType"`
}

// rawType says what a gauge is the share of.
type rawType string

const (
	rawSuccess rawType = "success"
	rawFailure rawType = "failure"
)

func (rawType) legal() (now, later []string) {
	return []string{string(rawSuccess), string(rawFailure)}, nil
}

type metric struct {
	Source metricSource `yaml:"metricSource" need:"true"`
}

type timeWindow struct {
	Duration  sloDuration `yaml:"duration" need:"true"`
	IsRolling bool        `yaml:"isRolling"`
	Calendar  *calendar   `yaml:"calendar"`
}

type calendar struct {
	StartTime string `yaml:"startTime" need:"true"`
	TimeZone  string `yaml:"timeZone" need:"true"`
}

type budgetingMethod string

func (budgetingMethod) legal() (now, later []string) {
	return []string{"Occurrences"}, []string{"Timeslices", "RatioTimeslices"}
}

type sloObjective struct {
	DisplayName     string   `yaml:"displayName"`
	Target          *float64 `yaml:"target"`
	TargetPercent   *float64 `yaml:"targetPercent"`
	Op              op       `yaml:"op"`    // of a thresholdMetric
	Value           *float64 `yaml:"value"` // of a thresholdMetric
	TimeSliceTarget later    `yaml:"timeSliceTarget"`
	TimeSliceWindow later    `yaml:"timeSliceWindow"`
	Indicator       later    `yaml:"indicator"` // of a composite SLO
	IndicatorRef    later    `yaml:"indicatorRef"`
	CompositeWeight later    `yaml:"compositeWeight"`
}

// op says on which side of its value a thresholdMetric is good.
type op string

func (op) legal() (now, later []string) { return []string{"lte", "gte", "lt", "gt"}, nil }

func (o op) higherIsBetter() bool { return o == "gte" || o == "gt" }

// An slo is what a comparison takes from an SLO.
type slo struct {
	sli
	service string
	target  float64
	op      op
	value   float64     // of a thresholdMetric
	window  *timeWindow // nil: not named
}

// readSLO reads an SLO. The SLIs of the set were read before.
func readSLO(d *document, s *set) (string, *slo) {
	var o sloObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	out := &slo{service: o.Spec.Service}
	referred := true
	switch {
	case o.Spec.Indicator != nil && o.Spec.IndicatorRef != "":
		d.fail("spec.indicatorRef", "indicator and indicatorRef exclude each other")
	case o.Spec.Indicator != nil:
		if m := o.Spec.Indicator.Metadata; m != nil && !objectName.MatchString(m.Name) {
			d.fail("spec.indicator.metadata.name", "%s", badName(m.Name))
		}
		out.sli = o.Spec.Indicator.Spec.read(d, "spec.indicator.spec", s.sources)
	case o.Spec.IndicatorRef != "":
		named, known := s.slis[o.Spec.IndicatorRef]
		if !known {
			d.fail("spec.indicatorRef", "no SLI is called %q%s", o.Spec.IndicatorRef, legalList(o.Spec.IndicatorRef, names(s.slis)))
		} else {
			out.sli, referred = *named, named.sound
		}
	default:
		d.fail("spec.indicator", "is required (or indicatorRef)")
	}
	out.signal.Name, out.where = o.Metadata.Name, d.position("metadata.name")
	o.checkService(d, s)
	out.window = o.timeWindow(d)
	out.target = o.target(d)
	o.readThreshold(d, out)
	out.sound = len(d.faults) == 0 && referred
	return o.Metadata.Name, out
}

// timeWindow returns the window, held to what OpenSLO says of it; nil: there is none.
func (o sloObject) timeWindow(d *document) *timeWindow {
	const path = "spec.timeWindow"
	if len(o.Spec.TimeWindow) > 1 {
		d.fail(at(path, 1), "an SLO has one time window")
	}
	for i, w := range o.Spec.TimeWindow {
		switch p := at(path, i); {
		case w.IsRolling && w.Calendar != nil:
			d.fail(join(p, "calendar"), "a rolling window has no calendar")
		case !w.IsRolling && w.Calendar == nil:
			d.fail(p, "a window that is not rolling needs a calendar")
		}
		if _, ok := w.Duration.window(); !ok && w.Duration != "" {
			d.fail(join(at(path, i), "duration"), "%q is longer than 100 years", w.Duration)
		}
	}
	if len(o.Spec.TimeWindow) == 0 {
		return nil
	}
	return &o.Spec.TimeWindow[0]
}

// length is how long the window of an SLO is; 0: not named.
func (s *slo) length() analysis.Duration {
	if s.window == nil {
		return 0
	}
	length, _ := s.window.Duration.window()
	return analysis.Duration(length)
}

// target returns the share of good events that the SLO promises.
func (o sloObject) target(d *document) float64 {
	const path = "spec.objectives"
	if d.faulty(path) {
		return 0
	}
	if len(o.Spec.Objectives) != 1 {
		d.fail(path, "has %d objectives, must have exactly one: a release is compared against one target (write an SLO for each)", len(o.Spec.Objectives))
		return 0
	}
	objective, p := o.Spec.Objectives[0], at(path, 0)
	switch {
	case objective.Target != nil && objective.TargetPercent != nil:
		d.fail(join(p, "targetPercent"), "target and targetPercent exclude each other")
	case objective.Target != nil:
		return inRange(d, join(p, "target"), *objective.Target, 1)
	case objective.TargetPercent != nil:
		return inRange(d, join(p, "targetPercent"), *objective.TargetPercent, 100)
	default:
		d.fail(p, "needs target or targetPercent")
	}
	return 0
}

// inRange returns v as a share of one. OpenSLO allows 0, which promises nothing
// that a release could be held to.
func inRange(d *document, path string, v, one float64) float64 {
	switch {
	case v == 0:
		d.fail(path, "a target of 0 promises nothing that a release could be compared against")
	case v < 0 || v >= one:
		hint := ""
		if one == 1 && v > 1 && v < 100 {
			hint = fmt.Sprintf("; did you mean targetPercent: %v?", v)
		}
		d.fail(path, "%v is not in [0, %v); %v leaves no error budget%s", v, one, one, hint)
	}
	// 99.9/100 is 0.9990000000000001; nobody means that.
	share, _ := strconv.ParseFloat(strconv.FormatFloat(v/one, 'g', 12, 64), 64)
	return share
}

// readThreshold reads on which side of which value a thresholdMetric is good. A
// comparison takes the side from it; how high the canary may be says its baseline.
func (o sloObject) readThreshold(d *document, out *slo) {
	const path = "spec.objectives[0]"
	if len(o.Spec.Objectives) != 1 {
		return
	}
	objective := o.Spec.Objectives[0]
	switch {
	case out.threshold && (objective.Op == "" || objective.Value == nil):
		d.fail(path, "needs op and value, which say when the thresholdMetric is good")
	case out.threshold:
		out.op, out.value = objective.Op, *objective.Value
		if out.op.higherIsBetter() {
			out.signal.Better = analysis.BetterHigher
		}
	case d.faulty("spec.indicator"): // it may have been meant to be one
	case objective.Op != "":
		d.fail(join(path, "op"), "is for a thresholdMetric")
	case objective.Value != nil:
		d.fail(join(path, "value"), "is for a thresholdMetric")
	}
}
