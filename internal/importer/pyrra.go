package importer

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pyrraObject is a ServiceLevelObjective of pyrra, pyrra.dev/v1alpha1. What it says of
// alerts is passed over.
type pyrraObject struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name   text              `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	Spec struct {
		Description             string    `yaml:"description"`
		Target                  text      `yaml:"target"` // per cent
		Window                  text      `yaml:"window"`
		Alerting                yaml.Node `yaml:"alerting"`
		PerformanceOverAccuracy bool      `yaml:"performance_over_accuracy"`
		Indicator               struct {
			Ratio *struct {
				Errors   pyrraMetric `yaml:"errors"`
				Total    pyrraMetric `yaml:"total"`
				Grouping []string    `yaml:"grouping"`
			} `yaml:"ratio"`
			Latency *struct {
				Success  pyrraMetric `yaml:"success"`
				Total    pyrraMetric `yaml:"total"`
				Grouping []string    `yaml:"grouping"`
			} `yaml:"latency"`
			Native *struct {
				Latency  text        `yaml:"latency"`
				Total    pyrraMetric `yaml:"total"`
				Grouping []string    `yaml:"grouping"`
			} `yaml:"latencyNative"`
			Gauge *struct {
				pyrraMetric `yaml:",inline"`
				Grouping    []string `yaml:"grouping"`
			} `yaml:"bool_gauge"`
		} `yaml:"indicator"`
	} `yaml:"spec"`
}

type pyrraMetric struct {
	Metric text `yaml:"metric"`
}

const pyrraGroup = "pyrra.dev/v1alpha1"

// Pyrra imports ServiceLevelObjectives of pyrra. They name no service: all that a file
// holds is taken to be about the given one.
func Pyrra(file string, data []byte, service string) (*Result, error) {
	r := &Result{}
	var objectives []objective
	documents, err := eachDocument(file, data, func(n *yaml.Node) error {
		var o pyrraObject
		if err := strictHead(n, pyrraGroup, "ServiceLevelObjective", &o); err != nil {
			return fmt.Errorf("%s:%d: %w", file, n.Line, err)
		}
		if name, ok := r.pyrraSLO(file, service, o); ok {
			objectives = append(objectives, objective{SLORef: name, Role: "critical"})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if documents == 0 {
		return nil, fmt.Errorf("%s: has no ServiceLevelObjective of pyrra", file)
	}
	r.hold(file, service, objectives)
	return r, nil
}

// strictHead decodes an object of one kind.
func strictHead(n *yaml.Node, apiVersion, kind string, into any) error {
	var head struct {
		APIVersion string `yaml:"apiVersion"`
		Kind       string `yaml:"kind"`
	}
	if err := n.Decode(&head); err != nil {
		return err
	}
	if head.APIVersion != apiVersion || head.Kind != kind {
		return fmt.Errorf("is %s %q, not %s %s", head.APIVersion, head.Kind, apiVersion, kind)
	}
	return strictInto(n, into)
}

// pyrraSLO adds the SLO for an object and returns its name.
func (r *Result) pyrraSLO(file, service string, o pyrraObject) (string, bool) {
	name, line := objectName(o.Metadata.Name.Value), o.Metadata.Name.Line
	refuse := func(line int, format string, args ...any) (string, bool) {
		r.note(file, line, "%s: not imported: "+format, append([]any{name}, args...)...)
		return "", false
	}
	target, err := strconv.ParseFloat(o.Spec.Target.Value, 64)
	if err != nil || !(target > 0 && target < 100) {
		return refuse(o.Spec.Target.Line, "the target %q is not between 0 and 100 per cent", o.Spec.Target.Value)
	}
	var counts ratioMetric
	var grouping []string
	switch i := o.Spec.Indicator; {
	case i.Ratio != nil:
		counts, err = ofEvents(i.Ratio.Errors.Metric.Value, i.Ratio.Total.Metric.Value)
		line, grouping = i.Ratio.Errors.Metric.Line, i.Ratio.Grouping
	case i.Latency != nil:
		line, grouping = i.Latency.Success.Metric.Line, i.Latency.Grouping
		counts, err = ofGood(i.Latency.Success.Metric.Value, i.Latency.Total.Metric.Value)
	case i.Native != nil:
		return refuse(i.Native.Latency.Line, "the share of requests under %s of a native histogram has no counter; hold releases to the histogram itself: signals: [{name: latency, histogram: ...}]", i.Native.Latency.Value)
	case i.Gauge != nil:
		return refuse(i.Gauge.Metric.Line, "a gauge of 0 and 1 has no counts; write it as an SLO with ratioMetric.raw, whose evidence is weak")
	default:
		return refuse(line, "it has no indicator")
	}
	if err != nil {
		return refuse(line, "%v; Assay needs counts of events", err)
	}
	if len(grouping) > 0 {
		r.note(file, line, "%s: grouping by %s makes an SLO of each group in pyrra; here all groups are one. Write strata: [%s] to compare each by itself", name, strings.Join(grouping, ", "), strings.Join(grouping, ", "))
	}
	period, ok := sloWindow(o.Spec.Window.Value)
	if !ok {
		return refuse(o.Spec.Window.Line, "the window %q is no whole number of days or weeks", o.Spec.Window.Value)
	}
	r.objects = append(r.objects, newSLO(name, service, o.Spec.Description, period, share(target), counts))
	return name, true
}

// sloWindow spells a window in the units of OpenSLO.
func sloWindow(w string) (string, bool) {
	if n, err := strconv.Atoi(strings.TrimRight(w, "hdw")); err != nil || n <= 0 || len(w) != len(strconv.Itoa(n))+1 {
		return "", false
	}
	return w, true
}
