package intake

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// What is encoded is decoded as it was, from Kafka and from HTTP.
func TestEncodeAndDecode(t *testing.T) {
	name := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,20}`)
	version := rapid.StringMatching(`[0-9][A-Za-z0-9._+:@~-]{0,20}`)
	text := rapid.StringMatching(`[ -~äß✓]{0,30}`)
	lines := rapid.Map(rapid.SliceOfN(rapid.StringMatching(`[!-~äß✓][ -~äß✓]{0,30}`), 0, 3), func(texts []string) []string {
		if len(texts) == 0 {
			return nil
		}
		return texts
	})
	labels := rapid.MapOfN(name, text, 0, 5).Filter(func(m map[string]string) bool { // names that differ only in case are refused
		lower := map[string]bool{}
		for k := range m {
			lower[strings.ToLower(k)] = true
		}
		return len(lower) == len(m)
	})
	instants := rapid.Map(rapid.Int64Range(0, 4e9), func(s int64) time.Time { return time.Unix(s, 123).UTC() })
	rapid.Check(t, func(t *rapid.T) {
		some := func(m map[string]string) map[string]string {
			if len(m) == 0 {
				return nil
			}
			return m
		}
		want := analysis.Event{
			Source: "/ci/" + name.Draw(t, "source"), ID: name.Draw(t, "id"), Time: instants.Draw(t, "time"),
			Phase:        rapid.SampledFrom([]analysis.Phase{"started", "step", "finished", "aborted"}).Draw(t, "phase"),
			DeploymentID: analysis.DeploymentID(rapid.StringMatching(`[!#-&(-;=?-\[\]-_a-z|~]{1,40}`).Draw(t, "deployment")),
			Release: analysis.Release{
				Environment: name.Draw(t, "environment"), Namespace: name.Draw(t, "namespace"), Service: name.Draw(t, "service"),
				Version: version.Draw(t, "version"), PreviousVersion: version.Draw(t, "previous"), ArtifactDigest: rapid.SampledFrom([]string{"", digest}).Draw(t, "digest"),
			},
			Mode:      rapid.SampledFrom([]analysis.Mode{"live", "shadow", "retrospective"}).Draw(t, "mode"),
			Strategy:  rapid.SampledFrom([]string{"", "canary", "rolling"}).Draw(t, "strategy"),
			StartedAt: instants.Draw(t, "started"), Canary: some(labels.Draw(t, "canary")), Baseline: some(labels.Draw(t, "baseline")),
			Warmup: analysis.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "warmup")), MaxDuration: analysis.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "max")),
			PolicyRef: text.Draw(t, "policy"), ChangeID: text.Draw(t, "change"), Labels: some(labels.Draw(t, "labels")), ExpectLines: lines.Draw(t, "lines"),
			CallbackURL: rapid.SampledFrom([]string{"", "https://ci.example/x?y=%20z"}).Draw(t, "callback"),
		}
		if want.Phase == analysis.PhaseStep || rapid.Bool().Draw(t, "has step") {
			want.Step = &analysis.Step{Index: 1, Total: 4, Weight: rapid.Float64Range(0, 1).Draw(t, "weight"), At: want.Time}
		}
		m, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		header, body := m.HTTP()
		for how, m := range map[string]Message{"kafka": FromKafka(m.Headers, m.Key, m.Value), "http": FromHTTP(header, body)} {
			d, rejection := Decode(m, DefaultLimits())
			if rejection != nil {
				t.Fatalf("%s: %s: %v", how, rejection.Reason, rejection)
			}
			want.Type = d.Event.Type // filled in
			if !reflect.DeepEqual(d.Event, want) {
				t.Fatalf("%s:\ngot  %+v\nwant %+v", how, d.Event, want)
			}
		}
	})
}

func TestEncodeRefusesWhatDecodeWould(t *testing.T) {
	_, err := Encode(analysis.Event{ID: "x", Source: "/x", Time: time.Unix(0, 0), Release: analysis.Release{Service: "a b", Environment: "e", Version: "1"}})
	if err == nil || !strings.Contains(err.Error(), "data.subject.id") {
		t.Errorf("error %v, want one that names the field", err)
	}
}

func TestForward(t *testing.T) {
	forward := ForwardTo("kafka-dlq")
	m := forward(store.DeadLetter{
		ID: 3, Reason: "schema", Error: "x: y", Topic: "t", Partition: 2, Offset: 7, LastOffset: 9, Key: []byte("k"), Value: []byte("v"),
		Headers: []store.Header{{Key: "ce_id", Value: []byte("e")}, {Key: "assay-dlq-reason", Value: []byte("forged")}, {Key: "content-type", Value: []byte("application/json")}}, At: time.Unix(5, 0),
	})
	if m.Sink != "kafka-dlq" || m.Key != "k" || string(m.Payload) != "v" || m.ContentType != "" || m.MessageID == "" {
		t.Errorf("message %+v", m)
	}
	got := map[string]string{}
	for _, h := range m.Headers {
		if _, twice := got[h.Key]; twice {
			t.Errorf("header %s is there twice", h.Key)
		}
		got[h.Key] = string(h.Value)
	}
	for name, want := range map[string]string{
		"ce_id": "e", "assay-dlq-reason": "schema", "assay-dlq-error": "x: y", "assay-dlq-topic": "t",
		"assay-dlq-partition": "2", "assay-dlq-offset": "7", "assay-dlq-last-offset": "9", "assay-dlq-attempts": "1", "assay-dlq-timestamp": "1970-01-01T00:00:05Z",
	} {
		if got[name] != want {
			t.Errorf("header %s is %q, want %q", name, got[name], want)
		}
	}
	if again := forward(store.DeadLetter{ID: 4, Topic: "t", Partition: 2, Offset: 7}); again.MessageID == m.MessageID {
		t.Error("two dead letters have one id")
	}
}
