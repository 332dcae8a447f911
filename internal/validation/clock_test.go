package validation

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// calm judges the healthy world without any fault.
func calm(t *testing.T) (verdicts.Verdict, int64) {
	t.Helper()
	b := newBench(t, mustReplay(t, healthy()))
	b.deploy(deployment(analysis.Live))
	b.live(0, 15*time.Minute)
	row, v := b.of("d1")
	if v.Verdict != verdicts.Promote {
		t.Fatalf("%v %s", v.Verdict, v.ReasonCode)
	}
	return v, row.Looks
}

// sameButForTheTime compares two verdicts but for when they were issued and the
// digest of the looks, which holds when each was taken.
func sameButForTheTime(t *testing.T, got, want verdicts.Verdict) {
	t.Helper()
	for _, v := range []*verdicts.Verdict{&got, &want} {
		v.IssuedAt, v.NotAfter, v.EvidenceDigest = nil, nil, ""
	}
	a, _ := json.Marshal(got)
	z, _ := json.Marshal(want)
	if !bytes.Equal(a, z) {
		t.Errorf("got  %s\nwant %s", a, z)
	}
}

// TestClockSetBack (F39) lets now go back by an hour in the middle, twice, and come
// again: nothing is folded twice, nothing is lost, and the verdict is the one of a
// clock that stood still meanwhile.
func TestClockSetBack(t *testing.T) {
	want, looks := calm(t)
	for _, restart := range []bool{false, true} {
		b := newBench(t, mustReplay(t, healthy()))
		b.deploy(deployment(analysis.Live))
		b.live(0, 4*time.Minute)
		before, _ := b.of("d1")
		for range 2 {
			b.live(-time.Hour, -50*time.Minute)
			if restart {
				b.close()
				b.open()
			}
			if during, v := b.of("d1"); during.Looks != before.Looks || v.Final {
				t.Errorf("an hour back it has %d looks instead of %d, final %v", during.Looks, before.Looks, v.Final)
			}
			b.live(3*time.Minute, 5*time.Minute)
			before, _ = b.of("d1")
		}
		b.live(4*time.Minute, 15*time.Minute)
		row, got := b.of("d1")
		if row.Looks != looks {
			t.Errorf("restart %v: %d looks, %d without a jump", restart, row.Looks, looks)
		}
		sameButForTheTime(t, got, want)
		b.rejudged(got)
	}
}

// A clock that is set back does not prolong the wait for a source that was down, nor
// the wait for a plan, nor that for a bundle.
func TestWaitsAfterTheClockIsSetBack(t *testing.T) {
	want, _ := calm(t)
	source := &flaky{Source: mustReplay(t, healthy())}
	b := newBench(t, source)
	b.deploy(deployment(analysis.Live))
	b.live(0, 2*time.Minute)
	source.set(true)
	// The clock is wrong while the source is down, and put right.
	b.advance(start.Add(2 * time.Minute))
	b.advance(start.Add(3 * time.Minute))
	v := b.Runner.open[deployment("").Deployment(1).Validation()]
	waits := v.waits[0]
	if waits.err == nil {
		t.Fatal("the fold does not wait: nothing was tested")
	}
	b.advance(start.Add(time.Hour - 40*time.Minute))
	b.advance(start.Add(3 * time.Minute))
	if until := v.waits[0].until; until.After(start.Add(3*time.Minute + maxBackoff)) {
		t.Errorf("it waits until %v, now is %v", until, start.Add(3*time.Minute))
	}
	source.set(false)
	b.live(3*time.Minute, 15*time.Minute)
	_, got := b.of("d1")
	sameButForTheTime(t, got, want)

	w := wait{until: start.Add(time.Hour)}
	w.earlier(time.Hour)
	never := wait{}
	never.earlier(time.Hour)
	if !w.until.Equal(start) || !never.until.IsZero() {
		t.Errorf("%v, %v", w.until, never.until)
	}
}

// What happens while now is an hour ahead is why cmd must never let it run ahead: the
// folds of the coming hour close without data. Even so nobody is told to act.
func TestClockAheadNeverActs(t *testing.T) {
	rec := world{baselineRate: .001, canaryRate: .001, rps: 40, history: 3 * time.Hour, span: 4 * time.Minute}.record(1)
	b := newBench(t, mustReplay(t, rec)) // telemetry that ends now
	b.deploy(deployment(analysis.Live))
	b.live(0, 4*time.Minute)
	b.advance(start.Add(4*time.Minute + time.Hour))
	b.live(4*time.Minute, 25*time.Minute)
	_, v := b.of("d1")
	if v.Verdict != verdicts.Hold || !v.Final {
		t.Errorf("%v %s: %s", v.Verdict, v.ReasonCode, v.Reason)
	}
	b.rejudged(v)
}
