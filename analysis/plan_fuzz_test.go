package analysis

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"

	"github.com/release-assay/assay/internal/fuzztest"
)

// FuzzPlan reads a plan from a store or a bundle that may be damaged: its canonical
// bytes are canonical, and a judge refuses it or can be asked for its next folds.
func FuzzPlan(f *testing.F) {
	for _, change := range []func(*PlanInput){func(*PlanInput) {}, withSLO, withStreams(logsObjective(), severityObjective(), topologyObjective(), callsObjective())} {
		s := testState(f, change)
		b, err := s.plan.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"objectives":[{"cadence":"0s"}]}`))
	f.Add([]byte(`{"window":{"deadline":"-1h"},"objectives":[{"cadence":"5s","method":"ratio","grid":[1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzztest.Within(t, func() {
			var p, again Plan
			if json.Unmarshal(data, &p) != nil {
				return
			}
			once, err := p.Encode()
			if err != nil {
				return // a year beyond 9999, or a number that JSON has not
			}
			if err := json.Unmarshal(once, &again); err != nil {
				t.Fatalf("what was written is not read: %v\n%s", err, once)
			}
			if twice, err := again.Encode(); err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%v\n%s\n%s", err, once, twice)
			}
			s, err := NewState(&p)
			if err != nil {
				return
			}
			for i := range p.Objectives {
				fold, _ := s.Next(i)
				if !fold.End.After(fold.Start) {
					t.Fatalf("objective %d: fold %v", i, fold)
				}
				p.Query(&p.Objectives[i], fold)
			}
			s.Assess()
			s.Checks()
			s.Describe()
		})
	})
}

// FuzzRestore restores a checkpoint that may be damaged: it is refused, or the state
// can be folded on, described and written again.
func FuzzRestore(f *testing.F) {
	s := testState(f, withSLO, withStreams(logsObjective(), topologyObjective()))
	for range 5 {
		foldRows(f, s, 0, rows(1, 9, 100, 900))
		foldLines(f, s, 100, 900, fresh("a", SeverityError, 2))
		foldSpans(f, s, 100, 900, tallyOf(payCall, SpanCount{Calls: 9, Errors: 3}, SpanCount{Calls: 90}))
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(snapshot, 0, byte(0))
	for i := 0; i < len(snapshot); i += len(snapshot) / 16 {
		f.Add(snapshot, i, byte(0x40))
	}
	f.Fuzz(func(t *testing.T, data []byte, at int, flip byte) {
		fuzztest.Within(t, func() {
			damaged := bytes.Clone(data)
			if at >= 0 && at < len(damaged) {
				damaged[at] ^= flip
			}
			restored, err := RestoreState(s.plan, damaged)
			if err != nil {
				return
			}
			restored.Checks()
			restored.Describe()
			if _, err := json.Marshal([]any{restored.Differences(), restored.NewTemplates(), restored.NotRead()}); err != nil {
				t.Fatal(err)
			}
			if _, err := restored.Snapshot(); err != nil {
				t.Fatal(err)
			}
			if next, ok := restored.Next(0); ok && next.End.After(next.Start) {
				_ = restored.Fold(&Evidence{Objective: "errors", Fold: next, Rows: rows(1, 9, 100, 900)})
				next, _ = restored.Next(1)
				_ = restored.Fold(&Evidence{Objective: "logs", Fold: next, Rows: rows(0, 0, 100, 900), Logs: &LogTally{Templates: []TemplateTally{fresh("a", SeverityError, 2)}}})
				restored.Assess()
			}
			if e := restored.Evidence(); math.IsNaN(e) && bytes.Equal(damaged, snapshot) {
				t.Fatalf("evidence %v", e)
			}
		})
	})
}
