package torture

import (
	"fmt"
	"slices"

	"github.com/release-assay/assay/analysis"
)

// An Invariant is one thing that must be true of every history.
type Invariant string

const (
	// Kept: what was acknowledged is in the inbox or among the dead letters (I1).
	Kept Invariant = "acknowledged is kept"
	// Applied: every event of the inbox has had its effect, once (I1).
	Applied Invariant = "events are applied"
	// Once: poison and forgeries are one dead letter each.
	Once Invariant = "dead letters are written once"
	// Judged: each attempt that events ask for, and no other, has one final verdict (I1, I2).
	Judged Invariant = "one final verdict an attempt"
	// Unchanged: a final verdict is always the same bytes (I2, R6).
	Unchanged Invariant = "a final verdict never changes"
	// True: the verdict is the one that the world deserves (R1, R2, I5).
	True Invariant = "the verdict is right"
	// Published: what is on the topic is in the store, byte for byte, and all of it is there (I3).
	Published Invariant = "published is stored, stored is published"
	// Repeats: a record is repeated at most once a kill, under the same id (G3).
	Repeats Invariant = "records repeat at most once a kill"
	// Ordered: the records of a service stand in the order of its verdicts (F58).
	Ordered Invariant = "records are in order"
	// Proven: the bundle is there and gives the same bytes again (I4).
	Proven Invariant = "bundles prove their verdicts"
	// Fenced: epochs and offsets only grow, and every record was read (I6).
	Fenced Invariant = "offsets and epochs never go back"
	// Sound: the audit chain, the pages and the process are as they should be (I6).
	Sound Invariant = "store and process are sound"
)

// A Violation is one place at which a history breaks an invariant.
type Violation struct {
	Invariant  Invariant
	Deployment analysis.DeploymentID // empty: not of one
	Text       string
}

func (v Violation) String() string {
	if v.Deployment == "" {
		return fmt.Sprintf("%s: %s", v.Invariant, v.Text)
	}
	return fmt.Sprintf("%s: %s: %s", v.Invariant, v.Deployment, v.Text)
}

// Check returns everything that is wrong with a history.
func Check(h *History) []Violation {
	c := &checker{History: h, byDeployment: map[analysis.DeploymentID][]Validation{}, byID: map[analysis.ValidationID]Validation{}}
	for _, v := range h.Store.Validations {
		c.byDeployment[v.Deployment] = append(c.byDeployment[v.Deployment], v)
		c.byID[v.ID] = v
	}
	c.kept()
	c.applied()
	c.once()
	c.judged()
	c.unchanged()
	c.published()
	c.ordered()
	c.proven()
	c.fenced()
	c.sound()
	return c.found
}

type checker struct {
	*History
	byDeployment map[analysis.DeploymentID][]Validation
	byID         map[analysis.ValidationID]Validation
	found        []Violation
}

func (c *checker) fail(i Invariant, d analysis.DeploymentID, format string, args ...any) {
	c.found = append(c.found, Violation{i, d, fmt.Sprintf(format, args...)})
}

type eventName struct{ source, id string }

func (c *checker) kept() {
	inbox := map[eventName]int{}
	for _, e := range c.Store.Inbox {
		inbox[eventName{e.Source, e.ID}]++
		if e.Forged {
			c.fail(Kept, e.Deployment, "the inbox holds the forgery of event %s", e.ID)
		}
	}
	for name, n := range inbox {
		if n > 1 {
			c.fail(Kept, "", "event %s of %s is in the inbox %d times", name.id, name.source, n)
		}
	}
	forged, poison := map[eventName]bool{}, map[string]bool{}
	for _, l := range c.Store.DeadLetters {
		if l.Reason == "conflict" {
			forged[eventName{l.Source, l.ID}] = true
		}
		poison[l.Value] = true
	}
	for _, p := range c.Promises {
		name := eventName{p.Source, p.ID}
		switch {
		case p.Poison != "" && !poison[p.Poison]:
			c.fail(Kept, p.Deployment, "%q was sent over %s and is no dead letter", p.Poison, p.Via)
		case p.Poison != "":
		case p.Forged && !forged[name]:
			c.fail(Kept, p.Deployment, "a second event %s with other content was sent over %s and is no dead letter", p.ID, p.Via)
		case !p.Forged && inbox[name] == 0:
			c.fail(Kept, p.Deployment, "event %s, acknowledged over %s in life %d, is lost", p.ID, p.Via, p.Life)
		}
	}
}

func (c *checker) applied() {
	for _, e := range c.Store.Inbox {
		if !e.Handled && !e.Parked {
			c.fail(Applied, e.Deployment, "event %s was never applied", e.ID)
		}
	}
	for _, d := range c.Deployments {
		for _, v := range c.byDeployment[d.ID] {
			for _, step := range d.Steps {
				if n := count(v.Steps, step); n != 1 {
					c.fail(Applied, d.ID, "step %d was applied %d times", step, n)
				}
			}
		}
	}
}

func (c *checker) once() {
	type place struct {
		topic     string
		partition int
		offset    int64
	}
	places, conflicts := map[place]int{}, map[eventName]int{}
	for _, l := range c.Store.DeadLetters {
		if l.Reason == "conflict" {
			conflicts[eventName{l.Source, l.ID}]++
			continue
		}
		if l.Partition >= 0 { // not over HTTP
			places[place{l.Topic, l.Partition, l.Offset}]++
		}
	}
	for at, n := range places {
		if n > 1 {
			c.fail(Once, "", "the record at %s/%d/%d is %d dead letters", at.topic, at.partition, at.offset, n)
		}
	}
	for name, n := range conflicts {
		if n > 1 {
			c.fail(Once, "", "the forgery of event %s is %d dead letters", name.id, n)
		}
	}
}

func (c *checker) judged() {
	expected := map[analysis.DeploymentID]bool{}
	for _, d := range c.Deployments {
		expected[d.ID] = true
		for i, want := range d.Attempts {
			var of []Validation
			for _, v := range c.byDeployment[d.ID] {
				if v.Attempt == i+1 {
					of = append(of, v)
				}
			}
			if len(of) != 1 || !of[0].Final {
				c.fail(Judged, d.ID, "attempt %d has %d validations and no final verdict of one", i+1, len(of))
				continue
			}
			if v := of[0]; v.Word != want.Word || want.Code != "" && v.Code != want.Code {
				c.fail(True, d.ID, "attempt %d: %s (%s), want %s (%s)", i+1, v.Word, v.Code, want.Word, want.Code)
			}
		}
		for _, v := range c.byDeployment[d.ID] {
			if v.Attempt > len(d.Attempts) {
				c.fail(Judged, d.ID, "attempt %d was never asked for", v.Attempt)
			}
		}
	}
	for _, v := range c.Store.Validations {
		if !expected[v.Deployment] {
			c.fail(Judged, v.Deployment, "a deployment that nobody told of has validation %s", v.ID)
		}
		if n := count(c.Store.Opened, v.ID); n != 1 {
			c.fail(Judged, v.Deployment, "the audit log says %d times that attempt %d was opened", n, v.Attempt)
		}
		if n := count(c.Store.Issued, v.ID); n != 1 && v.Final {
			c.fail(Judged, v.Deployment, "the audit log says %d times that attempt %d got its verdict", n, v.Attempt)
		}
	}
}

func (c *checker) unchanged() {
	first := map[analysis.ValidationID]Read{}
	for _, r := range c.Reads {
		if r.Validation == "" {
			continue
		}
		before, known := first[r.Validation]
		switch {
		case !known && r.Final:
			first[r.Validation] = r
		case known && r.Body != before.Body:
			c.fail(Unchanged, r.Deployment, "read in life %d: %s\nand in life %d: %s", before.Life, clip(before.Body), r.Life, clip(r.Body))
		}
	}
	for id, r := range first {
		if v, ok := c.byID[id]; !ok || v.Body != r.Body {
			c.fail(Unchanged, r.Deployment, "read in life %d: %s\nin the store: %s", r.Life, clip(r.Body), clip(v.Body))
		}
	}
	for _, v := range c.Store.Validations {
		if v.Final && v.Shown != "" && v.Shown != v.Body {
			c.fail(Unchanged, v.Deployment, "the API shows %s\nthe store has %s", clip(v.Shown), clip(v.Body))
		}
	}
}

func (c *checker) published() {
	on := map[analysis.ValidationID]Record{}
	repeated := 0
	for _, r := range c.Topic {
		v, ok := c.byID[r.Validation]
		switch {
		case !ok || !v.Final:
			c.fail(Published, r.Deployment, "%s stands on the topic and not in the store: %s", r.ID, clip(r.Body))
		case !v.Live:
			c.fail(Published, r.Deployment, "%s is of a mode that is not published", r.ID)
		case r.ID != v.VerdictID || r.Key != v.Key:
			c.fail(Published, r.Deployment, "the record is %s with key %s, the verdict %s with key %s", r.ID, r.Key, v.VerdictID, v.Key)
		case r.Body != v.Body:
			c.fail(Published, r.Deployment, "the topic has %s\nthe store has %s", clip(r.Body), clip(v.Body))
		}
		if _, again := on[r.Validation]; again {
			repeated++
		}
		on[r.Validation] = r
	}
	if repeated > c.Kills {
		c.fail(Repeats, "", "%d records are repeated after %d kills", repeated, c.Kills)
	}
	for _, v := range c.Store.Validations {
		if _, ok := on[v.ID]; v.Live && v.Final && !ok {
			c.fail(Published, v.Deployment, "the verdict %s of attempt %d was never published", v.Word, v.Attempt)
		}
	}
	if c.Store.Undelivered > 0 {
		c.fail(Published, "", "%d messages are left in the outbox", c.Store.Undelivered)
	}
}

func (c *checker) ordered() {
	position := map[analysis.ValidationID]int{}
	for i, id := range c.Store.Issued {
		position[id] = i
	}
	seen := map[analysis.ValidationID]bool{}
	last := map[string]Record{}
	for _, r := range c.Topic {
		if seen[r.Validation] {
			continue
		}
		seen[r.Validation] = true
		if before, ok := last[r.Key]; ok && position[before.Validation] > position[r.Validation] {
			c.fail(Ordered, r.Deployment, "its record follows that of %s, which was judged later", before.Deployment)
		}
		last[r.Key] = r
	}
}

func (c *checker) proven() {
	for _, v := range c.Store.Validations {
		if !v.Final {
			continue
		}
		switch b := c.Bundles[v.ID]; {
		case !b.Present:
			c.fail(Proven, v.Deployment, "attempt %d has no bundle %s", v.Attempt, b.Err)
		case b.Err != "":
			c.fail(Proven, v.Deployment, "the bundle of attempt %d: %s", v.Attempt, b.Err)
		case b.Rejudged && !b.Same:
			c.fail(Proven, v.Deployment, "the bundle of attempt %d says %s, the verdict was %s", v.Attempt, b.Effective, v.Word)
		}
	}
}

func (c *checker) fenced() {
	for _, p := range c.Store.Partitions {
		if p.Epoch < p.EpochBefore || p.Next < p.Was {
			c.fail(Fenced, "", "partition %d went back: epoch %d to %d, offset %d to %d", p.Number, p.EpochBefore, p.Epoch, p.Was, p.Next)
		}
		if p.Next != p.End {
			c.fail(Fenced, "", "partition %d was read up to %d, its log ends at %d", p.Number, p.Next, p.End)
		}
	}
}

func (c *checker) sound() {
	for _, text := range slices.Concat(c.Store.Damage, c.Faults) {
		c.fail(Sound, "", "%s", text)
	}
}
