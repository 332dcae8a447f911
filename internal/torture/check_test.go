package torture

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/release-assay/assay/analysis"
)

// calm is a history without a fault: a live deployment with two attempts and a step,
// one in retrospect, a forgery, poison and an orphan.
func calm() *History {
	verdict := func(id analysis.ValidationID, word string) string {
		return fmt.Sprintf(`{"validation":%q,"verdict":%q}`, id, word)
	}
	validation := func(id, deployment string, attempt int, live bool, e Expected) Validation {
		body := verdict(analysis.ValidationID(id), e.Word)
		return Validation{
			ID: analysis.ValidationID(id), Deployment: analysis.DeploymentID(deployment), Attempt: attempt, Key: "prod//" + deployment, Live: live,
			Final: true, Word: e.Word, Code: e.Code, VerdictID: "v-" + id, Body: body, Shown: body,
		}
	}
	record := func(offset int64, v Validation) Record {
		return Record{Offset: offset, Key: v.Key, ID: v.VerdictID, Deployment: v.Deployment, Validation: v.ID, VerdictID: v.VerdictID, Body: v.Body}
	}
	a1, a2 := validation("a1", "a", 1, true, promoted), validation("a2", "a", 2, true, rolledBack)
	past := validation("p1", "p", 1, false, promoted)
	a1.Steps = []int{0, 1, 2}
	a2.Steps = []int{0, 1, 2}
	h := &History{
		Kills: 1,
		Deployments: []Deployment{
			{ID: "a", Attempts: []Expected{promoted, rolledBack}, Steps: []int{1, 2}},
			{ID: "p", Mode: analysis.Retrospective, Attempts: []Expected{promoted}},
			{ID: "nobody"},
			{ID: "poison"},
		},
		Promises: []Promise{
			{Deployment: "a", Via: Kafka, Source: Source, ID: "a-started"},
			{Deployment: "a", Via: HTTP, Source: Source, ID: "a-started"},
			{Deployment: "a", Via: HTTP, Source: Source, ID: "a-started", Forged: true},
			{Deployment: "p", Via: HTTP, Source: Source, ID: "p-started"},
			{Deployment: "nobody", Via: HTTP, Source: Source, ID: "nobody-step"},
			{Deployment: "poison", Via: Kafka, Poison: "{"},
		},
		Reads: []Read{
			{Deployment: "a", Validation: "a1", Final: true, Body: a1.Body},
			{Deployment: "a", Validation: "a2", Final: true, Body: a2.Body},
		},
		Topic: []Record{record(0, a1), record(1, a1), record(2, a2)},
		Store: Contents{
			Inbox: []Event{
				{Source: Source, ID: "a-started", Deployment: "a", Handled: true},
				{Source: Source, ID: "p-started", Deployment: "p", Handled: true},
				{Source: Source, ID: "nobody-step", Deployment: "nobody", Parked: true},
			},
			DeadLetters: []DeadLetter{
				{Reason: "conflict", Topic: "http", Partition: -1, Source: Source, ID: "a-started"},
				{Reason: "malformed", Topic: "events", Offset: 7, Value: "{"},
			},
			Validations: []Validation{a1, a2, past},
			Opened:      []analysis.ValidationID{"a1", "p1", "a2"},
			Issued:      []analysis.ValidationID{"a1", "p1", "a2"},
			Partitions:  []Partition{{Epoch: 4, EpochBefore: 2, Next: 8, Was: 3, End: 8}},
		},
		Bundles: map[analysis.ValidationID]Bundle{},
	}
	for _, v := range h.Store.Validations {
		h.Bundles[v.ID] = Bundle{Present: true, Rejudged: true, Same: true, Effective: v.Word}
	}
	return h
}

// TestCheckFindsWhatIsWrong spoils a good history in one place at a time.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	if found := Check(calm()); len(found) > 0 {
		t.Fatalf("a history without a fault: %v", found)
	}
	for _, c := range []struct {
		name  string
		want  Invariant
		spoil func(*History)
	}{
		{"an acknowledged event is nowhere", Kept, func(h *History) { h.Store.Inbox = h.Store.Inbox[1:] }},
		{"an event is in the inbox twice", Kept, func(h *History) { h.Store.Inbox = append(h.Store.Inbox, h.Store.Inbox[0]) }},
		{"the forgery has won", Kept, func(h *History) { h.Store.Inbox[0].Forged = true }},
		{"a forgery left no trace", Kept, func(h *History) { h.Store.DeadLetters = h.Store.DeadLetters[1:] }},
		{"poison left no trace", Kept, func(h *History) { h.Store.DeadLetters = h.Store.DeadLetters[:1] }},
		{"an event waits for ever", Applied, func(h *History) { h.Store.Inbox[1].Handled = false }},
		{"a step is missing", Applied, func(h *History) { h.Store.Validations[0].Steps = []int{0, 1} }},
		{"a step is there twice", Applied, func(h *History) { h.Store.Validations[0].Steps = []int{0, 1, 2, 2} }},
		{"poison is two dead letters", Once, func(h *History) { h.Store.DeadLetters = append(h.Store.DeadLetters, h.Store.DeadLetters[1]) }},
		{"a forgery is two dead letters", Once, func(h *History) { h.Store.DeadLetters = append(h.Store.DeadLetters, h.Store.DeadLetters[0]) }},
		{"an attempt has no verdict", Judged, func(h *History) { h.Store.Validations[1].Final = false }},
		{"an attempt is not there", Judged, func(h *History) {
			h.Store.Validations = append(h.Store.Validations[:1], h.Store.Validations[2])
			h.Topic, h.Reads = h.Topic[:2], h.Reads[:1]
		}},
		{"an attempt too many", Judged, func(h *History) { h.Deployments[0].Attempts = h.Deployments[0].Attempts[:1] }},
		{"a deployment that nobody told of", Judged, func(h *History) { h.Deployments = h.Deployments[:1] }},
		{"opened twice", Judged, func(h *History) { h.Store.Opened = append(h.Store.Opened, "a1") }},
		{"opened without a trace", Judged, func(h *History) { h.Store.Opened = h.Store.Opened[1:] }},
		{"issued twice", Judged, func(h *History) { h.Store.Issued = append(h.Store.Issued, "p1") }},
		{"issued without a trace", Judged, func(h *History) { h.Store.Issued = []analysis.ValidationID{"a1", "a2"} }},
		{"another word", True, func(h *History) { h.Store.Validations[2].Word = "rollback" }},
		{"another reason", True, func(h *History) { h.Store.Validations[2].Code = analysis.Cancelled }},
		{"a read differs from an earlier one", Unchanged, func(h *History) {
			h.Reads = append(h.Reads, Read{Deployment: "a", Validation: "a1", Final: true, Body: "{}"})
		}},
		{"a final verdict is pending again", Unchanged, func(h *History) {
			h.Reads = append(h.Reads, Read{Deployment: "a", Validation: "a1", Body: `{"verdict":"pending"}`})
		}},
		{"what was read is not what is stored", Unchanged, func(h *History) { h.Reads[0].Body = "{}" }},
		{"a verdict that was read is not stored", Unchanged, func(h *History) { h.Reads[1].Validation = "a3" }},
		{"the API shows other bytes than the store has", Unchanged, func(h *History) { h.Store.Validations[2].Shown = "{}" }},
		{"published and not stored", Published, func(h *History) { h.Topic[2].Validation = "gone" }},
		{"published while pending", Published, func(h *History) { h.Store.Validations[1].Final = false }},
		{"published in another mode", Published, func(h *History) {
			h.Topic = append(h.Topic, Record{Deployment: "p", Validation: "p1", ID: "v-p1", Key: "prod//p", Body: h.Store.Validations[2].Body})
		}},
		{"another id", Published, func(h *History) { h.Topic[1].ID = "v-new" }},
		{"another key", Published, func(h *History) { h.Topic[1].Key = "prod//b" }},
		{"other bytes", Published, func(h *History) { h.Topic[2].Body = "{}" }},
		{"never published", Published, func(h *History) { h.Topic = h.Topic[:2] }},
		{"left in the outbox", Published, func(h *History) { h.Store.Undelivered = 1 }},
		{"more repeats than kills", Repeats, func(h *History) { h.Topic = append(h.Topic, h.Topic[2]) }},
		{"in the wrong order", Ordered, func(h *History) { slices.Reverse(h.Topic) }},
		{"no bundle", Proven, func(h *History) { delete(h.Bundles, "p1") }},
		{"a damaged bundle", Proven, func(h *History) { h.Bundles["p1"] = Bundle{Present: true, Err: "its seal is broken"} }},
		{"a bundle that says something else", Proven, func(h *History) { h.Bundles["p1"] = Bundle{Present: true, Rejudged: true, Effective: "hold"} }},
		{"an epoch went back", Fenced, func(h *History) { h.Store.Partitions[0].Epoch = 1 }},
		{"an offset went back", Fenced, func(h *History) { h.Store.Partitions[0].Was = 9 }},
		{"records were not read", Fenced, func(h *History) { h.Store.Partitions[0].End = 9 }},
		{"the audit chain is broken", Sound, func(h *History) { h.Store.Damage = []string{"audit entry 3: it is missing"} }},
		{"the process ended by itself", Sound, func(h *History) { h.Faults = []string{"exit status 2"} }},
	} {
		h := calm()
		c.spoil(h)
		found := Check(h)
		if !slices.ContainsFunc(found, func(v Violation) bool { return v.Invariant == c.want }) {
			t.Errorf("%s: found %v, want %q", c.name, found, c.want)
		}
		if report := h.Report(found); !strings.Contains(report, string(c.want)) {
			t.Errorf("%s: the report does not name %q:\n%s", c.name, c.want, report)
		}
	}
}

// TestReportShowsTheHistory of the deployment that is concerned, and of no other.
func TestReportShowsTheHistory(t *testing.T) {
	h := calm()
	h.Topic[2].Body = "{}"
	report := h.Report(Check(h))
	for _, want := range []string{"history of a", "a-started over kafka", "store: a2 attempt 2", "topic: 0/2 v-a2 {}"} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
	if strings.Contains(report, "history of p") {
		t.Errorf("the report tells of another deployment:\n%s", report)
	}
}
