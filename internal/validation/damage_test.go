package validation

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// damages are what makes a validation one that cannot be judged on: its spool or its
// plan is damaged or of another version.
var damages = map[string]func(b *bench, id analysis.ValidationID){
	"end of the spool": func(b *bench, id analysis.ValidationID) {
		b.respool(id, func(looks string) string { return looks + "{damaged}\n" })
	},
	"middle of the spool": func(b *bench, id analysis.ValidationID) {
		b.respool(id, func(looks string) string { return strings.Replace(looks, `"evidence":[{`, `"evidence":[[`, 3) })
	},
	"method": func(b *bench, id analysis.ValidationID) {
		row, err := b.Store.Validation(b.t.Context(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		row.Plan = []byte(strings.Replace(string(row.Plan), `"method":"`, `"method":"older-`, 1))
		if _, err := b.Store.Apply(b.t.Context(), store.Change{Update: []store.Validation{row}, Now: start}); err != nil {
			b.t.Fatal(err)
		}
	},
}

// respool writes the spool of a validation anew.
func (b *bench) respool(id analysis.ValidationID, change func(looks string) string) {
	b.t.Helper()
	looks, err := os.ReadFile(b.spools.path(id))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.spools.path(id), []byte(change(string(looks))), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// A validation that cannot be judged on ends with hold. The process starts, and others
// go on.
func TestDamagedStateEndsOneValidation(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, mustReplay(t, healthy()))
			b.deploy(deployment(analysis.Live))
			other := called(deployment(analysis.Shadow), "other")
			b.deploy(other)
			b.live(0, 4*time.Minute)
			damage(b, deployment("").Deployment(1).Validation())
			b.close()
			b.open()
			b.live(4*time.Minute, 12*time.Minute)
			b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
			_, v := b.of("d1")
			b.rejudged(v)
			b.wants("other", verdicts.Promote, analysis.AllSafe)
		})
	}
}

// A torn last line of a spool was never folded: it is cut off and asked again.
func TestTornSpool(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	b.live(0, 4*time.Minute)
	path := b.spools.path(deployment("").Deployment(1).Validation())
	b.close()
	info, err := os.Stat(path)
	if err != nil || os.Truncate(path, info.Size()-20) != nil {
		t.Fatal(err)
	}
	b.open()
	b.live(4*time.Minute, 12*time.Minute)
	b.wants("d1", verdicts.Promote, analysis.AllSafe)
	_, v := b.of("d1")
	b.rejudged(v)
}
