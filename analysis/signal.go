package analysis

import (
	"errors"
	"fmt"
	"strings"
)

// Shape is the form of a signal; it selects the method that judges it.
type Shape string

// The shapes that are judged. That of the vocabulary which is left (rate) gets its row
// in [Methods] when it gets its method.
const (
	ShapeRatio        Shape = "ratio"        // a pair of counters: bad events among exposures
	ShapeDistribution Shape = "distribution" // a histogram, mostly of durations: higher is worse
	ShapeLevel        Shape = "level"        // a gauge: what is in use, how long a queue is
	ShapeTemplates    Shape = "templates"    // log lines by what they have in common: listed, they weigh nothing
	ShapeTopology     Shape = "topology"     // operations and calls of spans: listed, they weigh nothing
)

// Shapes are the known ones, in the order in which they are offered.
var Shapes = []Shape{ShapeRatio, ShapeDistribution, ShapeLevel, ShapeTemplates, ShapeTopology}

// Better says which way a level is good. The zero value is lower.
type Better string

const (
	BetterLower  Better = ""
	BetterHigher Better = "higher"
)

// Op is how a selector compares an attribute.
type Op string

const (
	OpEqual     Op = "="
	OpNotEqual  Op = "!="
	OpRegexp    Op = "=~" // whole value, RE2; Prometheus only
	OpNotRegexp Op = "!~" // whole value, RE2; Prometheus only
	OpIn        Op = "in" // one of the values; an HTTP status class such as 5xx matches 500 to 599; OTLP only
)

// A Condition is one comparison of a selector. Only OpIn has several values.
type Condition struct {
	Name   string   `json:"name"`
	Op     Op       `json:"op"`
	Values []string `json:"values"`
}

// Field is the part of a data point that is counted.
type Field string

const (
	FieldValue Field = "value" // a sum or a gauge
	FieldCount Field = "count" // the number of observations of a histogram
	FieldSum   Field = "sum"   // the sum of the observations of a histogram
)

// A Selector names one counter as its source knows it: for Prometheus a metric
// name and label matchers, for OTLP a metric, a field and attribute conditions.
// The conditions are the user's; who plays which arm is added by the query.
type Selector struct {
	Metric     string      `json:"metric"`
	Field      Field       `json:"field,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// A Signal is what is measured.
type Signal struct {
	Name   string `json:"name"`
	Source string `json:"source"` // name of a configured source
	Unit   string `json:"unit"`   // "1" for counts of requests
	Shape  Shape  `json:"shape"`

	// A ratio counts Total exposures and either Bad or Good events among them;
	// exactly one of Bad and Good is set. Lower is better.
	Bad   *Selector `json:"bad,omitempty"`
	Good  *Selector `json:"good,omitempty"`
	Total *Selector `json:"total,omitempty"`
	// A distribution is that of the observations of Histogram.
	Histogram *Selector `json:"histogram,omitempty"`
	// A level is the newest value of Gauge in a fold.
	Gauge  *Selector `json:"gauge,omitempty"`
	Better Better    `json:"better,omitempty"`
	// A ratio, templates: what log lines say. A ratio, a distribution, a topology: what
	// spans say. Where one is set, no selector is.
	Logs  *LogSignal  `json:"logs,omitempty"`
	Spans *SpanSignal `json:"spans,omitempty"`
}

// Selectors returns the selectors that s has, in the order in which they are asked.
func (s Signal) Selectors() []*Selector {
	var out []*Selector
	for _, sel := range []*Selector{s.Bad, s.Good, s.Total, s.Histogram, s.Gauge} {
		if sel != nil {
			out = append(out, sel)
		}
	}
	return out
}

// Measured returns what is counted or measured: the total of a ratio, the histogram, or
// the gauge. Nil: s has none of them.
func (s Signal) Measured() *Selector {
	for _, sel := range []*Selector{s.Total, s.Histogram, s.Gauge} {
		if sel != nil {
			return sel
		}
	}
	return nil
}

// Validate returns every fault of s, joined.
func (s Signal) Validate() error {
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("signal %q: "+format, append([]any{s.Name}, args...)...))
	}
	if s.Source == "" {
		fail("no source")
	}
	if s.ofStreams() {
		if err := s.validateStreams(); err != nil {
			fail("%w", err)
		}
		if s.Better != BetterLower {
			fail("only a level may be better when it is higher")
		}
		return errors.Join(errs...)
	}
	switch s.Shape {
	case ShapeRatio:
		if s.Total == nil || s.Total.Metric == "" {
			fail("a ratio needs a total counter")
		}
		if (s.Bad == nil) == (s.Good == nil) {
			fail("a ratio needs exactly one of a bad and a good counter")
		}
		if s.Histogram != nil || s.Gauge != nil {
			fail("a ratio has counters only")
		}
	case ShapeDistribution:
		if s.Histogram == nil || s.Histogram.Metric == "" || len(s.Selectors()) != 1 {
			fail("a distribution needs a histogram and nothing else")
		}
	case ShapeLevel:
		if s.Gauge == nil || s.Gauge.Metric == "" || len(s.Selectors()) != 1 {
			fail("a level needs a gauge and nothing else")
		}
	case ShapeTemplates:
		fail("templates are those of logs, of which the signal has none")
	case ShapeTopology:
		fail("a topology is that of spans, of which the signal has none")
	default:
		fail("shape %q is not known (legal: %s, %s, %s, %s, %s)", s.Shape, ShapeRatio, ShapeDistribution, ShapeLevel, ShapeTemplates, ShapeTopology)
	}
	switch {
	case s.Better != BetterLower && s.Better != BetterHigher:
		fail("better %q is not known (legal: higher; absent: lower)", s.Better)
	case s.Better == BetterHigher && s.Shape != ShapeLevel:
		fail("only a level may be better when it is higher")
	}
	return errors.Join(errs...)
}

// Adds reports whether the levels of several series of one pod add up to that of the
// pod, as bytes, threads and cores do. Shares and percentages do not: of these the
// mean is taken.
func (s Signal) Adds() bool { return s.Unit != "1" && s.Unit != "%" }

// StatusClass reports whether v is an HTTP status class ("5xx") and its first digit.
func StatusClass(v string) (byte, bool) {
	if len(v) == 3 && v[0] >= '1' && v[0] <= '5' && strings.HasSuffix(v, "xx") {
		return v[0], true
	}
	return 0, false
}
