package store

import (
	"database/sql"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
)

// buried writes one dead letter and returns its id.
func buried(t *testing.T, s *Store, letter DeadLetter) int64 {
	t.Helper()
	if letter.At.IsZero() {
		letter.At = t0
	}
	accept(t, s, Batch{DeadLetters: []DeadLetter{letter}})
	return s.number(t, `SELECT max(id) FROM dead_letter`)
}

func replay(t *testing.T, s *Store, r Replay) Replayed {
	t.Helper()
	if r.Now.IsZero() {
		r.Now = t0.Add(time.Hour)
	}
	r.By = "ada"
	letter, err := s.ReplayDeadLetter(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.DeadLetter(t.Context(), r.Letter)
	if err != nil || !reflect.DeepEqual(stored, letter) {
		t.Errorf("stored %+v (%v), returned %+v", stored, err, letter)
	}
	return letter.Replay
}

// A letter is refused as often as it is, accepted once, and never lost.
func TestReplayRefusedThenAccepted(t *testing.T) {
	s := openTest(t)
	d := delivery("deployments", 4)
	id := buried(t, s, DeadLetter{Reason: "unsupported_schema", Error: "version 9", Topic: d.Topic, Offset: 4, LastOffset: 4, Value: d.Raw})
	if r := replay(t, s, Replay{Letter: id, Reason: "unsupported_schema", Error: "version 9 still"}); r.Outcome != OutcomeRefused || r.Error != "unsupported_schema: version 9 still" || r.Times != 1 || r.Settled() {
		t.Errorf("refused: %+v", r)
	}
	if r := replay(t, s, Replay{Letter: id, Delivery: &d}); r.Outcome != ReplayAccepted || r.Error != "" || r.Times != 2 {
		t.Errorf("accepted: %+v", r)
	}
	settled := replay(t, s, Replay{Letter: id, Delivery: &d, Now: t0.Add(2 * time.Hour)})
	if settled.Times != 2 || !settled.At.Equal(t0.Add(time.Hour)) {
		t.Errorf("a settled letter has changed: %+v", settled)
	}
	rows, err := s.Unhandled(t.Context(), 10)
	if err != nil || len(rows) != 1 || rows[0].Event.ID != d.Event.ID || rows[0].Offset != 4 {
		t.Errorf("inbox %+v, %v", rows, err)
	}
	if n := s.number(t, `SELECT count(*) FROM audit WHERE action = 'dead_letter.replayed' AND actor = 'ada'`); n != 2 {
		t.Errorf("%d audit entries, want one for each replay that did something", n)
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.ReplayDeadLetter(t.Context(), Replay{Letter: 99, Now: t0}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown letter: %v", err)
	}
}

func TestReplayOfWhatIsThere(t *testing.T) {
	s := openTest(t)
	d := delivery("deployments", 4)
	accept(t, s, Batch{Deliveries: []Delivery{d}})
	again := d
	again.Offset = 9
	letter := DeadLetter{Reason: "schema", Topic: d.Topic, Offset: 9, LastOffset: 9}
	if r := replay(t, s, Replay{Letter: buried(t, s, letter), Delivery: &again}); r.Outcome != ReplayDuplicate {
		t.Errorf("the same event: %+v", r)
	}
	again.ContentHash = "other"
	if r := replay(t, s, Replay{Letter: buried(t, s, letter), Delivery: &again}); r.Outcome != OutcomeRefused || r.Error[:9] != "conflict:" {
		t.Errorf("another event of that name: %+v", r)
	}
	if n := s.number(t, `SELECT count(*) FROM dead_letter`); n != 2 {
		t.Errorf("%d dead letters: a conflict on replay leaves no second one", n)
	}
	if r := replay(t, s, Replay{Letter: buried(t, s, letter), Ignored: true}); r.Outcome != ReplayIgnored || !r.Settled() {
		t.Errorf("another type: %+v", r)
	}
}

// What the line itself refused is in the inbox: its row is handed to the line again,
// with the content that retention took.
func TestReplayOpensAnInboxRowAgain(t *testing.T) {
	s := openTest(t)
	orphan, opener := delivery("deployments", 4), delivery("deployments", 5)
	accept(t, s, Batch{Deliveries: []Delivery{orphan, opener}})
	bury := func(d Delivery, inbox int64, reason string) int64 {
		apply(t, s, Change{Handled: []int64{inbox}, DeadLetters: []DeadLetter{{
			Reason: reason, Topic: d.Topic, Offset: d.Offset, LastOffset: d.Offset, EventSource: d.Event.Source, EventID: d.Event.ID, At: t0,
		}}})
		return s.number(t, `SELECT max(id) FROM dead_letter`)
	}
	id := bury(orphan, 1, "orphan")
	s.tamper(t, `UPDATE inbox SET raw = NULL, event = '', headers = '' WHERE id = 1`)
	if r := replay(t, s, Replay{Letter: id, Delivery: &orphan}); r.Outcome != ReplayAccepted {
		t.Errorf("orphan: %+v", r)
	}
	rows, err := s.Unhandled(t.Context(), 10)
	if err != nil || len(rows) != 2 || rows[0].ID != 1 || !reflect.DeepEqual(rows[0].Event, orphan.Event) || string(rows[0].Raw) != string(orphan.Raw) {
		t.Errorf("inbox %+v, %v", rows, err)
	}
	// A row that opened a validation is never opened again: that would be an attempt.
	v := opening(checkout("d", 0))
	v.InboxID = 2
	apply(t, s, Change{Open: []Validation{v}})
	if r := replay(t, s, Replay{Letter: bury(opener, 2, "quarantined"), Delivery: &opener}); r.Outcome != ReplayDuplicate {
		t.Errorf("the event that opened a validation: %+v", r)
	}
	// A conflict has the name of the first event, and is another one.
	if r := replay(t, s, Replay{Letter: bury(orphan, 1, ReasonConflict), Delivery: &orphan}); r.Outcome != ReplayDuplicate {
		t.Errorf("a conflict: %+v", r)
	}
}

func TestListAndUnsettledDeadLetters(t *testing.T) {
	s := openTest(t)
	for _, reason := range []string{"malformed", "unsupported_schema", ReasonConflict, "malformed", "unauthorised"} {
		buried(t, s, DeadLetter{Reason: reason, Key: []byte("k"), Value: []byte("12345"), Headers: []Header{{"h", []byte("v")}}, EventID: "e", DeploymentID: "d"})
	}
	replay(t, s, Replay{Letter: 1, Ignored: true})
	replay(t, s, Replay{Letter: 4, Reason: "malformed", Error: "again"})
	for _, c := range []struct {
		filter LetterFilter
		want   []int64
	}{
		{LetterFilter{}, []int64{5, 4, 3, 2, 1}},
		{LetterFilter{Limit: 2}, []int64{5, 4}},
		{LetterFilter{Limit: 2, Before: 4}, []int64{3, 2}},
		{LetterFilter{Reason: "malformed"}, []int64{4, 1}},
		{LetterFilter{Reason: "malformed", Unsettled: true}, []int64{4}},
	} {
		letters, sizes, err := s.ListDeadLetters(t.Context(), c.filter)
		var got []int64
		for i, l := range letters {
			got = append(got, l.ID)
			if l.Value != nil || l.Key != nil || l.Headers != nil || sizes[i] != 5 || l.DeploymentID != "d" || l.EventID != "e" {
				t.Errorf("%+v with %d bytes", l, sizes[i])
			}
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v, %v, want %v", c.filter, got, err, c.want)
		}
	}
	for reason, want := range map[string][]int64{"": {2, 4}, "malformed": {4}, ReasonConflict: {3}, "unauthorised": {5}} {
		if got, err := s.Unsettled(t.Context(), reason, 0, 10); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("unsettled of %q: %v, %v, want %v", reason, got, err, want)
		}
	}
	if got, err := s.Unsettled(t.Context(), "", 2, 10); err != nil || !reflect.DeepEqual(got, []int64{4}) {
		t.Errorf("after 2: %v, %v", got, err)
	}
}

func TestUnsupportedIsFoundByItsDeployment(t *testing.T) {
	s := openTest(t)
	id := buried(t, s, DeadLetter{Reason: "unsupported_schema", Error: "v9", EventID: "e", DeploymentID: "d-9"})
	buried(t, s, DeadLetter{Reason: "malformed", EventID: "f", DeploymentID: "d-9"})
	for _, key := range []string{"e", "d-9"} {
		if got, ok, err := s.Unsupported(t.Context(), key); !ok || err != nil || got.ID != id || got.DeploymentID != "d-9" || got.EventID != "e" {
			t.Errorf("by %s: %+v, %v, %v", key, got, ok, err)
		}
	}
	if _, ok, err := s.Unsupported(t.Context(), ""); ok || err != nil {
		t.Errorf("by nothing: %v, %v", ok, err)
	}
	replay(t, s, Replay{Letter: id, Ignored: true})
	if got, ok, err := s.Unsupported(t.Context(), "d-9"); ok || err != nil {
		t.Errorf("after it was taken: %+v, %v, %v", got, ok, err)
	}
}

// Files of the version before open, with their dead letters.
func TestOpensTheSchemaBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assay.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO dead_letter (reason, error, topic, partition, offset, last_offset, headers, event_source, event_id, at)
		VALUES ('unsupported_schema', 'v9', 't', 1, 2, 2, '', 's', 'e', 5)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path)
	if letter, ok, err := s.Unsupported(t.Context(), "e"); !ok || err != nil || letter.ID != 1 || letter.DeploymentID != "" {
		t.Errorf("%+v, %v, %v", letter, ok, err)
	}
	if r := replay(t, s, Replay{Letter: 1, Reason: "unsupported_schema", Error: "v9"}); r.Times != 1 {
		t.Errorf("%+v", r)
	}
}
