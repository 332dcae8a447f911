package analysis

import "sort"

// Arm is a side of the comparison. The zero value is no arm.
type Arm uint8

const (
	Baseline Arm = iota + 1
	Canary
	Control // pods outside of the change: they tell of the environment where no baseline runs beside the canary
)

func (a Arm) String() string {
	switch a {
	case Baseline:
		return "baseline"
	case Canary:
		return "canary"
	case Control:
		return "control"
	}
	return "no arm"
}

// MarshalText implements encoding.TextMarshaler.
func (a Arm) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Arm) UnmarshalText(text []byte) error {
	switch string(text) {
	case "baseline":
		*a = Baseline
	case "canary":
		*a = Canary
	case "control":
		*a = Control
	default:
		*a = 0
	}
	return nil
}

// Names of the attributes that say who sent a piece of telemetry. They are
// OpenTelemetry's; each source maps them to its own labels.
const (
	AttrService     = "service.name"
	AttrNamespace   = "service.namespace"
	AttrVersion     = "service.version"
	AttrInstance    = "service.instance.id"
	AttrEnvironment = "deployment.environment.name"
	AttrPod         = "k8s.pod.name"
)

// A Cohort says who plays an arm: pods that carry all of these attribute values.
// Values are literals; nothing in a cohort is ever read as a pattern.
type Cohort map[string]string

// Names returns the attribute names of c in order.
func (c Cohort) Names() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Cohorts holds who plays each arm.
type Cohorts struct {
	Baseline Cohort `json:"baseline"`
	Canary   Cohort `json:"canary"`
	Control  Cohort `json:"control,omitempty"`
}

// Of returns the cohort of an arm.
func (c Cohorts) Of(a Arm) Cohort {
	switch a {
	case Canary:
		return c.Canary
	case Control:
		return c.Control
	}
	return c.Baseline
}

// Matches returns c as the matches of a query.
func (c Cohort) Matches() []Match {
	out := make([]Match, 0, len(c))
	for _, name := range c.Names() {
		out = append(out, Match{name, []string{c[name]}})
	}
	return out
}
