package store

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
)

func TestLifeOfAValidation(t *testing.T) {
	s := openTest(t)
	d := checkout("d1", 0)
	v := opening(d)
	v.InboxID = 12
	apply(t, s, Change{Open: []Validation{v}})

	read := func() Validation {
		t.Helper()
		got, err := s.Validation(t.Context(), v.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	v.Phase, v.Word, v.UpdatedAt = PhasePlanning, "pending", t0
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("opened: %+v, want %+v", got, v)
	}

	// A second opening changes nothing, whatever it says.
	other := opening(d)
	other.Plan, other.Looks = []byte("x"), 9
	if applied := apply(t, s, Change{Open: []Validation{other}, Now: t0.Add(time.Second)}); !reflect.DeepEqual(applied.Existing, []analysis.ValidationID{v.ID}) {
		t.Errorf("opened twice: %+v", applied)
	}
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("opened twice: %+v", got)
	}

	v.Plan, v.Latest, v.Phase, v.Seq, v.SpoolBytes, v.Looks = []byte("plan"), []byte("latest"), PhaseJudging, 3, 1000, 20
	v.Deployment.Steps = []analysis.Step{{Index: 1, Weight: 0.1, At: t0}}
	v.UpdatedAt = t0.Add(time.Minute)
	apply(t, s, Change{Update: []Validation{v}, Now: v.UpdatedAt})
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("judged: %+v, want %+v", got, v)
	}
	move := v
	move.Plan, move.Latest, move.Looks = nil, nil, 21 // nil: as it was
	apply(t, s, Change{Update: []Validation{move}, Now: v.UpdatedAt})
	v.Looks = 21
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("moved: %+v, want %+v", got, v)
	}

	final := ending(d, "promote")
	if applied := apply(t, s, Change{Finals: []Final{final}, Now: v.UpdatedAt}); !reflect.DeepEqual(applied.Finals, []analysis.ValidationID{v.ID}) {
		t.Errorf("ended: %+v", applied)
	}
	v.Latest, v.Phase, v.Word, v.Seq, v.FinalAt = final.Verdict, PhaseFinal, "promote", final.Seq, final.IssuedAt
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("ended: %+v, want %+v", got, v)
	}

	// After the end nothing moves any more.
	if applied := apply(t, s, Change{Update: []Validation{move}, Finals: []Final{ending(d, "rollback")}}); len(applied.Late) != 1 || len(applied.Lost) != 1 || len(applied.Finals) != 0 {
		t.Errorf("after the end: %+v", applied)
	}
	if _, err := s.IncrementPoison(t.Context(), v.ID, t0); !errors.Is(err, ErrNotFound) {
		t.Errorf("poison after the end: %v, want ErrNotFound", err)
	}
	if got := read(); !reflect.DeepEqual(got, v) {
		t.Errorf("after the end: %+v, want %+v", got, v)
	}
	for _, forbidden := range []string{`UPDATE final SET word = 'rollback'`, `UPDATE validation SET phase = 'judging'`} {
		if _, err := s.conn.ExecContext(t.Context(), forbidden); err == nil {
			t.Errorf("%s: allowed", forbidden)
		}
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	s := openTest(t)
	known, unknown := checkout("known", 0), checkout("unknown", 0)
	apply(t, s, Change{Open: []Validation{opening(known)}})
	final := opening(known)
	final.Phase = PhaseFinal
	odd := opening(checkout("odd", 0))
	odd.Phase = "resting"
	nameless := ending(known, "promote")
	nameless.Outbox = []OutboxMessage{{Sink: "kafka"}}
	for name, test := range map[string]struct {
		change Change
		want   error
	}{
		"update of nothing":         {Change{Update: []Validation{opening(unknown)}}, ErrNotFound},
		"end of nothing":            {Change{Finals: []Final{ending(unknown, "promote")}}, ErrNotFound},
		"checkpoint of nothing":     {Change{Checkpoints: []Checkpoint{{Validation: unknown.Validation()}}}, ErrNotFound},
		"an end by update":          {Change{Update: []Validation{final}}, nil},
		"an end by opening":         {Change{Open: []Validation{final}}, nil},
		"a phase that is none":      {Change{Open: []Validation{odd}}, nil},
		"a message without an id":   {Change{Finals: []Final{nameless}}, nil},
		"handled at no time":        {Change{Handled: []int64{1}}, nil},
		"a message without a sink":  {Change{Outbox: []OutboxMessage{{MessageID: "m"}}}, nil},
		"parked until no time":      {Change{Parked: []Parked{{InboxID: 1}}}, nil},
		"a row that does not exist": {Change{Handled: []int64{1}, Now: t0}, ErrNotFound},
	} {
		test.change.Audit = []AuditEntry{{At: t0, Actor: "test", Action: name}}
		test.change.Open = append([]Validation{opening(checkout("new", 0))}, test.change.Open...)
		applied, err := s.Apply(t.Context(), test.change)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !reflect.DeepEqual(applied, Applied{}) {
			t.Errorf("%s: %+v, %v, want error %v", name, applied, err, test.want)
		}
	}
	if n := s.number(t, `SELECT (SELECT count(*) FROM validation) + (SELECT count(*) FROM audit) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM final)`); n != 2 {
		t.Errorf("%d rows, want 2: part of a refused change was written", n)
	}
}

// TestOneFinalOfMany lets many writers end the same validations at once, each with
// another verdict: of every validation one verdict, its outbox row and its audit
// entry are there, and everybody else is told that they lost.
func TestOneFinalOfMany(t *testing.T) {
	const writers, validations = 8, 10
	s := openTest(t)
	for i := range validations {
		apply(t, s, Change{Open: []Validation{opening(checkout(fmt.Sprint(i), i))}})
	}
	won := make([]map[analysis.ValidationID]string, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			won[w] = map[analysis.ValidationID]string{}
			for i := range validations {
				final := ending(checkout(fmt.Sprint((i+w)%validations), 0), "promote")
				final.Verdict = fmt.Appendf(nil, `{"by":%d}`, w)
				final.Outbox[0].Payload = final.Verdict
				final.Audit.Body = final.Verdict
				applied, err := s.Apply(t.Context(), Change{Finals: []Final{final}, Now: t0})
				if err != nil || len(applied.Finals)+len(applied.Lost) != 1 {
					t.Errorf("writer %d: %+v, %v", w, applied, err)
				}
				for _, id := range applied.Finals {
					won[w][id] = string(final.Verdict)
				}
			}
		})
	}
	all.Wait()
	winners := map[analysis.ValidationID]string{}
	for _, mine := range won {
		for id, verdict := range mine {
			if first, twice := winners[id]; twice {
				t.Errorf("%s was ended by %s and by %s", id, first, verdict)
			}
			winners[id] = verdict
		}
	}
	if len(winners) != validations {
		t.Errorf("%d validations were ended, want %d", len(winners), validations)
	}
	for id, want := range winners {
		got, final, err := s.FinalVerdict(t.Context(), id)
		if err != nil || !final || string(got) != want {
			t.Errorf("%s has %s, %v, %v; want %s", id, got, final, err, want)
		}
	}
	if n := s.number(t, `SELECT count(*) FROM final f JOIN outbox o ON o.message_id = f.verdict_id AND o.payload = f.body JOIN audit a ON a.body = f.body JOIN validation v ON v.n = f.validation AND a.subject = v.id`); n != validations {
		t.Errorf("%d finals have their outbox row and audit entry, want %d", n, validations)
	}
	if n := s.number(t, `SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM audit)`); n != 2*validations+1 {
		t.Errorf("%d outbox rows and audit entries, want %d", n, 2*validations+1)
	}
	if err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCheckpointsDoNotGoBack(t *testing.T) {
	s := openTest(t)
	d := checkout("d1", 0)
	apply(t, s, Change{Open: []Validation{opening(d)}})
	if _, err := s.Checkpoint(t.Context(), d.Validation()); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	want := Checkpoint{Validation: d.Validation(), SpoolBytes: 500, Looks: 5, Snapshot: []byte("five"), At: t0}
	older := Checkpoint{Validation: d.Validation(), SpoolBytes: 400, Looks: 4, Snapshot: []byte("four"), At: t0}
	apply(t, s, Change{Checkpoints: []Checkpoint{older, want, older}})
	if got, err := s.Checkpoint(t.Context(), d.Validation()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestPoisonIsCountedBeforeWork(t *testing.T) {
	s := openTest(t)
	v := opening(checkout("d1", 0))
	apply(t, s, Change{Open: []Validation{v}})
	for want := 1; want <= 3; want++ {
		if got, err := s.IncrementPoison(t.Context(), v.ID, t0); err != nil || got != want {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	apply(t, s, Change{Update: []Validation{v}}) // the work came to an end
	if got, err := s.IncrementPoison(t.Context(), v.ID, t0); err != nil || got != 1 {
		t.Errorf("got %d, %v, want 1", got, err)
	}
	if _, err := s.IncrementPoison(t.Context(), "nobody", t0); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}
