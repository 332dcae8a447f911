package validation

import (
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/verdicts"
)

// mute takes the lines of the pods of a version from the recording, from an instant after
// the start on.
func mute(rec replay.Recording, version string, from time.Duration) replay.Recording {
	for i := range rec.Pods {
		p := &rec.Pods[i]
		if p.Attributes[analysis.AttrVersion] != version {
			continue
		}
		kept := p.Lines[:0]
		for _, l := range p.Lines {
			if l.Time.Before(start.Add(from)) {
				kept = append(kept, l)
			}
		}
		p.Lines = kept
	}
	return rec
}

func withMustAppear() Policy {
	p := talkative()
	requests := p.Objectives[0].Signal
	p.Objectives = append(p.Objectives, analysis.Objective{Name: "logs_must_appear", Role: analysis.Secondary, Signal: analysis.Signal{
		Name: "logs_must_appear", Source: "replay", Unit: "1", Shape: analysis.ShapeRatio, Logs: &analysis.LogSignal{MustAppear: "stored order", Requests: &requests},
	}})
	return p
}

// Logs that stay away are no defect of the release.
func TestSilentLogsNeverRollBack(t *testing.T) {
	both := map[string]float64{"payment %d failed": .01, "stored order %d": .02}
	for name, c := range map[string]struct {
		version string
		from    time.Duration
	}{
		"canary never heard":   {"1.5.0", -24 * time.Hour},
		"canary falls silent":  {"1.5.0", 6 * time.Minute},
		"baseline never heard": {"1.4.9", 0},
		"baseline no history":  {"1.4.9", -24 * time.Hour},
		"baseline goes silent": {"1.4.9", 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := chatty
			b := &bench{t: t, dir: t.TempDir(), source: mustReplay(t, mute(talk{both, both}.say(w.record(1), w, 3), c.version, c.from)), policy: func() Policy {
				p := withMustAppear()
				p.Window.MinBake = analysis.Duration(19 * time.Minute)
				return p
			}}
			b.open()
			t.Cleanup(func() { b.close() })
			v := b.judgedTo(25 * time.Minute)
			t.Log(v.Verdict, v.ReasonCode, v.Reason, v.Warnings)
			for _, f := range v.Findings {
				t.Log(f.Objective, f.ERollback, f.Code, f.Reason)
			}
			if v.Verdict == verdicts.Rollback {
				t.Fatalf("rolled back: %s", v.Reason)
			}
			b.rejudged(v)
		})
	}
}
