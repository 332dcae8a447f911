package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// clauses are what an objective says to the shape of its signal, beside its bounds.
type clauses struct {
	Quantiles   []quantile   `yaml:"quantiles"`
	Leak        *leak        `yaml:"leak"`
	Strata      []string     `yaml:"strata"`
	AcceptWeak  bool         `yaml:"acceptWeak"`
	BeforeAfter *beforeAfter `yaml:"beforeAfter"`
}

// leak holds a level to not growing.
type leak struct {
	Limit   quantity          `yaml:"limit"`
	Horizon analysis.Duration `yaml:"horizon"`
}

type beforeAfter struct {
	Promote bool `yaml:"promote"`
}

// read sets the clauses in out, whose signal and target are known, and reports those
// that mean nothing for it.
func (c clauses) read(d *document, path string, mode cohortMode, out *analysis.Objective) {
	shape := out.Signal.Shape
	ratioOfGauges := shape == analysis.ShapeLevel && out.Target > 0
	if shape == analysis.ShapeDistribution && mode == modePreviousWindow {
		d.fail(path, "a histogram is compared with the baseline that runs beside the canary only, and cohorts.baseline.mode is %s: write an SLO on the share of requests that are fast enough", mode)
	}
	c.readQuantiles(d, join(path, "quantiles"), shape, out)
	c.readLeak(d, join(path, "leak"), out)
	if where := join(path, "strata"); c.Strata != nil {
		if shape == analysis.ShapeLevel {
			d.fail(where, "is for counts and distributions: a level is compared by the means over the pods of either arm")
		}
		c.readStrata(d, where, out)
	}
	if out.AcceptWeak = c.AcceptWeak; c.AcceptWeak && !ratioOfGauges {
		d.fail(join(path, "acceptWeak"), "is for an SLO on a ratio of gauges (raw), whose evidence is weak; that of this signal is not")
	}
	if c.BeforeAfter == nil {
		return
	}
	switch out.BeforeAfterPromote = c.BeforeAfter.Promote; {
	case mode != modePreviousWindow:
		d.fail(join(path, "beforeAfter"), "is for cohorts.baseline.mode: previous-window; with %s a release is promoted by the comparison with the baseline that runs beside it", mode.orConcurrent())
	case shape == analysis.ShapeRatio && c.BeforeAfter.Promote:
		d.fail(join(join(path, "beforeAfter"), "promote"), "is not for counts: compared with the time before they may roll back, never promote")
	case out.Leak != nil && c.BeforeAfter.Promote:
		d.fail(join(join(path, "beforeAfter"), "promote"), "is not for leaks: pods of the same age run beside the canary, or not at all")
	}
}

func (c clauses) readQuantiles(d *document, path string, shape analysis.Shape, out *analysis.Objective) {
	if c.Quantiles == nil {
		return
	}
	if shape != analysis.ShapeDistribution {
		d.fail(path, "is for distributions (histograms); %s", isAbout(shape))
		return
	}
	if len(c.Quantiles) == 0 {
		d.fail(path, "lists no quantile; leave out the key for p95 and p99")
	}
	seen := map[quantile]bool{}
	for i, q := range c.Quantiles {
		if seen[q] {
			d.fail(at(path, i), "%s is listed twice", q)
		}
		seen[q] = true
		out.Quantiles = append(out.Quantiles, float64(q))
	}
}

func (c clauses) readLeak(d *document, path string, out *analysis.Objective) {
	if c.Leak == nil {
		return
	}
	limit, horizon := join(path, "limit"), join(path, "horizon")
	switch {
	case out.Signal.Shape != analysis.ShapeLevel:
		d.fail(path, "is for levels (gauges); %s", isAbout(out.Signal.Shape))
	case out.Target > 0:
		d.fail(path, "is for what is used up, not for a ratio")
	case out.Tolerance != nil || out.Margin != nil:
		d.fail(path, "has no tolerance and no margin: the limit and the horizon say how fast it may grow")
	case c.Leak.Limit.bytes && out.Signal.Unit != unitBytes:
		d.fail(limit, "is in bytes, but the unit of the signal is %q: write a plain number in that unit", out.Signal.Unit)
	}
	if c.Leak.Horizon < 0 || d.places[horizon] != nil && c.Leak.Horizon == 0 {
		d.fail(horizon, "must be positive")
	}
	out.Leak = &analysis.Leak{Limit: c.Leak.Limit.value, Horizon: c.Leak.Horizon}
}

func (c clauses) readStrata(d *document, path string, out *analysis.Objective) {
	if len(c.Strata) == 0 {
		d.fail(path, "lists no attribute; leave out the key to compare all together")
	}
	seen := map[string]bool{}
	for i, name := range c.Strata {
		switch {
		case !attributeName.MatchString(name):
			d.fail(at(path, i), "%s", badAttribute(name))
		case seen[name]:
			d.fail(at(path, i), "%s is listed twice", name)
		}
		seen[name] = true
	}
	out.Strata = c.Strata
}

// isAbout says what an objective is about.
func isAbout(s analysis.Shape) string { return "this objective is about a " + string(s) }

var plainNumber = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// A quantile is written as p95 or p99.9.
type quantile float64

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *quantile) UnmarshalText(text []byte) error {
	digits, is := strings.CutPrefix(string(text), "p")
	v, err := strconv.ParseFloat(digits, 64)
	if !is || !plainNumber.MatchString(digits) || err != nil || !(v > 0 && v < 100) {
		return fmt.Errorf("%q is no quantile (write p50, p95 or p99.9)", text)
	}
	*q = quantile(v / 100)
	return nil
}

// String is the shortest text that is read as q.
func (q quantile) String() string {
	for digits := range 30 {
		text := "p" + strconv.FormatFloat(float64(q)*100, 'f', digits, 64)
		var read quantile
		if read.UnmarshalText([]byte(text)) == nil && read == q {
			return text
		}
	}
	return "p" + strconv.FormatFloat(float64(q)*100, 'g', -1, 64)
}

// unitBytes is how telemetry calls bytes.
const unitBytes = "By"

// A quantity is a number in the unit of its signal, or a size such as 512MiB.
type quantity struct {
	value float64
	bytes bool // written as a size
}

var sizes = []struct {
	suffix string
	bytes  float64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

func (q *quantity) decodeNode(d *document, n *yaml.Node, path string) {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		q.value, _ = d.float(n, path)
	} else {
		if !d.scalar(n, path, "a number, or a size such as 512MiB", "!!str") {
			return
		}
		var err error
		if q.value, err = parseSize(n.Value); err != nil {
			d.reject(n, path, err.Error())
			return
		}
		q.bytes = true
	}
	if !(q.value > 0) {
		d.fail(path, "must be positive; leave out the key if no limit is known")
	}
}

// parseSize reads a number with a unit of bytes.
func parseSize(s string) (float64, error) {
	for _, size := range sizes {
		digits, is := strings.CutSuffix(s, size.suffix)
		if !is {
			continue
		}
		v, err := strconv.ParseFloat(digits, 64)
		if !plainNumber.MatchString(digits) || err != nil || math.IsInf(v*size.bytes, 0) {
			break
		}
		return v * size.bytes, nil
	}
	return 0, fmt.Errorf("%q is no number and no size (write 536870912, 512MiB or 1.5GB)", s)
}
