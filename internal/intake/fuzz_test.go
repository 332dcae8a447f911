package intake

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// FuzzDecode holds Decode to its promises on anything: it does not panic, what it
// accepts is complete and keeps within the limits, what it accepts has one content
// in both modes, and what it refuses says why.
func FuzzDecode(f *testing.F) {
	add := func(m Message) {
		get := func(name string) string {
			for _, h := range m.Headers {
				if h.Key == name {
					return string(h.Value)
				}
			}
			return ""
		}
		if len(m.Value) < 64<<10 {
			f.Add(m.ContentType, get("ce_specversion"), get("ce_id"), get("ce_source"), get("ce_type"), get("ce_time"), get("ce_subject"), m.Value)
		}
	}
	for _, c := range hostileCases(f) {
		add(c.m)
	}
	files, _ := filepath.Glob("testdata/cdevents/*.json")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(binary(string(b)))
		add(structured(f, string(b)))
	}
	add(binary(event(full)))
	add(structured(f, event(full)))
	limits := DefaultLimits()
	f.Fuzz(func(t *testing.T, contentType, specversion, id, source, typ, at, subject string, value []byte) {
		m := Message{ContentType: contentType, Value: value}
		for _, h := range [][2]string{{"ce_specversion", specversion}, {"ce_id", id}, {"ce_source", source}, {"ce_type", typ}, {"ce_time", at}, {"ce_subject", subject}} {
			if h[1] != "" {
				m.Headers = append(m.Headers, store.Header{Key: h[0], Value: []byte(h[1])})
			}
		}
		start := time.Now()
		d, rejection := Decode(m, limits)
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		if rejection != nil {
			if rejection.Reason == Poison || rejection.Reason == "" || rejection.Detail == "" || len(rejection.Detail) > 600 {
				t.Fatalf("rejection %+v", rejection)
			}
			return
		}
		if d.Outcome == Ignored {
			return
		}
		e := d.Event
		if e.Source == "" || e.ID == "" || e.Phase == "" || e.Mode == "" || e.Time.IsZero() || e.StartedAt.IsZero() {
			t.Fatalf("incomplete: %+v", e)
		}
		for _, s := range []string{e.Release.Environment, e.Release.Service} {
			if checkName(s, nameOthers) != nil {
				t.Fatalf("name %q", s)
			}
		}
		if len(e.Labels) > limits.MaxLabels || len(e.Canary) > limits.MaxLabels || e.Step != nil && !(e.Step.Weight >= 0 && e.Step.Weight <= 1) || len(d.ContentHash) != 64 {
			t.Fatalf("beyond the limits: %+v", e)
		}
		// What the store cannot keep would hold up its partition for ever.
		kept, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("cannot be kept: %v", err)
		}
		var back analysis.Event
		if err := json.Unmarshal(kept, &back); err != nil || back.Release != e.Release || !back.StartedAt.Equal(e.StartedAt) {
			t.Fatalf("kept as %s: %v", kept, err)
		}
		// Encode needs a version; a step event may have none.
		if again, err := Encode(e); err == nil {
			if second, rejection := Decode(again, limits); rejection != nil || second.Event.Release != e.Release || second.Event.DeploymentID != e.DeploymentID {
				t.Fatalf("encoded again: %+v, %v; was %+v", second.Event.Release, rejection, e.Release)
			}
		}
	})
}
