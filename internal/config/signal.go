package config

import (
	"regexp"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/promql"
)

// A wholeMetric is a histogram with all its buckets, or a gauge.
type wholeMetric struct {
	Source wholeSource `yaml:"metricSource" need:"true"`
}

// A wholeSource is a metricSource of which no part is counted: its spec has no field.
type wholeSource struct {
	metricSource `yaml:",inline"`
}

// histogram reads m into the histogram that it selects and the name of its source.
func (m wholeMetric) histogram(d *document, path string, sources Sources) (*analysis.Selector, string) {
	return m.read(d, path, sources, promql.Histogram, "")
}

// gauge reads m into the gauge that it selects and the name of its source.
func (m wholeMetric) gauge(d *document, path string, sources Sources) (*analysis.Selector, string) {
	return m.read(d, path, sources, promql.Gauge, analysis.FieldValue)
}

func (m wholeMetric) read(d *document, path string, sources Sources, query func(string) (*analysis.Selector, error), field analysis.Field) (*analysis.Selector, string) {
	return m.Source.read(d, join(path, "metricSource"), sources, query, func(spec string) *analysis.Selector {
		var o otlpMetric
		d.decode(&m.Source.Spec, spec, &o)
		return o.selector(d, spec, field)
	})
}

func (m wholeMetric) written(d *document, path string) Place {
	return m.Source.written(d, join(path, "metricSource"))
}

// ownSignal is a histogram or a gauge of the service that a ReleaseValidation gives a
// name, for its objectives to name by signal.
type ownSignal struct {
	Name      string       `yaml:"name" need:"true"`
	Unit      string       `yaml:"unit"`
	Better    better       `yaml:"better"`
	Histogram *wholeMetric `yaml:"histogram"`
	Gauge     *wholeMetric `yaml:"gauge"`
}

type better string

const (
	betterLower  better = "lower"
	betterHigher better = "higher"
)

func (better) legal() (now, later []string) {
	return []string{string(betterHigher), string(betterLower)}, nil
}

var signalName = regexp.MustCompile(`^[a-z][a-z0-9_.-]{0,62}$`)

const signalsPath = "spec.signals"

// A named signal is one that an objective may name.
type named struct {
	signal  analysis.Signal
	written Written
	sound   bool
}

// signals reads the signals that a ReleaseValidation names itself.
func (o validationObject) signals(d *document, s *set) map[string]named {
	out := map[string]named{}
	used := map[string]bool{}
	for _, objective := range o.Spec.Objectives {
		used[objective.Signal] = true
	}
	for i, own := range o.Spec.Signals {
		path := at(signalsPath, i)
		_, twice := out[own.Name]
		_, catalogued := findBuiltin(own.Name, OTLPSource)
		switch where := join(path, "name"); {
		case own.Name == "":
		case !signalName.MatchString(own.Name):
			d.fail(where, "%q is no name of a signal (at most 63 of a-z, 0-9, _ . and -, beginning with a letter)", own.Name)
		case twice:
			d.fail(where, "a signal is called %q already", own.Name)
		case catalogued:
			d.fail(where, "%q is a built-in signal (docs/signals.md): choose another name", own.Name)
		case ofClause(own.Name):
			d.fail(where, "%q is what an objective about logs or traces is called: choose another name", own.Name)
		case !used[own.Name]:
			d.fail(where, "no objective names the signal %q", own.Name)
		}
		out[own.Name] = own.read(d, path, s)
	}
	return out
}

func (o ownSignal) read(d *document, path string, s *set) named {
	out := named{signal: analysis.Signal{Name: o.Name, Unit: o.Unit}}
	switch {
	case d.faulty(path) && o.Histogram == nil && o.Gauge == nil:
	case o.Histogram != nil && o.Gauge != nil:
		d.fail(join(path, "gauge"), "histogram and gauge exclude each other")
	case o.Histogram != nil:
		where := join(path, "histogram")
		out.signal.Shape = analysis.ShapeDistribution
		out.signal.Histogram, out.signal.Source = o.Histogram.histogram(d, where, s.sources)
		out.written.Event = o.Histogram.written(d, where)
		if o.Better != "" {
			d.fail(join(path, "better"), "is for gauges: what a histogram observes is a cost, and lower is better")
		}
	case o.Gauge != nil:
		where := join(path, "gauge")
		out.signal.Shape = analysis.ShapeLevel
		out.signal.Gauge, out.signal.Source = o.Gauge.gauge(d, where, s.sources)
		out.written.Event = o.Gauge.written(d, where)
		if o.Better == betterHigher {
			out.signal.Better = analysis.BetterHigher
		}
	default:
		d.fail(path, "needs histogram or gauge; a ratio of counters is an SLO (sloRef)")
	}
	out.written.Total = out.written.Event
	out.sound = !d.faulty(path)
	return out
}
