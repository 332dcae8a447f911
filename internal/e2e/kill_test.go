package e2e

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/torture"
	"github.com/release-assay/assay/verdicts"
)

// randomKills is how often it is killed besides, at any instant.
const randomKills = 6

// TestKilledBetweenAnyTwoSteps kills one Assay again and again while it judges, and
// starts it again on the same data. Telemetry is in a Prometheus, so nothing that
// is lost with the process is lost for ever: every deployment must get the very
// verdict that an Assay beside it, which nobody kills, comes to.
func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	var names []string
	for i := range len(torture.Steps) + randomKills {
		names = append(names, fmt.Sprintf("%s#%d", []string{"error-regression", "healthy"}[i%2], i))
	}
	w := worldOf(t, 12*time.Minute, names...)
	prom := w.prometheus(t)
	calm := serve(t, setup{noKafka: true, prometheus: prom.URL, policies: overPrometheus})
	a := prepare(t, setup{prometheus: prom.URL, policies: overPrometheus})

	next := 0
	deploy := func() string {
		id := strings.Replace(names[next], "#", "-", 1)
		next++
		e := started(id, w.deployed)
		a.post(e)
		calm.post(e)
		return id
	}
	judged := func(id string) {
		t.Helper()
		v, _ := a.final(id, 30*time.Second)
		want, _ := calm.final(id, 30*time.Second)
		if !sameJudgement(v, want) {
			t.Errorf("%s: %s (%s: %s) as of %v; without a kill %s (%s: %s) as of %v", id, v.Verdict, v.ReasonCode, v.Reason, v.AsOf, want.Verdict, want.ReasonCode, want.Reason, want.AsOf)
		}
		if want := map[bool]string{true: "promote", false: "rollback"}[strings.HasPrefix(id, "healthy")]; v.Verdict.String() != want {
			t.Errorf("%s: %s (%s: %s), want %s", id, v.Verdict, v.ReasonCode, v.Reason, want)
		}
		a.proven(id)
	}
	for _, step := range torture.Steps {
		t.Run(step, func(t *testing.T) {
			a.in(t)
			// Positions are committed of what cannot be judged at once: there, Prometheus
			// is away for a moment.
			if step == "committed" {
				prom.Stop()
			}
			a.start("ASSAY_KILL_AT=" + step)
			id := deploy()
			a.awaitSuicide(step)
			if step == "committed" {
				prom.Restart()
			}
			began := time.Now()
			a.start()
			judged(id)
			t.Logf("started again and %s judged after %v", id, time.Since(began).Round(time.Millisecond))
			// A verdict that is left would be the one at which the next process kills itself.
			a.eventually(10*time.Second, "the verdict is sent", func() error {
				for sink, n := range a.status().Outbox {
					if n > 0 {
						return fmt.Errorf("%d wait for %s", n, sink)
					}
				}
				return nil
			})
			a.kill()
		})
	}
	t.Run("anywhere", func(t *testing.T) {
		a.in(t)
		a.start()
		for range randomKills {
			id := deploy()
			time.Sleep(rand.N(1500 * time.Millisecond))
			a.kill()
			a.start()
			judged(id)
		}
	})

	kills := 2*len(torture.Steps) + randomKills
	onKafka, repeated := published(t, a.bus, len(names))
	if repeated > kills {
		t.Errorf("%d records are repeated after %d kills", repeated, kills)
	}
	for id, r := range onKafka {
		if _, body := a.verdict(id); !bytes.Equal(r.verdict, body) {
			t.Errorf("%s: Kafka and HTTP differ\n%s\n%s", id, r.verdict, body)
		}
	}
	if n := len(a.validations("")); n != len(names) {
		t.Errorf("%d validations of %d deployments", n, len(names))
	}
	t.Logf("%d deployments, %d kills, %d records repeated", len(names), kills, repeated)
	a.stop()
	a.verifyAudit()
	a.issuedOnce(names)
}

// sameJudgement compares all but when it was judged, and the digest of the looks,
// which carry that instant.
func sameJudgement(a, b verdicts.Verdict) bool {
	for _, v := range []*verdicts.Verdict{&a, &b} {
		v.IssuedAt, v.NotAfter, v.EvidenceDigest = nil, nil, ""
	}
	x, errX := a.MarshalJSON()
	y, errY := b.MarshalJSON()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// issuedOnce reads in the audit log that each validation was opened once and got
// one verdict.
func (a *assay) issuedOnce(names []string) {
	a.t.Helper()
	a.withStore(func(ctx context.Context, s *store.Store) {
		entries, err := s.Audit(ctx, 0, 10_000)
		if err != nil {
			a.t.Fatal(err)
		}
		count := map[string]map[string]int{}
		for _, e := range entries {
			if count[e.Action] == nil {
				count[e.Action] = map[string]int{}
			}
			count[e.Action][e.Subject]++
		}
		for _, action := range []string{"validation.opened", "verdict.issued"} {
			if n := len(count[action]); n != len(names) {
				a.t.Errorf("audit log: %s for %d validations, want %d", action, n, len(names))
			}
			for subject, n := range count[action] {
				if n != 1 {
					a.t.Errorf("audit log: %s %d times for %s", action, n, subject)
				}
			}
		}
		pending, err := s.CountOutbox(ctx)
		if err != nil || !reflect.DeepEqual(pending, map[string]int64{}) {
			a.t.Errorf("the outbox still holds %v (%v)", pending, err)
		}
	})
}

// TestPushedTelemetryIsLostWithTheProcess kills an Assay that was fed over OTLP. What
// it held is gone, and sending it again is too late for folds that were closed
// meanwhile: that is missing telemetry, on which nobody acts, and no event is lost.
func TestPushedTelemetryIsLostWithTheProcess(t *testing.T) {
	w := worldOf(t, 22*time.Minute, "error-regression", "healthy")
	a := prepare(t, setup{})
	a.start("ASSAY_KILL_AT=planned")
	w.push(a)
	a.post(started("error-regression", w.deployed))
	a.awaitSuicide("planned")
	a.start()
	w.push(a)
	v, _ := a.final("error-regression", 30*time.Second)
	if v.Verdict.String() != "hold" {
		t.Errorf("%s (%s: %s), want hold", v.Verdict, v.ReasonCode, v.Reason)
	}
	t.Logf("%s (%s): %s", v.Verdict, v.ReasonCode, v.Reason)
	a.proven("error-regression")
	a.post(started("healthy", w.deployed))
	if v, _ := a.final("healthy", 30*time.Second); v.Verdict.String() != "promote" {
		t.Errorf("deployed after the kill: %s (%s: %s), want promote", v.Verdict, v.ReasonCode, v.Reason)
	}
	published(t, a.bus, 2)
	a.stop()
	a.verifyAudit()
}
