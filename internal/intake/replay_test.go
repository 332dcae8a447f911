package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
)

// F9: what a newer producer sent is taken once this program knows its schema.
func TestReplayAfterTheUpgrade(t *testing.T) {
	s := openStore(t)
	newer := binary(strings.Replace(event(`{"deploymentId":"d-9"}`), "upgraded.0.3.0", "upgraded.0.4.0", 1))
	_, rejection := Decode(newer, DefaultLimits())
	if rejection == nil || rejection.Reason != UnsupportedSchema || rejection.DeploymentID != "d-9" {
		t.Fatalf("rejection %+v", rejection)
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	record := recordOf(newer)
	record.Offset = 7
	if _, err := s.Accept(t.Context(), store.Batch{DeadLetters: []store.DeadLetter{deadLetter(testTopic, 2, record, rejection, now)}, Now: now}); err != nil {
		t.Fatal(err)
	}
	again := func() store.Replayed {
		t.Helper()
		letter, err := Replay(t.Context(), s, 1, "ada", now)
		if err != nil {
			t.Fatal(err)
		}
		return letter.Replay
	}
	if r := again(); r.Outcome != store.OutcomeRefused || !strings.HasPrefix(r.Error, "unsupported_schema: type: version 0.4") {
		t.Errorf("before the upgrade: %+v", r)
	}
	version := [2]int{0, 4}
	versions[typeUpgraded][version] = true
	defer delete(versions[typeUpgraded], version)
	for range 2 {
		if r := again(); r.Outcome != store.ReplayAccepted || r.Times != 2 {
			t.Errorf("after the upgrade: %+v", r)
		}
	}
	rows, err := s.Unhandled(t.Context(), 10)
	if err != nil || len(rows) != 1 || rows[0].Event.DeploymentID != "d-9" || rows[0].Topic != testTopic || rows[0].Partition != 2 || rows[0].Offset != 7 {
		t.Errorf("inbox %+v, %v", rows, err)
	}
}

// Half a record may read as another event: it is not read at all.
func TestReplayOfWhatIsNotWhole(t *testing.T) {
	s := openStore(t)
	good := recordOf(binary(event(`{}`)))
	now := time.Now()
	large := deadLetter(testTopic, 0, good, &Rejection{Reason: TooLarge}, now)
	batch := badBatch(testTopic, 0, &kafka.BadBatch{First: 3, Last: 9}, Malformed, now)
	if _, err := s.Accept(t.Context(), store.Batch{DeadLetters: []store.DeadLetter{large, batch}, Now: now}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[int64]string{1: "too_large: what is kept of the record may not be all", 2: "malformed: it stands for the offsets 3 to 9"} {
		letter, err := Replay(t.Context(), s, id, "ada", now)
		if err != nil || letter.Replay.Outcome != store.OutcomeRefused || !strings.HasPrefix(letter.Replay.Error, want) {
			t.Errorf("%d: %+v, %v, want %s", id, letter.Replay, err, want)
		}
	}
	if ids := inbox(t, s); len(ids) != 0 {
		t.Errorf("inbox %v", ids)
	}
}

// The deployment of an unknown schema is read where it stands today, or not at all.
func TestDeploymentOfAnUnsupportedSchema(t *testing.T) {
	for data, want := range map[string]string{
		`{"customData":{"assay":{"deploymentId":"d-1"}},"new":[1]}`: "d-1",
		`{"customData":{"assay":{"deploymentId":"a b"}}}`:           "",
		`{"customData":{"assay":{"deploymentId":7}}}`:               "",
		`{"customData":"base64"}`:                                   "",
		`{`:                                                         "",
	} {
		if got := deploymentOf([]byte(data)); string(got) != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}
