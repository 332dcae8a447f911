package liar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/analysis"
)

// A Script is what a server does wrong: of the rules about sending that hold for a
// question the first is obeyed; the rules about what is held are applied in order.
type Script []Rule

// A Rule is one misbehaviour. Fields that are not set restrict nothing.
type Rule struct {
	Do string `yaml:"do"` // one of Misbehaviours

	From *time.Duration `yaml:"from"` // after the deployment; may be negative
	To   *time.Duration `yaml:"to"`   // up to and with

	Path  string `yaml:"path"`  // part of the path of the request
	Query string `yaml:"query"` // part of the query, as it is sent

	Metric string `yaml:"metric"` // part of the name
	Arm    string `yaml:"arm"`    // canary or baseline
	Pod    string `yaml:"pod"`    // part of the name

	Status     int           `yaml:"status"`     // of status
	RetryAfter time.Duration `yaml:"retryAfter"` // of status
	By         time.Duration `yaml:"by"`         // of lag, future, skew and late
	Label      string        `yaml:"label"`      // of relabel, double and explode
	Value      string        `yaml:"value"`      // of relabel and double: the label's; of value: the samples'
	Count      int           `yaml:"count"`      // of explode: series; of bomb, huge and explode: bytes
	Bytes      int64         `yaml:"bytes"`      // of bomb and huge: of the body; of explode: of the label's value
	Share      float64       `yaml:"share"`      // of fail: of the successes
}

// A sort says what a rule is about.
type sort uint8

const (
	held sort = 1 + iota // what the server holds
	sent                 // how it answers
)

// A Misbehaviour is a word that a rule may do.
type Misbehaviour struct {
	Word  string
	About string
	sort  sort
	needs []string // fields that must be set
}

// Misbehaviours lists all words.
var Misbehaviours = []Misbehaviour{
	{"silent", "samples do not come: an arm, a pod, a metric, a gap", held, nil},
	{"idle", "request counters stand still, the pods report on", held, nil},
	{"reset", "counters begin again from 0 at `from`, and no start tells it", held, []string{"from"}},
	{"restart", "the process begins anew at `from`: counters from 0, and a new start", held, []string{"from"}},
	{"fail", "a further share of the successes become errors", held, []string{"share"}},
	{"relabel", "a label has another value, or none", held, []string{"label"}},
	{"double", "series come a second time, with another value of a label", held, []string{"label", "value"}},
	{"skew", "the server's clock is ahead, or behind with a minus: its stamps and its Date", held, []string{"by"}},

	{"down", "the connection is reset", sent, nil},
	{"status", "an HTTP status, with Retry-After or without", sent, []string{"status"}},
	{"hang", "nothing is answered until the other side gives up", sent, nil},
	{"slow", "one byte a second", sent, nil},
	{"truncated", "half of the JSON", sent, nil},
	{"login", "an HTML page with status 200", sent, nil},
	{"redirect", "to another host", sent, nil},
	{"bomb", "blanks, gzipped a thousandfold, before the answer", sent, []string{"bytes"}},
	{"huge", "blanks before the answer", sent, []string{"bytes"}},
	{"warnings", "the answer, with the warning that it is partial", sent, nil},
	{"empty", "nothing is found", sent, nil},
	{"value", "all samples have one value: NaN, +Inf, -Inf, -1", sent, []string{"value"}},
	{"stale", "every series ends with a staleness marker", sent, nil},
	{"scalar", "a scalar", sent, nil},
	{"vector", "an instant vector, where a matrix is asked for", sent, nil},
	{"string", "a string", sent, nil},
	{"twice", "every series twice", sent, nil},
	{"repeated", "every sample twice, with the same time", sent, nil},
	{"unsorted", "samples from the newest to the oldest", sent, nil},
	{"future", "samples beyond the moment that is asked for", sent, []string{"by"}},
	{"lag", "samples are found only some time after they were taken", sent, []string{"by"}},
	{"explode", "a great many series, each with a label value of its own", sent, []string{"count"}},

	{"late", "pushed metrics come some time after they were taken", held, []string{"by"}},
	{"repeat", "pushed metrics come twice", held, nil},
}

func misbehaviour(word string) (Misbehaviour, bool) {
	i := slices.IndexFunc(Misbehaviours, func(m Misbehaviour) bool { return m.Word == word })
	if i < 0 {
		return Misbehaviour{}, false
	}
	return Misbehaviours[i], true
}

// Read decodes a script from YAML. Unknown keys and words are errors.
func Read(text []byte) (Script, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var s Script
	if err := decoder.Decode(&s); err != nil && !errors.Is(err, io.EOF) { // EOF: no rules
		return nil, fmt.Errorf("script: %w", err)
	}
	if err := decoder.Decode(new(Script)); !errors.Is(err, io.EOF) {
		return nil, errors.New("script: more than one document")
	}
	var errs []error
	for i := range s {
		if err := s[i].check(); err != nil {
			errs = append(errs, fmt.Errorf("script: rule %d: %w", i+1, err))
		}
	}
	return s, errors.Join(errs...)
}

func (r *Rule) check() error {
	m, ok := misbehaviour(r.Do)
	if !ok {
		var words []string
		for _, m := range Misbehaviours {
			words = append(words, m.Word)
		}
		return fmt.Errorf("do: %q is no misbehaviour (legal: %s)", r.Do, strings.Join(words, ", "))
	}
	set := map[string]bool{
		"from": r.From != nil, "status": r.Status >= 300 && r.Status < 600, "by": r.By != 0, "label": r.Label != "",
		"value": r.Value != "", "count": r.Count > 0, "bytes": r.Bytes > 0, "share": r.Share > 0 && r.Share <= 1,
	}
	for _, field := range m.needs {
		if !set[field] {
			return fmt.Errorf("%s: needs %s", r.Do, field)
		}
	}
	if r.Arm != "" && r.Arm != analysis.Canary.String() && r.Arm != analysis.Baseline.String() {
		return fmt.Errorf("arm: %q (legal: canary, baseline)", r.Arm)
	}
	if m.sort == held && (r.Path != "" || r.Query != "") {
		return fmt.Errorf("%s is about what is held: it knows no path and no query", r.Do)
	}
	return nil
}

func (r *Rule) sort() sort {
	m, _ := misbehaviour(r.Do)
	return m.sort
}

// in reports whether the rule holds at an instant, so long after the deployment.
func (r *Rule) in(since time.Duration) bool {
	return (r.From == nil || since > *r.From) && (r.To == nil || since <= *r.To)
}

// concerns reports whether the rule is about a series of this metric, arm and pod.
func (r *Rule) concerns(metric, arm, pod string) bool {
	return strings.Contains(metric, r.Metric) && (r.Arm == "" || r.Arm == arm) && strings.Contains(pod, r.Pod)
}

// picky reports whether the rule is about some series only.
func (r *Rule) picky() bool { return r.Metric != "" || r.Arm != "" || r.Pod != "" }
