package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/testdata/backends"
)

// letter is what the tests read of a dead letter.
type letter struct {
	ID, Offset   int64
	Partition    int
	Reason       string
	Error        string
	EventID      string
	DeploymentID string
	At           time.Time
	Key, Value   []byte
	Headers      []struct {
		Key   string
		Value []byte
	}
	Replay *struct{ Outcome, Error string }
}

// letters runs `assay dlq list` and returns the letters, the oldest first.
func (a *assay) letters(want int) []letter {
	a.t.Helper()
	var list struct{ DeadLetters []letter }
	a.eventually(20*time.Second, fmt.Sprintf("%d dead letters", want), func() error {
		o := a.run("dlq", "list", "-o", "json")
		if err := json.Unmarshal([]byte(o.out), &list); o.code != 0 || err != nil {
			return fmt.Errorf("%v %v", o, err)
		}
		if len(list.DeadLetters) != want {
			return fmt.Errorf("%d are there", len(list.DeadLetters))
		}
		return nil
	})
	for i, j := 0, want-1; i < j; i, j = i+1, j-1 {
		list.DeadLetters[i], list.DeadLetters[j] = list.DeadLetters[j], list.DeadLetters[i]
	}
	return list.DeadLetters
}

// onTopic waits for so many records on the topic of dead letters.
func onTopic(t testing.TB, broker string, want int) []kafka.Record {
	t.Helper()
	var all []kafka.Record
	eventually(t, 20*time.Second, fmt.Sprintf("%d records on the topic of dead letters", want), func() error {
		all = nil
		eachRecord(t, broker, kafka.TopicDeadLetters, func(_ int, r kafka.Record) { all = append(all, r) })
		if len(all) < want {
			return fmt.Errorf("%d are there", len(all))
		}
		return nil
	})
	return all
}

// TestDeadLetters follows refused events from the topic to the table, from there to
// the topic of dead letters with the very headers of the contract, and back into the
// inbox, with a real broker and with the one inside.
func TestDeadLetters(t *testing.T) {
	t.Run("external", func(t *testing.T) { followLetters(t, setup{brokers: []string{backends.StartKafka(t).Addr}}) })
	t.Run("embedded", func(t *testing.T) { followLetters(t, setup{}) })
}

// poison is what no reader understands, with a header that pretends to be ours.
var poison = intake.Message{
	Key: []byte("prod\x00\xff"), Value: []byte("{\"a\":\x1b[2J\xfe"),
	Headers: []store.Header{{Key: "ce_id", Value: []byte("poison")}, {Key: "x-theirs", Value: []byte{0xff, 0}}, {Key: "assay-dlq-reason", Value: []byte("forged")}},
}

func followLetters(t *testing.T, s setup) {
	a := serve(t, s)
	produce(t, a.bus, poison)
	malformed := a.letters(1)[0]

	newer := encode(t, started("newer", time.Now().UTC()))
	for i, h := range newer.Headers {
		if h.Key == "ce_type" {
			newer.Headers[i].Value = bytes.Replace(h.Value, []byte(".0.3.0"), []byte(".0.99.0"), 1)
		}
	}
	produce(t, a.bus, newer)
	unsupported := a.letters(2)[1]
	// Its sender asks by its own id, or by that of the deployment.
	for _, key := range []string{"newer-started", "newer"} {
		if v, _ := a.verdict(key); v.Verdict.String() != "hold" || v.ReasonCode != analysis.UnsupportedSchema || !v.Final {
			t.Errorf("%s: %s (%s: %s), want hold (unsupported_schema)", key, v.Verdict, v.ReasonCode, v.Reason)
		}
	}

	// The clock of the sender is too far ahead: refused now, fine in some seconds.
	ahead := time.Now().UTC().Add(5*time.Minute + 4*time.Second)
	produce(t, a.bus, encode(t, started("ahead", ahead)))
	quarantined := a.letters(3)[2]
	if malformed.Reason != "malformed" || unsupported.Reason != "unsupported_schema" || unsupported.DeploymentID != "newer" || quarantined.Reason != "quarantined" || quarantined.EventID != "ahead-started" {
		t.Errorf("%+v\n%+v\n%+v", malformed, unsupported, quarantined)
	}

	a.comparesTopic(malformed, unsupported, quarantined)
	a.replayLetters(malformed, unsupported)
	time.Sleep(time.Until(ahead.Add(-5*time.Minute + time.Second)))
	for range 2 { // to ask again changes nothing
		if o := a.run("dlq", "replay", strconv.FormatInt(quarantined.ID, 10)); o.code != 0 || o.out != fmt.Sprintf("%d  accepted", quarantined.ID) {
			t.Errorf("replay: %v", o)
		}
	}
	a.eventually(10*time.Second, "the event that came too early is taken", func() error {
		if v, _ := a.verdict("ahead"); v.ReasonCode == analysis.NotSeen {
			return fmt.Errorf("%s", v.Reason)
		}
		return nil
	})
	if list := a.validations("ahead"); len(list) != 1 {
		t.Errorf("%d validations", len(list))
	}
	if n := len(onTopic(t, a.bus, 3)); n != 3 {
		t.Errorf("%d records on the topic", n)
	}
	a.stop()
	a.verifyAudit()
}

// comparesTopic holds the topic of dead letters against the table: the same records,
// with the headers of the contract in their order. The first is poison.
func (a *assay) comparesTopic(letters ...letter) {
	a.t.Helper()
	records := onTopic(a.t, a.bus, len(letters))
	for i, l := range letters {
		whole := a.shown(l)
		r := records[i]
		var want []store.Header
		for _, h := range whole.Headers {
			want = append(want, store.Header(h))
		}
		if i == 0 {
			want = want[:2] // without the forged one
			if !bytes.Equal(whole.Key, poison.Key) || !bytes.Equal(whole.Value, poison.Value) || len(whole.Headers) != 3 {
				a.t.Errorf("the table has not the record as it came: %+v", whole)
			}
		}
		for _, h := range [][2]string{
			{"reason", l.Reason},
			{"error", l.Error},
			{"topic", kafka.TopicDeployments},
			{"partition", strconv.Itoa(l.Partition)},
			{"offset", strconv.FormatInt(l.Offset, 10)},
			{"last-offset", strconv.FormatInt(l.Offset, 10)},
			{"attempts", "1"},
			{"timestamp", l.At.Format(time.RFC3339Nano)},
		} {
			want = append(want, store.Header{Key: "assay-dlq-" + h[0], Value: []byte(h[1])})
		}
		var got []store.Header
		for _, h := range r.Headers {
			got = append(got, store.Header(h))
		}
		if !bytes.Equal(r.Key, whole.Key) || !bytes.Equal(r.Value, whole.Value) || !reflect.DeepEqual(got, want) {
			a.t.Errorf("record %d: key %q, value %q, headers\n%s, want key %q, value %q and\n%s", i, r.Key, r.Value, got, whole.Key, whole.Value, want)
		}
	}
}

// shown runs `assay dlq show` in both forms.
func (a *assay) shown(l letter) letter {
	a.t.Helper()
	id := strconv.FormatInt(l.ID, 10)
	var whole letter
	o := a.run("dlq", "show", id, "-o", "json")
	if err := json.Unmarshal([]byte(o.out), &whole); o.code != 0 || err != nil {
		a.t.Fatalf("%v %v", o, err)
	}
	o = a.run("dlq", "show", id)
	if o.code != 0 || !strings.Contains(o.out, l.Reason) || strings.ContainsAny(o.out, "\x1b\x00") || !utf8.ValidString(o.out) {
		a.t.Errorf("show %s: %q", id, o.out)
	}
	return whole
}

// replayLetters replays what is refused as long as this is the program that runs.
func (a *assay) replayLetters(malformed, unsupported letter) {
	a.t.Helper()
	o := a.run("dlq", "replay", "--reason", "unsupported_schema")
	if want := fmt.Sprintf("%d  refused  unsupported_schema: ", unsupported.ID); o.code != 2 || !strings.HasPrefix(o.out, want) {
		a.t.Errorf("replay of an unknown schema: %v, want code 2 and %q", o, want)
	}
	o = a.run("dlq", "replay", strconv.FormatInt(malformed.ID, 10))
	if want := fmt.Sprintf("%d  refused  malformed: ", malformed.ID); o.code != 2 || !strings.HasPrefix(o.out, want) {
		a.t.Errorf("replay of poison: %v, want code 2 and %q", o, want)
	}
	if o = a.run("dlq", "show", "99"); o.code != 2 || !strings.Contains(o.err, "no dead letter has the id 99") {
		a.t.Errorf("an unknown letter: %v", o)
	}
}
