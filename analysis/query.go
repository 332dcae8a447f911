package analysis

import "time"

// A Match restricts a query to telemetry that carries one of the given literal
// values for an attribute. Rows report which value they carry, so that answers
// to merged queries can be split again.
type Match struct {
	Name   string   `json:"name"`
	Values []string `json:"values"` // sorted, at least one
}

// A Query asks a source what every matching pod counted in one fold. It knows no
// arms: both arms, and the arms of other validations, are asked at once.
type Query struct {
	Signal  Signal    `json:"signal"`
	Matches []Match   `json:"matches"`           // sorted by name
	Observe []string  `json:"observe,omitempty"` // further attributes to report, sorted
	Fold    Fold      `json:"fold"`
	Since   time.Time `json:"since"` // how far back an earlier sample proves that a target is not new
	// Strata are attributes by which rows are told apart beside the pod (zone, node
	// pool, operation), of the resource or of the data point, in the plan's order.
	Strata []string `json:"strata,omitempty"`
	// Bounds are what a distribution is counted above: ascending, finite.
	Bounds []float64 `json:"bounds,omitempty"`
	// Lines and Spans are set where the answer lists lines or operations, too.
	Lines *LineQuery `json:"lines,omitempty"`
	Spans *SpanQuery `json:"spans,omitempty"`
}

// AsOf is the instant that the answer may know about and nothing after.
func (q Query) AsOf() time.Time { return q.Fold.End }

// A Row is what one pod counted in one fold.
type Row struct {
	Values   []string  `json:"values"`             // of the query's Matches, in their order
	Observed []string  `json:"observed,omitempty"` // of the query's Observe, in their order
	Stratum  []string  `json:"stratum,omitempty"`  // of the query's Strata, in their order
	Pod      string    `json:"pod"`
	PodStart time.Time `json:"podStart,omitzero"` // zero: unknown
	Increase
	Level    float64 `json:"level,omitempty"` // of a level: the newest sample inside the fold, the mean over the pod's series; means nothing without Received
	Received int     `json:"received"`        // samples inside the fold
	Fresh    bool    `json:"fresh"`           // any other series of the pod has a sample inside the fold
}

// An Answer is a source's reply to a Query: rows sorted by values and pod. Partial
// says that the source itself warned that data may be missing. Skew is how far the
// source's clock is ahead of ours, at least; 0 where it is not known.
type Answer struct {
	Rows     []Row    `json:"rows"`
	Partial  bool     `json:"partial,omitempty"`
	Skew     Duration `json:"skew,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Rendered []string `json:"rendered,omitempty"` // the queries as the product saw them

	Lines    []LineRow `json:"lines,omitempty"`      // sorted by values, pod, template, text
	Spans    []SpanRow `json:"spans,omitempty"`      // sorted by values, pod, edge
	NotRead  NotRead   `json:"notRead,omitzero"`     // of lines or spans
	Tail     string    `json:"tail,omitempty"`       // why the spans look tail-sampled; "": they do not
	NoTraces bool      `json:"noTraceIds,omitempty"` // lines were read and none had a trace id
}

// A SpacingQuery asks for the median spacing of samples in [From, To).
type SpacingQuery struct {
	Signal   Signal
	Matches  []Match
	From, To time.Time
}

// A HistoryQuery asks for one-minute sums per pod in [From, To).
type HistoryQuery struct {
	Signal   Signal
	Matches  []Match
	From, To time.Time
	Bounds   []float64     // of a distribution, as in Query
	Step     time.Duration // of a level whose source keeps every sample: what lies between two values; 0: a minute
}

// A DistributionQuery asks for the observations of a histogram in [From, To), all
// matching pods together: what thresholds are chosen from before the deployment.
type DistributionQuery struct {
	Signal   Signal
	Matches  []Match
	From, To time.Time
}

// A Histogram is the answer to a DistributionQuery: Counts[i] observations in
// (Bounds[i-1], Bounds[i]], the first from below, and one more count for those above
// all bounds. A histogram without counts says that nothing was observed.
type Histogram struct {
	Bounds []float64 `json:"bounds,omitempty"` // ascending, finite
	Counts []float64 `json:"counts,omitempty"`
	// Exponential buckets have a Schema: bounds are powers of 2^(2^-Schema), the
	// lowest schema that was seen, and only the populated ones are listed; every
	// power above Zero can be asked for. Nil: Bounds lists all bounds there are.
	Schema *int    `json:"schema,omitempty"`
	Zero   float64 `json:"zero,omitempty"` // the largest zero threshold that was seen
	// Mixed says that series or samples did not have the same bounds: Bounds are
	// those that all have.
	Mixed bool `json:"mixed,omitempty"`
	// Exact says that single observations are known, so that any bound can be asked
	// for: Bounds are then the distinct values themselves and Schema is nil. A source
	// that has buckets only leaves it false.
	Exact bool `json:"exact,omitempty"`
}

// A MinuteSum is what one pod counted in the minute that begins at Minute.
type MinuteSum struct {
	Minute   time.Time `json:"minute"`
	Pod      string    `json:"pod"`
	Bad      float64   `json:"bad"`
	Exposure float64   `json:"exposure"`
	Above    []float64 `json:"above,omitempty"` // of a distribution: above each of the query's Bounds
	Level    float64   `json:"level,omitempty"` // of a level: the newest value in the minute (or step)
}

// A SeenQuery asks which releases of a service sent telemetry for a signal in
// [From, To). An empty Service asks for all services.
type SeenQuery struct {
	Signal   Signal
	Service  string
	From, To time.Time
}

// Seen is one release that a source heard of. Attributes that the telemetry does
// not carry are empty.
type Seen struct {
	Service     string  `json:"service"`
	Namespace   string  `json:"namespace"`
	Environment string  `json:"environment"`
	Version     string  `json:"version"`
	Pods        int     `json:"pods"`
	Exposure    float64 `json:"exposure"`
}

// ArmRow is what one pod of one arm counted in one fold, after the answer was
// split by cohort.
type ArmRow struct {
	Arm      Arm       `json:"arm"`
	Stratum  string    `json:"stratum,omitempty"` // values of the plan's strata, joined by " / "
	Pod      string    `json:"pod"`
	PodStart time.Time `json:"podStart,omitzero"`
	Bad      float64   `json:"bad"`
	Exposure float64   `json:"exposure"`
	Above    []float64 `json:"above,omitempty"` // of a distribution: above each of the plan's bounds; none: the pod's histogram does not have these bounds
	Level    float64   `json:"level,omitempty"` // of a level
	Received int       `json:"received"`
	Fresh    bool      `json:"fresh,omitempty"`
	Version  string    `json:"version,omitempty"` // the observed identity attribute, where the cohort does not select on it
}

// Evidence is the answer for one objective, one fold and both arms, or the
// reason why there is none. It is what the spool and the bundle keep.
type Evidence struct {
	Objective string   `json:"objective"`
	Fold      Fold     `json:"fold"`
	Rows      []ArmRow `json:"rows"`              // sorted by arm and pod
	Missing   Code     `json:"missing,omitempty"` // set: nothing was learned
	Partial   bool     `json:"partial,omitempty"`
	Skew      Duration `json:"skew,omitempty"` // of the source's clock: how far it is ahead
	Warnings  []string `json:"warnings,omitempty"`
	Rendered  []string `json:"rendered,omitempty"` // kept for the first fold of an objective only: the others differ in time alone
	Source    string   `json:"source"`

	Logs  *LogTally  `json:"logs,omitempty"`  // of templates
	Spans *SpanTally `json:"spans,omitempty"` // of a topology
}

// A Look is one evaluation: what had come in by Now, in the order in which it is
// folded. Looks are appended to the spool before they are folded.
type Look struct {
	Now      time.Time  `json:"now"`
	Evidence []Evidence `json:"evidence"`
	Steps    []Step     `json:"steps,omitempty"` // ramp steps that arrived since the look before
	Seen     string     `json:"seen,omitempty"`  // what sources heard of, where an arm was not heard of
	// Exemplars that were fetched since the look before: never folded.
	Exemplars []Exemplar `json:"exemplars,omitempty"`
	End       *End       `json:"end,omitempty"` // set: the validation ends here, whatever the evidence
}

// An End is an administrative end of a validation: superseded, cancelled, expired,
// a fault of the analyser. It can only hold.
type End struct {
	Code   Code   `json:"code"`
	Reason string `json:"reason"`
}
