package config

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// sloObject is an OpenSLO v1 SLO. Of it, a comparison needs the indicator and the
// target; the time window is checked, and what is for alerting is passed over.
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
	ThresholdMetric later        `yaml:"thresholdMetric"`
}

type ratioMetric struct {
	Counter *bool   `yaml:"counter"`
	Good    *metric `yaml:"good"`
	Bad     *metric `yaml:"bad"`
	Total   *metric `yaml:"total"`
	Raw     later   `yaml:"raw"`
	RawType later   `yaml:"rawType"`
}

type metric struct {
	Source metricSource `yaml:"metricSource" need:"true"`
}

type timeWindow struct {
	Duration  sloDuration `yaml:"duration" need:"true"`
	IsRolling bool        `yaml:"isRolling"`
	Calendar  *struct {
		StartTime string `yaml:"startTime" need:"true"`
		TimeZone  string `yaml:"timeZone" need:"true"`
	} `yaml:"calendar"`
}

type budgetingMethod string

func (budgetingMethod) legal() (now, later []string) {
	return []string{"Occurrences"}, []string{"Timeslices", "RatioTimeslices"}
}

type sloObjective struct {
	DisplayName     string   `yaml:"displayName"`
	Target          *float64 `yaml:"target"`
	TargetPercent   *float64 `yaml:"targetPercent"`
	Op              later    `yaml:"op"`    // of a thresholdMetric
	Value           later    `yaml:"value"` // of a thresholdMetric
	TimeSliceTarget later    `yaml:"timeSliceTarget"`
	TimeSliceWindow later    `yaml:"timeSliceWindow"`
	Indicator       later    `yaml:"indicator"` // of a composite SLO
	IndicatorRef    later    `yaml:"indicatorRef"`
	CompositeWeight later    `yaml:"compositeWeight"`
}

// An slo is what a comparison takes from an SLO.
type slo struct {
	service string
	signal  analysis.Signal
	written Written
	target  float64
	where   string
	sound   bool // false: its file is wrong, which is reported there
}

// readSLO reads an SLO. The SLIs of the set were read before.
func readSLO(d *document, s *set) (string, *slo) {
	var o sloObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	out := &slo{where: d.position("metadata.name"), service: o.Spec.Service}
	switch {
	case o.Spec.Indicator != nil && o.Spec.IndicatorRef != "":
		d.fail("spec.indicatorRef", "indicator and indicatorRef exclude each other")
	case o.Spec.Indicator != nil:
		if m := o.Spec.Indicator.Metadata; m != nil && !objectName.MatchString(m.Name) {
			d.fail("spec.indicator.metadata.name", "%s", badName(m.Name))
		}
		out.signal, out.written = o.Spec.Indicator.Spec.signal(d, "spec.indicator.spec", s.sources)
	case o.Spec.IndicatorRef != "":
		referred, known := s.slis[o.Spec.IndicatorRef]
		if !known {
			d.fail("spec.indicatorRef", "no SLI is called %q%s", o.Spec.IndicatorRef, legalList(o.Spec.IndicatorRef, names(s.slis)))
		} else {
			out.signal, out.written = referred.signal, referred.written
		}
	default:
		d.fail("spec.indicator", "is required (or indicatorRef)")
	}
	out.signal.Name = o.Metadata.Name
	o.checkService(d, s)
	o.checkTimeWindow(d)
	out.target = o.target(d)
	out.sound = len(d.faults) == 0 && (o.Spec.IndicatorRef == "" || s.slis[o.Spec.IndicatorRef].sound)
	return o.Metadata.Name, out
}

// checkTimeWindow holds the window to what OpenSLO says of it.
func (o sloObject) checkTimeWindow(d *document) {
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
	}
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

// An sli is an SLI of the set.
type sli struct {
	signal  analysis.Signal
	written Written
	where   string
	sound   bool
}

func readSLI(d *document, s *set) (string, *sli) {
	var o sliObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	out := &sli{where: d.position("metadata.name")}
	out.signal, out.written = o.Spec.signal(d, "spec", s.sources)
	out.sound = len(d.faults) == 0
	return o.Metadata.Name, out
}

// signal reads an indicator into what is measured. Its name is given by the SLO.
func (s indicatorSpec) signal(d *document, path string, sources Sources) (out analysis.Signal, w Written) {
	out = analysis.Signal{Unit: "1", Shape: analysis.ShapeRatio}
	r := s.RatioMetric
	if r == nil {
		d.fail(path, "needs a ratioMetric")
		return out, w
	}
	path = join(path, "ratioMetric")
	if d.faulty(join(path, "raw")) {
		return out, w // another form, with other keys
	}
	switch {
	case d.faulty(join(path, "counter")):
	case r.Counter == nil:
		d.fail(path, "needs counter: true: only counts can be compared exactly, so it must be said that these are counts")
	case !*r.Counter:
		d.fail(join(path, "counter"), "counter: false (ratios of gauges) is not known to this version")
	}
	switch {
	case r.Good != nil && r.Bad != nil:
		d.fail(join(path, "bad"), "good and bad exclude each other")
	case r.Good == nil && r.Bad == nil:
		d.fail(path, "needs a good or a bad counter")
	}
	if r.Total == nil {
		d.fail(join(path, "total"), "is required")
	}
	for _, part := range []struct {
		key    string
		metric *metric
		into   **analysis.Selector
		place  *Place
	}{{"good", r.Good, &out.Good, &w.Event}, {"bad", r.Bad, &out.Bad, &w.Event}, {"total", r.Total, &out.Total, &w.Total}} {
		if part.metric == nil {
			continue
		}
		where := join(join(path, part.key), "metricSource")
		selector, source := part.metric.Source.selector(d, where, sources)
		*part.into, *part.place = selector, part.metric.Source.written(d, where)
		switch {
		case out.Source == "":
			out.Source = source
		case source != "" && source != out.Source:
			d.fail(where, "is read from %q, but the other counter from %q: a ratio has one source", source, out.Source)
		}
	}
	return out, w
}
