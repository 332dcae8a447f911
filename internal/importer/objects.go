package importer

// The objects that are written, with no more keys than an import fills.

type header struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
}

type metadata struct {
	Name   string            `yaml:"name"`
	Labels map[string]string `yaml:"labels,omitempty"`
}

type slo struct {
	header `yaml:",inline"`
	Spec   sloSpec `yaml:"spec"`
}

type sloSpec struct {
	Description     string         `yaml:"description,omitempty"`
	Service         string         `yaml:"service"`
	Indicator       indicator      `yaml:"indicator"`
	TimeWindow      []timeWindow   `yaml:"timeWindow"`
	BudgetingMethod string         `yaml:"budgetingMethod"`
	Objectives      []sloObjective `yaml:"objectives"`
}

type indicator struct {
	Metadata metadata `yaml:"metadata"`
	Spec     struct {
		RatioMetric ratioMetric `yaml:"ratioMetric"`
	} `yaml:"spec"`
}

type ratioMetric struct {
	Counter bool    `yaml:"counter"`
	Good    *metric `yaml:"good,omitempty"`
	Bad     *metric `yaml:"bad,omitempty"`
	Total   *metric `yaml:"total"`
}

type metric struct {
	Source struct {
		Type string `yaml:"type"`
		Spec struct {
			Query string `yaml:"query"`
		} `yaml:"spec"`
	} `yaml:"metricSource"`
}

func prometheus(query string) *metric {
	var m metric
	m.Source.Type = "Prometheus"
	m.Source.Spec.Query = query
	return &m
}

type timeWindow struct {
	Duration  string `yaml:"duration"`
	IsRolling bool   `yaml:"isRolling"`
}

type sloObjective struct {
	Target float64 `yaml:"target"`
}

type validation struct {
	header `yaml:",inline"`
	Spec   validationSpec `yaml:"spec"`
}

type validationSpec struct {
	Match struct {
		Service string `yaml:"service"`
	} `yaml:"match"`
	Signals    []signal    `yaml:"signals,omitempty"`
	Objectives []objective `yaml:"objectives"`
}

type signal struct {
	Name   string  `yaml:"name"`
	Better string  `yaml:"better,omitempty"`
	Gauge  *metric `yaml:"gauge"`
}

type objective struct {
	SLORef    string `yaml:"sloRef,omitempty"`
	Signal    string `yaml:"signal,omitempty"`
	Role      string `yaml:"role"`
	Tolerance *bound `yaml:"tolerance,omitempty"`
	Margin    *bound `yaml:"margin,omitempty"`
}

type bound struct {
	Ratio float64 `yaml:"ratio"`
}

// newSLO is an SLO on counts.
func newSLO(name, service, description, window string, target float64, counts ratioMetric) slo {
	o := slo{header: header{"openslo/v1", "SLO", metadata{Name: name}}}
	counts.Counter = true
	o.Spec = sloSpec{
		Description: description, Service: service, BudgetingMethod: "Occurrences",
		TimeWindow: []timeWindow{{Duration: window, IsRolling: true}},
		Objectives: []sloObjective{{Target: target}},
	}
	o.Spec.Indicator.Metadata.Name = name
	o.Spec.Indicator.Spec.RatioMetric = counts
	return o
}

// newValidation holds every release of a service to the objectives.
func newValidation(service string, objectives []objective) validation {
	v := validation{header: header{"assay.dev/v1alpha1", "ReleaseValidation", metadata{Name: objectName(service)}}}
	v.Spec.Match.Service = service
	v.Spec.Objectives = objectives
	return v
}
