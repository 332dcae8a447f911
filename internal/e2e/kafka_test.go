package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/lab"
	"github.com/release-assay/assay/testdata/backends"
)

// TestEventsComeFromKafkaAndVerdictsGoThere tells of good and bad releases in both
// modes of CloudEvents, and reads from Kafka the very bytes that HTTP serves.
func TestEventsComeFromKafkaAndVerdictsGoThere(t *testing.T) {
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	w := worldOf(t, 12*time.Minute, "healthy#binary", "healthy#structured", "error-regression#binary", "error-regression#structured", "error-regression#retrospective", "error-regression#shadow")
	w.push(a)

	produce(t, broker.Addr, encode(t, started("healthy-binary", w.deployed)))
	produce(t, broker.Addr, structured(t, encode(t, started("healthy-structured", w.deployed))))
	produce(t, broker.Addr, encode(t, started("error-regression-binary", w.deployed)))
	produce(t, broker.Addr, structured(t, encode(t, started("error-regression-structured", w.deployed))))
	for _, mode := range []analysis.Mode{analysis.Retrospective, analysis.Shadow} {
		e := started("error-regression-"+string(mode), w.deployed)
		e.Mode = mode
		produce(t, broker.Addr, encode(t, e))
	}

	onKafka, repeated := published(t, broker.Addr, 4)
	if repeated != 0 {
		t.Errorf("%d records are repeated although nothing failed", repeated)
	}
	for id, want := range map[string]string{
		"healthy-binary": "promote", "healthy-structured": "promote",
		"error-regression-binary": "rollback", "error-regression-structured": "rollback",
	} {
		v, body := a.final(id, 30*time.Second)
		if v.Verdict.String() != want {
			t.Errorf("%s: %s (%s: %s), want %s", id, v.Verdict, v.ReasonCode, v.Reason, want)
		}
		r := onKafka[id]
		if !bytes.Equal(r.verdict, body) {
			t.Errorf("%s: Kafka and HTTP differ\n%s\n%s", id, r.verdict, body)
		}
		if want := environmentOf(id) + "//" + lab.Service; r.key != want || r.id != v.ID() {
			t.Errorf("%s: record %s with key %s, want %s with %s", id, r.id, r.key, v.ID(), want)
		}
		a.proven(id)
	}
	// What is judged in retrospect or as a shadow is told to those who ask for it by
	// validation only, and to nobody on Kafka.
	for _, id := range []string{"error-regression-retrospective", "error-regression-shadow"} {
		list := a.validations(id)
		if len(list) != 1 {
			t.Fatalf("%s has %d validations", id, len(list))
		}
		if v, _ := a.final(list[0].ID, 30*time.Second); v.Verdict.String() != "rollback" {
			t.Errorf("%s: %s (%s: %s), want rollback", id, v.Verdict, v.ReasonCode, v.Reason)
		}
		if v, _ := a.verdict(id); v.ReasonCode != analysis.NotSeen {
			t.Errorf("%s by its deployment id: %s (%s), want not_seen", id, v.Verdict, v.ReasonCode)
		}
	}
	if onKafka, _ := published(t, broker.Addr, 4); len(onKafka) != 4 {
		t.Errorf("%d verdicts on Kafka", len(onKafka))
	}
	a.stop()
	a.verifyAudit()
}

// TestBrokerIsKilledInTheMiddle sends events before, during and after an outage of
// Kafka. Nothing is lost and nothing is judged twice, HTTP answers all the time,
// and verdicts that were reached meanwhile are delivered afterwards.
func TestBrokerIsKilledInTheMiddle(t *testing.T) {
	const each = 3
	broker := backends.StartKafka(t)
	a := serve(t, setup{brokers: []string{broker.Addr}})
	w := worldOf(t, 12*time.Minute, many("error-regression", 3*each+1)...)
	w.push(a)
	event := func(i int) (string, analysis.Event) {
		id := fmt.Sprintf("error-regression-%d", i)
		return id, started(id, w.deployed)
	}
	tell := func(from int) {
		for i := from; i < from+each; i++ {
			_, e := event(i)
			produce(t, broker.Addr, encode(t, e))
		}
	}

	tell(0)
	published(t, broker.Addr, each)
	first, before := event(0)
	_, firstBody := a.final(first, time.Second)

	broker.Kill()
	pollers, stop := sync.WaitGroup{}, make(chan struct{})
	var slowest time.Duration
	var broken error
	pollers.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			began := time.Now()
			status, body, err := a.ask(http.MethodGet, "/v1/validations/"+first+"/verdict", nil, nil)
			slowest = max(slowest, time.Since(began))
			if err != nil || status != http.StatusOK || !bytes.Equal(body, firstBody) {
				broken = fmt.Errorf("while the broker is down: %d %s %v", status, body, err)
				return
			}
		}
	})
	during := make(chan struct{})
	go func() { // producers try until the broker is back, and some send twice
		defer close(during)
		for _, e := range []int{each, each + 1, each + 2, each} {
			_, event := event(e)
			for tryProduce(broker.Addr, encode(t, event)) != nil {
				time.Sleep(200 * time.Millisecond)
			}
		}
	}()
	down := a.eventually(20*time.Second, "/-/ready says that intake is down", func() error {
		status, body, err := a.ask(http.MethodGet, "/-/ready", nil, nil)
		if err != nil || status != http.StatusServiceUnavailable || !bytes.Contains(body, []byte("ingest=down")) {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	})
	overHTTP, e := event(3 * each)
	a.post(e)
	if v, _ := a.final(overHTTP, 20*time.Second); v.Verdict.String() != "rollback" {
		t.Errorf("judged while the broker is down: %s (%s: %s), want rollback", v.Verdict, v.ReasonCode, v.Reason)
	}

	broker.Restart()
	back := time.Now()
	resumed := a.eventually(10*time.Second, "intake reads again", func() error { return a.answers("/-/ready") })
	<-during
	tell(2 * each)
	onKafka, repeated := published(t, broker.Addr, 3*each+1)
	t.Logf("the outage was noticed after %v; after the return intake read again in %v and all verdicts were delivered in %v; %d records repeated",
		down.Round(time.Millisecond), resumed.Round(time.Millisecond), time.Since(back).Round(time.Millisecond), repeated)
	close(stop)
	pollers.Wait()
	if broken != nil {
		t.Error(broken)
	}
	if slowest > 2*time.Second {
		t.Errorf("the slowest answer of HTTP took %v", slowest)
	}
	if repeated > 1 { // one outage, one receiver (reliability G3)
		t.Errorf("%d records are repeated after one outage", repeated)
	}

	// Events of before, replayed from Kafka: known already.
	produce(t, broker.Addr, encode(t, before))
	a.eventually(10*time.Second, "the repeated event is known as such", func() error {
		if _, duplicates := a.status().intake(); duplicates < 2 {
			return fmt.Errorf("%d duplicates", duplicates)
		}
		return nil
	})
	for _, v := range a.validations("") {
		if v.Deployment.Attempt != 1 || v.Verdict.Verdict.String() != "rollback" {
			t.Errorf("%s: attempt %d, %s (%s)", v.Deployment.ID, v.Deployment.Attempt, v.Verdict.Verdict, v.Verdict.ReasonCode)
		}
		if _, ok := onKafka[string(v.Deployment.ID)]; !ok {
			t.Errorf("no verdict of %s on Kafka", v.Deployment.ID)
		}
	}
	if n := len(a.validations("")); n != 3*each+1 {
		t.Errorf("%d validations, want %d", n, 3*each+1)
	}
	a.stop()
	a.verifyAudit()
}
