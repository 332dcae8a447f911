package analysis

import "time"

// A LogSignal is what log lines say about requests (statistics 10.1). Of a ratio
// exactly one of Severity and MustAppear is set, and Requests counts the exposure. Of
// templates neither need be: all lines are listed, with Requests as their exposure
// where it is known.
type LogSignal struct {
	// Severity: a request is bad that wrote a line of this severity or above. Lines
	// without trace ids count the seconds of a pod with such a line instead.
	Severity Severity `json:"severity,omitempty"`
	// MustAppear: a request is good that wrote a line which contains this text, in any
	// case of letters. Losing such lines is harm.
	MustAppear string `json:"mustAppear,omitempty"`
	// Requests is the plan's request signal, whose exposure is the number of requests.
	// It may be answered by another source. Nil: lines are listed and not tested.
	Requests *Signal `json:"requests,omitempty"`
}

// A Template is what log lines have in common: words, and <*> where they differ.
type Template struct {
	ID       string   `json:"id"`   // of the text alone, the same wherever it is found
	Text     string   `json:"text"` // redacted
	Severity Severity `json:"severity,omitempty"`
	Lines    float64  `json:"lines,omitempty"` // of the history that it was learned from
}

// A TemplateSet is the template tree of a plan: learned from history before the
// deployment, one for both arms, and then only matched (package analysis/logdiff).
type TemplateSet struct {
	Templates []Template `json:"templates,omitempty"` // sorted by id
	// Masks are the patterns of the user, beside the built-in ones, of what is hidden
	// before lines are compared.
	Masks []string `json:"masks,omitempty"`
}

// A LineQuery asks for the lines of a fold beside the counts of its query.
type LineQuery struct {
	Templates *TemplateSet `json:"templates,omitempty"` // of the plan; nil: none was learned
	// Share of the lines below ERROR that a pull source reads, fixed in the plan, in
	// (0,1]; those of ERROR and above are always read. What is pushed is all read.
	Share float64 `json:"share,omitempty"`
}

// A Line is one log entry, ready to be compared: its wrapping (JSON, logfmt, time
// stamp, level) is read off.
type Line struct {
	Time     time.Time `json:"time"`
	Pod      string    `json:"pod,omitempty"`
	Severity Severity  `json:"severity,omitempty"`
	TraceID  string    `json:"traceId,omitempty"` // 32 hexadecimal digits; "": none
	Text     string    `json:"text"`              // the message, redacted, at most 8 KiB
}

// A LineRow is how often one pod wrote lines of one template in one fold.
type LineRow struct {
	Values   []string `json:"values"`             // of the query's Matches, in their order
	Observed []string `json:"observed,omitempty"` // of the query's Observe, in their order
	Pod      string   `json:"pod"`
	// Template is the id of one of the query's. Empty: the lines match none, and Text is
	// what they have in common under the masks, redacted.
	Template string   `json:"template,omitempty"`
	Text     string   `json:"text,omitempty"`
	Severity Severity `json:"severity,omitempty"` // the worst of the lines
	Lines    float64  `json:"lines"`
	Bytes    float64  `json:"bytes,omitempty"` // of the lines as they came
	// Events are the requests that wrote them, or without trace ids the seconds of the
	// pod with such a line.
	Events float64 `json:"events"`
	// Example is one of the lines, the first by time, then text.
	Example *Line `json:"example,omitempty"`
}

// NotRead says what of a fold's logs or spans was not counted.
type NotRead struct {
	Skipped   float64 `json:"skipped,omitempty"`   // by design: the share that is not read
	Late      float64 `json:"late,omitempty"`      // after their fold had closed
	Truncated float64 `json:"truncated,omitempty"` // cut to the longest line or answer
	Dropped   float64 `json:"dropped,omitempty"`   // at a limit of memory or cardinality
	Broken    float64 `json:"broken,omitempty"`    // not to be read at all
	// Share of the traces that were assembled whole; 0: none were asked for, or all.
	Share Figure `json:"share,omitempty"`
}

// Add adds up what was not read. Of shares the smallest counts.
func (n *NotRead) Add(m NotRead) {
	n.Skipped += m.Skipped
	n.Late += m.Late
	n.Truncated += m.Truncated
	n.Dropped += m.Dropped
	n.Broken += m.Broken
	if n.Share == 0 || m.Share > 0 && m.Share < n.Share {
		n.Share = m.Share
	}
}

// A LineSampleQuery asks for bounded history to learn templates from: Slices even
// slices of [From, To), at most Lines lines of each, the first ones by time.
type LineSampleQuery struct {
	Signal   Signal
	Matches  []Match
	From, To time.Time
	Slices   int
	Lines    int
}

// A TemplateTally is how often the arms wrote lines of one template in one fold.
type TemplateTally struct {
	Template string `json:"t"`             // its id
	New      string `json:"new,omitempty"` // the redacted text, where the template is not of the plan and was not told before
	// Severity is the worst of the lines in either arm.
	Severity      Severity `json:"sev,omitempty"`
	Baseline      float64  `json:"b,omitempty"` // events, as LineRow counts them
	Canary        float64  `json:"c,omitempty"`
	BaselineLines float64  `json:"bl,omitempty"`
	CanaryLines   float64  `json:"cl,omitempty"`
	BaselinePods  int      `json:"bp,omitempty"` // that wrote such a line
	CanaryPods    []string `json:"cp,omitempty"` // at most eight, sorted; of templates of ERROR and above and of new ones only
	CanaryExample *Line    `json:"ce,omitempty"` // of new templates and of those of ERROR and above
}

// A Volume is how much an arm wrote in one fold.
type Volume struct {
	Arm   Arm      `json:"arm"`
	Level Severity `json:"level"`
	Lines float64  `json:"lines"`
	Bytes float64  `json:"bytes"`
}

// A LogTally is what the evidence of one fold says about lines, after the answer was
// split by arm and unknown lines were mined: all that a rejudge needs.
type LogTally struct {
	Templates []TemplateTally `json:"templates,omitempty"` // those of the plan by id, then new ones in order of appearance
	Volumes   []Volume        `json:"volumes,omitempty"`
	NotRead   NotRead         `json:"notRead,omitzero"`
	NoTraces  bool            `json:"noTraceIds,omitempty"` // events are seconds of pods: no line had a trace id
}

// A LogPlan is what a plan fixes about logs.
type LogPlan struct {
	Source    string       `json:"source"`
	Templates *TemplateSet `json:"templates,omitempty"`
	Share     float64      `json:"share"` // LineQuery.Share
	// Expect are texts of new lines that the objective or the deployment declared, Mute
	// of lines that are not shown: a template is meant whose text contains one of them.
	Expect []string `json:"expect,omitempty"`
	Mute   []string `json:"mute,omitempty"`
	Origin string   `json:"origin,omitempty"` // signal that counts the requests; "": lines are listed and not tested
}
