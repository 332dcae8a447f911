package torture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A History is everything that was done to one Assay and seen of it, up to a moment
// at which nothing was left to do and the process had ended.
type History struct {
	Kills       int // by SIGKILL
	Deployments []Deployment
	Promises    []Promise
	Reads       []Read
	Topic       []Record // in the order of each partition
	Store       Contents
	Bundles     map[analysis.ValidationID]Bundle
	Faults      []string // of the process: it ended by itself, did not stop, left work undone
}

// A Deployment is what the model expects of one, attempt by attempt.
type Deployment struct {
	ID       analysis.DeploymentID
	Service  string
	Mode     analysis.Mode
	Attempts []Expected
	Steps    []int // the step events that were told while it was certainly open, by index
}

// Expected is the only right end of an attempt.
type Expected struct {
	Word string
	Code analysis.Code
}

// Via is how an event was sent.
type Via string

const (
	Kafka Via = "kafka"
	HTTP  Via = "http"
)

// A Promise is something that Assay, or Kafka on its behalf, has acknowledged.
type Promise struct {
	At         time.Time
	Life       int
	Deployment analysis.DeploymentID
	Via        Via
	Source, ID string // of the event; empty: poison, known by its bytes
	Poison     string
	Forged     bool // the event's name was taken: what is promised is a dead letter
}

// A Read is a verdict as GET …/verdict answered: the first final one of a
// validation, and every later answer that was not the same.
type Read struct {
	At         time.Time
	Life       int
	Deployment analysis.DeploymentID
	Validation analysis.ValidationID
	Final      bool
	Body       string
}

// A Record is one record of the verdict topic.
type Record struct {
	Partition  int
	Offset     int64
	Key, ID    string // ID is the header ce_id
	Deployment analysis.DeploymentID
	Validation analysis.ValidationID
	VerdictID  string // of the verdict in it
	Body       string // of the verdict in it
}

// Contents is what the store holds.
type Contents struct {
	Inbox       []Event
	DeadLetters []DeadLetter
	Validations []Validation
	Opened      []analysis.ValidationID // by the audit log, in its order
	Issued      []analysis.ValidationID
	Undelivered int64 // messages left in the outbox
	Partitions  []Partition
	Damage      []string // what the checks of the audit chain and of the pages say
}

// An Event is a row of the inbox.
type Event struct {
	Source, ID      string
	Deployment      analysis.DeploymentID
	Handled, Parked bool
	Forged          bool // its content is the forged one
}

// A DeadLetter is what was refused.
type DeadLetter struct {
	Reason     string
	Topic      string
	Partition  int
	Offset     int64
	Source, ID string
	Value      string
}

// A Validation is an attempt as the store holds it and as the API shows it.
type Validation struct {
	ID         analysis.ValidationID
	Deployment analysis.DeploymentID
	Attempt    int
	Key        string // of its records
	Live       bool   // published
	Final      bool
	Word       string
	Code       analysis.Code
	VerdictID  string
	Body       string // of the final verdict in the store
	Shown      string // by the API, before the process ended; of a pending one the store's newest
	Steps      []int  // index of each
}

// A Partition is how far the topic of events was read.
type Partition struct {
	Number         int
	Epoch          int64
	EpochBefore    int64 // when it was looked at last
	Next, End, Was int64 // the stored offset, the log's end, the stored offset of before
}

// A Bundle is what a stranger finds of a final verdict.
type Bundle struct {
	Present   bool
	Rejudged  bool // the bundle was judged again
	Same      bool // to the very bytes
	Err       string
	Effective string // the word that came out
}

// Of returns what a history says of one deployment, for people.
func (h *History) Of(id analysis.DeploymentID) string {
	var lines []string
	add := func(at time.Time, format string, args ...any) {
		stamp := strings.Repeat(" ", 12)
		if !at.IsZero() {
			stamp = at.UTC().Format("15:04:05.000")
		}
		lines = append(lines, "  "+stamp+" "+fmt.Sprintf(format, args...))
	}
	for _, d := range h.Deployments {
		if d.ID == id {
			add(time.Time{}, "expected %+v", d)
		}
	}
	for _, p := range h.Promises {
		if p.Deployment == id {
			add(p.At, "life %d: %s promised for %s over %s%s", p.Life, map[bool]string{true: "dead letter", false: "event"}[p.Forged], p.ID, p.Via, p.Poison)
		}
	}
	for _, r := range h.Reads {
		if r.Deployment == id {
			add(r.At, "life %d: read %s", r.Life, clip(r.Body))
		}
	}
	for _, e := range h.Store.Inbox {
		if e.Deployment == id {
			add(time.Time{}, "inbox: %s handled %t, parked %t", e.ID, e.Handled, e.Parked)
		}
	}
	for _, v := range h.Store.Validations {
		if v.Deployment != id {
			continue
		}
		add(time.Time{}, "store: %s attempt %d final %t %s (%s) steps %v", v.ID, v.Attempt, v.Final, v.Word, v.Code, v.Steps)
		if !v.Final {
			add(time.Time{}, "pending: %s", v.Shown)
		}
		add(time.Time{}, "audit: opened %d times, issued %d times; bundle %+v", count(h.Store.Opened, v.ID), count(h.Store.Issued, v.ID), h.Bundles[v.ID])
	}
	for _, r := range h.Topic {
		if r.Deployment == id {
			add(time.Time{}, "topic: %d/%d %s %s", r.Partition, r.Offset, r.ID, clip(r.Body))
		}
	}
	return strings.Join(lines, "\n")
}

func clip(body string) string {
	const most = 300
	if len(body) > most {
		return body[:most] + "…"
	}
	return body
}

func count[T comparable](all []T, one T) int {
	n := 0
	for _, v := range all {
		if v == one {
			n++
		}
	}
	return n
}

// deployments returns the ids that violations name, each once, in order.
func deployments(found []Violation) []analysis.DeploymentID {
	var out []analysis.DeploymentID
	for _, v := range found {
		if v.Deployment != "" && !slices.Contains(out, v.Deployment) {
			out = append(out, v.Deployment)
		}
	}
	return out
}

// Report is a readable account of violations: the first of each invariant, and the
// history of the deployments concerned.
func (h *History) Report(found []Violation) string {
	var text strings.Builder
	said := map[Invariant]int{}
	var shown []Violation
	for _, v := range found {
		if said[v.Invariant]++; said[v.Invariant] <= 3 {
			fmt.Fprintf(&text, "%s\n", v)
			shown = append(shown, v)
		}
	}
	for invariant, n := range said {
		if n > 3 {
			fmt.Fprintf(&text, "%s: %d in all\n", invariant, n)
		}
	}
	for i, id := range deployments(shown) {
		if i == 5 {
			break
		}
		fmt.Fprintf(&text, "history of %s\n%s\n", id, h.Of(id))
	}
	return text.String()
}
