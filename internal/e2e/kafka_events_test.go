package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/testdata/backends"
)

// TestOneEventAThousandTimes: an event that comes a thousand times, and once more
// from offset 0 after the offsets of the group and of the store are gone, is one
// validation and one verdict; one with its name and other content is a dead letter
// that an alert can see (F1, F2).
func TestOneEventAThousandTimes(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	w := worldOf(t, 12*time.Minute, "error-regression#one", "error-regression#other")
	w.push(a)
	client := kafkatest.Connect(t, kafka.Config{Brokers: []string{broker.Addr}})
	one := wire(encode(t, started("error-regression-one", w.deployed)))
	for range 10 {
		batch := make([]kafka.Record, 100)
		for i := range batch {
			batch[i] = one
		}
		kafkatest.Send(t, client, kafka.TopicDeployments, 0, batch...)
	}
	kafkatest.Send(t, client, kafka.TopicDeployments, 0, wire(encode(t, started("error-regression-other", w.deployed))))
	took := a.eventually(5*time.Second, "an event behind a thousand duplicates is taken", func() error {
		return a.counted(2, 999)
	})
	t.Logf("an event behind a thousand duplicates was taken after %v", took.Round(time.Millisecond))
	if took > time.Second {
		t.Errorf("an event behind a thousand duplicates waited %v, a second is allowed", took)
	}
	onKafka, repeated := published(t, broker.Addr, 2)
	if repeated != 0 {
		t.Errorf("%d records of verdicts are repeated", repeated)
	}
	v, body := a.final("error-regression-one", time.Second)
	if v.Verdict.String() != "rollback" {
		t.Errorf("verdict %s (%s: %s), want rollback", v.Verdict, v.ReasonCode, v.Reason)
	}

	// The same name with other content, and steps of the same deployment, which have
	// names of their own.
	forged := started("error-regression-one", w.deployed)
	forged.Release.Version = "6.6.6"
	kafkatest.Send(t, client, kafka.TopicDeployments, 0, wire(encode(t, forged)))
	for i := range 3 {
		step := stepOf(started("error-regression-one", w.deployed), i)
		kafkatest.Send(t, client, kafka.TopicDeployments, 0, wire(encode(t, step)))
	}
	a.eventually(5*time.Second, "the conflict is counted", func() error { return a.metricIs(`assay_dlq_events_total{reason="conflict"}`, 1) })
	a.eventually(5*time.Second, "the steps are taken", func() error { return a.counted(5, 999) })
	if letters := a.status().DeadLetters; len(letters) != 1 || letters["conflict"] != 1 {
		t.Errorf("dead letters %v, want the conflict", letters)
	}

	// Everything once more.
	a.stop()
	if _, err := client.API().OffsetDelete(t.Context(), &kafkago.OffsetDeleteRequest{GroupID: "assay", Topics: map[string][]int{kafka.TopicDeployments: {0}}}); err != nil {
		t.Fatal(err)
	}
	a.withStore(func(ctx context.Context, s *store.Store) {
		err := s.ResetPartition(ctx, store.Reset{Topic: kafka.TopicDeployments, Now: time.Now(), Audit: store.AuditEntry{At: time.Now(), Actor: "test", Action: "reset", Subject: "p0"}})
		if err != nil {
			t.Fatal(err)
		}
	})
	a.start()
	a.awaitReady()
	a.eventually(10*time.Second, "all of it is known already", func() error { return a.counted(0, 1000+1+3) })
	for _, v := range a.validations("") {
		if v.Deployment.Attempt != 1 || v.Phase != "final" {
			t.Errorf("%s: attempt %d, %s", v.Deployment.ID, v.Deployment.Attempt, v.Phase)
		}
	}
	if n := len(a.validations("")); n != 2 {
		t.Errorf("%d validations, want 2", n)
	}
	if _, again := a.verdict("error-regression-one"); !bytes.Equal(again, body) {
		t.Errorf("the verdict has changed\nfrom %s\nto   %s", body, again)
	}
	if letters := a.status().DeadLetters; letters["conflict"] != 1 {
		t.Errorf("dead letters %v, want the one conflict", letters)
	}
	if again, repeated := published(t, broker.Addr, 2); repeated != 0 || len(again) != len(onKafka) {
		t.Errorf("%d verdicts on Kafka, %d repeated", len(again), repeated)
	}
	a.stop()
	a.verifyAudit()
}

// TestEventsOutOfOrder: what comes before its deployment waits for it and is never
// judged half-known; of two live deployments the older ends, whichever comes first;
// events of the future and of yesterday are not judged against today's telemetry
// (F3, F4, F5).
func TestEventsOutOfOrder(t *testing.T) {
	t.Parallel()
	broker := backends.StartKafka(t)
	p := &pipeline{assay: serve(t, setup{brokers: []string{broker.Addr}}), now: time.Now().UTC().Truncate(time.Second)}
	p.tellsBeforeTheStart()
	p.startsTwoAtOnce()
	p.startsInFutureAndPast()
	p.stop()
	p.verifyAudit()
}

// A pipeline tells of deployments over Kafka in any order.
type pipeline struct {
	*assay
	now time.Time
}

func (p *pipeline) tell(events ...analysis.Event) {
	p.t.Helper()
	for _, e := range events {
		produce(p.t, p.bus, encode(p.t, e))
	}
}

// starts returns the starting event of a deployment in some environment, so long ago.
func (p *pipeline) starts(environment, id string, ago time.Duration) analysis.Event {
	e := started(id, p.now.Add(-ago))
	e.Release.Environment = environment
	return e
}

// tellsBeforeTheStart: F3, a step and the end come first.
func (p *pipeline) tellsBeforeTheStart() {
	p.t.Helper()
	late := p.starts("f3", "late", time.Minute)
	finished := late
	finished.ID, finished.Phase, finished.Step = "late-finished", analysis.PhaseFinished, nil
	p.tell(stepOf(late, 1), finished, stepOf(p.starts("f3", "never-started", 0), 1))
	p.eventually(10*time.Second, "three events are taken", func() error { return p.counted(3, 0) })
	time.Sleep(2 * time.Second) // in which the line looks at them
	if v, _ := p.verdict("late"); v.ReasonCode != analysis.NotSeen || len(p.validations("")) != 0 {
		p.t.Errorf("before it has started: %s (%s), %d validations", v.Verdict, v.ReasonCode, len(p.validations("")))
	}
	p.tell(late)
	p.eventually(10*time.Second, "the step has joined its deployment", func() error {
		list := p.validations("late")
		if len(list) != 1 || len(list[0].Deployment.Steps) != 2 || list[0].Deployment.Steps[1].Index != 1 { // its own, and the one that came first
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	if list := p.validations("never-started"); len(list) != 0 || len(p.status().DeadLetters) != 0 {
		p.t.Errorf("a step of nobody: %+v, dead letters %v; want it to wait", list, p.status().DeadLetters)
	}
}

// startsTwoAtOnce: F4, the newer first, then the older, and the other way round.
func (p *pipeline) startsTwoAtOnce() {
	p.t.Helper()
	history := p.starts("f4-b", "of-last-week", 7*24*time.Hour)
	history.Mode = analysis.Retrospective
	p.tell(p.starts("f4-a", "newer", time.Minute), p.starts("f4-a", "older", 2*time.Minute),
		p.starts("f4-b", "first", 2*time.Minute), p.starts("f4-b", "second", time.Minute), history)
	for _, pair := range [][2]string{{"older", "newer"}, {"first", "second"}} {
		v, _ := p.final(pair[0], 5*time.Second)
		if v.Verdict.String() != "hold" || v.ReasonCode != analysis.Superseded {
			p.t.Errorf("%s: %s (%s), want hold (superseded)", pair[0], v.Verdict, v.ReasonCode)
		}
		if v, _ := p.verdict(pair[1]); v.Final || v.ReasonCode == analysis.NotSeen {
			p.t.Errorf("%s: %s (%s), want pending", pair[1], v.Verdict, v.ReasonCode)
		}
	}
	before := p.validations("second")
	again := p.starts("f4-b", "second", 30*time.Second)
	again.ID = "second-started-again"
	taken, _ := p.status().intake()
	p.tell(again)
	p.eventually(10*time.Second, "the second starting event is taken", func() error { return p.counted(taken+1, 0) })
	time.Sleep(2 * time.Second) // in which the line looks at it
	after := p.validations("second")
	if len(before) != 1 || len(after) != 1 || after[0].ID != before[0].ID || !after[0].Deployment.StartedAt.Equal(before[0].Deployment.StartedAt) || after[0].Phase == "final" {
		p.t.Errorf("a second starting event of an open deployment has changed it from %+v to %+v", before, after)
	}
}

// startsInFutureAndPast: F5.
func (p *pipeline) startsInFutureAndPast() {
	p.t.Helper()
	past := p.starts("f5-d", "yesterday-in-retrospect", 25*time.Hour)
	past.Mode = analysis.Retrospective
	p.tell(p.starts("f5-a", "in-six-minutes", -6*time.Minute), p.starts("f5-b", "in-four-minutes", -4*time.Minute), p.starts("f5-c", "yesterday", 25*time.Hour), past)
	if v, _ := p.final("yesterday", 5*time.Second); v.Verdict.String() != "hold" || v.ReasonCode != analysis.Expired {
		p.t.Errorf("yesterday: %s (%s), want hold (expired)", v.Verdict, v.ReasonCode)
	}
	p.eventually(5*time.Second, "the event of the future is quarantined, and it alone", func() error {
		if letters := p.status().DeadLetters; len(letters) != 1 || letters["quarantined"] != 1 {
			return fmt.Errorf("%v", letters)
		}
		return nil
	})
	for id, want := range map[string]int{"in-six-minutes": 0, "in-four-minutes": 1, "yesterday": 1, "yesterday-in-retrospect": 1} {
		p.eventually(5*time.Second, fmt.Sprintf("%s has %d validations", id, want), func() error {
			if list := p.validations(id); len(list) != want {
				return fmt.Errorf("%d", len(list))
			}
			return nil
		})
	}
	if list := p.validations("yesterday-in-retrospect"); list[0].Verdict.ReasonCode == analysis.Expired {
		p.t.Error("a deployment of yesterday, told in retrospect, has expired")
	}
}

// stepOf is the n-th step of a deployment.
func stepOf(e analysis.Event, n int) analysis.Event {
	e.ID, e.Phase = fmt.Sprintf("%s-step-%d", e.DeploymentID, n), analysis.PhaseStep
	e.Time = e.Time.Add(time.Duration(n) * time.Second)
	e.Step = &analysis.Step{Index: n, Total: 4, Weight: 0.5, At: e.Time}
	return e
}

// wire is a message as a record.
func wire(m intake.Message) kafka.Record {
	r := kafka.Record{Key: m.Key, Value: m.Value}
	for _, h := range m.Headers {
		r.Headers = append(r.Headers, kafka.Header(h))
	}
	return r
}

// counted compares what came over Kafka since the process started.
func (a *assay) counted(accepted, duplicates int) error {
	a.t.Helper()
	if n, d := a.status().intake(); n != accepted || d != duplicates {
		return fmt.Errorf("%d accepted and %d duplicates, want %d and %d", n, d, accepted, duplicates)
	}
	return nil
}

// metric reads one series of /metrics, by the name and labels with which it is
// written there.
func (a *assay) metric(series string) (float64, error) {
	a.t.Helper()
	status, body, err := a.ask(http.MethodGet, "/metrics", nil, nil)
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("/metrics: %d %v", status, err)
	}
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindSubmatch(body)
	if m == nil {
		return 0, fmt.Errorf("no %s in /metrics", series)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}

func (a *assay) metricIs(series string, want float64) error {
	a.t.Helper()
	got, err := a.metric(series)
	if err == nil && got != want {
		err = fmt.Errorf("%s is %v, want %v", series, got, want)
	}
	return err
}
