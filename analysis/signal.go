package analysis

import (
	"errors"
	"fmt"
	"strings"
)

// Shape is the form of a signal; it selects the method that judges it.
type Shape string

// ShapeRatio is a pair of counters: bad events among exposures. The other shapes
// of the vocabulary (distribution, level, rate, templates, topology) get their
// row in [Methods] when they get their method.
const ShapeRatio Shape = "ratio"

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
}

// Validate returns every fault of s, joined.
func (s Signal) Validate() error {
	var errs []error
	if s.Shape != ShapeRatio {
		errs = append(errs, fmt.Errorf("signal %q: shape %q is not known (legal: %s)", s.Name, s.Shape, ShapeRatio))
	}
	if s.Source == "" {
		errs = append(errs, fmt.Errorf("signal %q: no source", s.Name))
	}
	if s.Total == nil || s.Total.Metric == "" {
		errs = append(errs, fmt.Errorf("signal %q: a ratio needs a total counter", s.Name))
	}
	if (s.Bad == nil) == (s.Good == nil) {
		errs = append(errs, fmt.Errorf("signal %q: a ratio needs exactly one of a bad and a good counter", s.Name))
	}
	return errors.Join(errs...)
}

// StatusClass reports whether v is an HTTP status class ("5xx") and its first digit.
func StatusClass(v string) (byte, bool) {
	if len(v) == 3 && v[0] >= '1' && v[0] <= '5' && strings.HasSuffix(v, "xx") {
		return v[0], true
	}
	return 0, false
}
