package validation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/store/disktest"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/bundle"
)

// brittle panics where it is told to.
type brittle struct {
	sources.Source
	rows bool
}

func (s *brittle) Rows(ctx context.Context, q analysis.Query) (analysis.Answer, error) {
	if s.rows {
		panic("an adapter has a bug")
	}
	return s.Source.Rows(ctx, q)
}

// TestPanicEndsOneValidation (F49): a panic while one validation is worked on ends it
// with hold(analyzer_fault), the stack is in its bundle, and others go on.
func TestPanicEndsOneValidation(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(*run) // what makes the next look panic
	}{
		{"judge", func(v *run) { v.judge.evidence = nil }},
		{"plan and judge", func(v *run) { v.plan.Objectives[0].Method, v.judge.evidence = "none", nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, mustReplay(t, healthy()))
			b.deploy(deployment(analysis.Live))
			b.deploy(called(deployment(analysis.Shadow), "other"))
			b.live(0, 4*time.Minute)
			c.harm(b.Runner.open[deployment("").Deployment(1).Validation()])
			b.live(4*time.Minute, 12*time.Minute)
			b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
			row, v := b.of("d1")
			b.rejudged(v)
			if end := b.ending(v); !strings.Contains(end, "panic: ") || !strings.Contains(end, "judge.go:") {
				t.Errorf("the bundle says %q", end)
			}
			if strings.Contains(v.Reason, "\n") || row.Poison != 0 {
				t.Errorf("poison %d, reason %q", row.Poison, v.Reason)
			}
			b.wants("other", verdicts.Promote, analysis.AllSafe)
		})
	}
}

// ending is the reason of the last look in the bundle of a verdict.
func (b *bench) ending(v verdicts.Verdict) string {
	b.t.Helper()
	sealed, err := bundle.Open(filepath.Join(b.Bundles(), v.Bundle))
	if err != nil {
		b.t.Fatal(err)
	}
	defer sealed.Close()
	end := ""
	for look, err := range sealed.Looks() {
		if err != nil {
			b.t.Fatal(err)
		}
		if look.End != nil {
			end = look.End.Reason
		}
	}
	return end
}

// A panic while a plan is made ends that validation as well, and at once.
func TestPanicWhilePlanning(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	plans := 0
	b.Runner.Policy = func(release analysis.Release, _ string) Policy {
		if release.Service == "checkout" && release.Environment == "prod" {
			if plans++; plans == 1 {
				panic("a policy has a bug")
			}
		}
		return policy()
	}
	b.deploy(deployment(analysis.Live))
	b.live(0, 15*time.Second)
	b.wants("d1", verdicts.Hold, analysis.AnalyzerFault)
	_, v := b.of("d1")
	b.rejudged(v)
	if end := b.ending(v); !strings.Contains(end, "a policy has a bug") || !strings.Contains(end, "planning.go:") {
		t.Errorf("the bundle says %q", end)
	}
}

// A source that panics is one that cannot be understood: nobody is told to act, and
// the process lives.
func TestPanicOfASource(t *testing.T) {
	s := &brittle{Source: mustReplay(t, healthy())}
	b := newBench(t, s)
	b.deploy(deployment(analysis.Live))
	b.live(0, 2*time.Minute)
	s.rows = true
	b.live(2*time.Minute, 25*time.Minute)
	_, v := b.of("d1")
	if v.Verdict != verdicts.Hold || !v.Final {
		t.Errorf("%v %s: %s", v.Verdict, v.ReasonCode, v.Reason)
	}
	b.rejudged(v)
}

// TestFullSpool (F43) fills the disk of database, spools and bundles while releases
// are judged: who is due gets its verdict from the reserve, bundles wait, and with
// space everything goes on and comes to the same end.
func TestFullSpool(t *testing.T) {
	without := newBench(t, mustReplay(t, healthy()))
	without.deploy(deployment(analysis.Live))
	without.live(0, 12*time.Minute)
	_, want := without.of("d1")
	disktest.Run(t, 16<<20, func(disk string) {
		b := &bench{t: t, dir: disk, source: mustReplay(t, healthy())}
		b.open()
		defer b.close()
		if err := b.Store.Reserve(t.Context(), 4<<20); err != nil {
			t.Fatal(err)
		}
		b.deploy(deployment(analysis.Live))
		b.live(0, 3*time.Minute)
		drop := disktest.Ballast(t, disk, 0)
		refused := 0
		for now := start.Add(3 * time.Minute); now.Before(start.Add(12 * time.Minute)); now = now.Add(5 * time.Second) {
			if err := b.Advance(t.Context(), now); errors.Is(err, store.ErrFull) {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused > 1 || !b.Store.Full() { // one of a spool gives up the reserve; the store does so by itself
			t.Errorf("%d refusals, full %v", refused, b.Store.Full())
		}
		_, got := b.of("d1")
		if got.Verdict != verdicts.Promote || !got.AsOf.Equal(*want.AsOf) || got.EvidenceDigest == "" {
			t.Errorf("%v %s as of %v, want promote as of %v", got.Verdict, got.ReasonCode, got.AsOf, want.AsOf)
		}
		if _, err := os.Stat(filepath.Join(b.Bundles(), got.Bundle)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a bundle took of the reserve: %v", err)
		}
		drop()
		if regained, err := b.Store.Regain(t.Context()); !regained || err != nil {
			t.Fatal(regained, err)
		}
		b.advance(start.Add(13 * time.Minute))
		b.rejudged(got)
		if left, err := b.spools.ids(); err != nil || len(left) > 0 {
			t.Errorf("spools left: %v %v", left, err)
		}
	})
}

// A disk that is full without any reserve loses nothing: the line stands until there
// is space, and then goes on.
func TestFullSpoolWithoutReserve(t *testing.T) {
	disktest.Run(t, 4<<20, func(disk string) {
		b := &bench{t: t, dir: disk, source: mustReplay(t, healthy())}
		b.open()
		defer b.close()
		b.deploy(deployment(analysis.Live))
		b.live(0, 3*time.Minute)
		drop := disktest.Ballast(t, disk, 0)
		for now := start.Add(3 * time.Minute); now.Before(start.Add(10 * time.Minute)); now = now.Add(5 * time.Second) {
			if err := b.Advance(t.Context(), now); err != nil && !errors.Is(err, store.ErrFull) {
				t.Fatal(err)
			}
		}
		if _, v := b.of("d1"); v.Final {
			t.Fatalf("%v without space: nothing was tested", v.Verdict)
		}
		drop()
		if regained, err := b.Store.Regain(t.Context()); !regained || err != nil {
			t.Fatal(regained, err)
		}
		b.live(10*time.Minute, 12*time.Minute)
		b.wants("d1", verdicts.Promote, analysis.AllSafe)
		_, v := b.of("d1")
		b.rejudged(v)
	})
}

// An fsync of a spool that fails is the end of the process, as one of the store is.
func TestKindsOfSpoolErrors(t *testing.T) {
	b := newBench(t, mustReplay(t, healthy()))
	if err := b.spools.sync("nobody"); err == nil || errors.Is(err, store.ErrIO) {
		t.Errorf("a spool that is not there: %v", err)
	}
	if err := os.Mkdir(b.spools.path("dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := b.spools.append("dir", 0, []byte("x")); err == nil || errors.Is(err, store.ErrIO) || errors.Is(err, store.ErrFull) {
		t.Errorf("a directory in the place of a spool: %v", err)
	}
}
