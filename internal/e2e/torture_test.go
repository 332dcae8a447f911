package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/torture"
	"github.com/release-assay/assay/testdata/backends"
)

var (
	tortureKills = flag.Int("torture.kills", 30, "how often TestTorture kills Assay")
	tortureSeed  = flag.Uint64("torture.seed", 0, "of TestTorture's plan; 0: drawn and printed")
	tortureRound = flag.Int("torture.round", 100, "lives between two looks at the store")
)

// TestTorture kills one Assay again and again, at any instant and at every step,
// while it is told of deployments over Kafka and HTTP; whatever it has ever promised
// or shown must be true in the end (reliability M1, M3, M16; G1, G3, G4).
func TestTorture(t *testing.T) {
	seed := *tortureSeed
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	r := openRack(t, rackConfig{broker: backends.StartKafka(t).Addr, topics: "torture", seed: seed})
	for r.history.Kills < *tortureKills {
		left := *tortureKills - r.history.Kills
		found := r.round(min(*tortureRound, left+left/8+1)) // some lives end otherwise
		t.Log(r.progress())
		if len(found) > 0 {
			t.Errorf("%d violations\n%s\nrepeat the same actions with: go test ./internal/e2e -run '^TestTorture$' -count=1 -v -torture.seed=%d -torture.kills=%d -torture.round=%d",
				len(found), r.history.Report(found), seed, r.history.Kills, *tortureRound)
			break
		}
	}
	t.Log(r.summary())
}

// A rack is one Assay that is tortured, with all that is done to it.
type rack struct {
	t      testing.TB
	config rackConfig
	a      *assay
	fleet  *torture.Fleet
	events *kafkago.Writer
	began  time.Time

	rounds  int
	life    atomic.Int64 // of the round
	lives   int          // of all rounds
	waiting atomic.Int64 // deployments that Assay was told of and could judge at once
	times   times

	mu      sync.Mutex
	history torture.History
	finals  map[analysis.ValidationID]string // as they were first read
	done    []analysis.DeploymentID          // live ones with a final verdict, for the observer
	checked map[analysis.ValidationID]bool   // bundles that were judged again
	shown   map[analysis.ValidationID]string // as the API showed them
	leases  map[int]torture.Partition
}

type rackConfig struct {
	broker, topics, program string
	favour                  string // a step
	seed                    uint64
	patience                time.Duration // for what is left to do at the end of a round; zero: 90 s
}

// times are how long it took from the start of the process.
type times struct {
	mu                      sync.Mutex
	healthy, ready, folding []time.Duration
}

func openRack(t testing.TB, c rackConfig) *rack {
	t.Helper()
	if c.patience == 0 {
		c.patience = 90 * time.Second
	}
	r := &rack{
		t: t, config: c, fleet: &torture.Fleet{}, began: time.Now(), finals: map[analysis.ValidationID]string{},
		checked: map[analysis.ValidationID]bool{}, shown: map[analysis.ValidationID]string{}, leases: map[int]torture.Partition{},
	}
	server := httptest.NewServer(r.fleet)
	t.Cleanup(server.Close)
	r.a = prepare(t, setup{brokers: []string{c.broker}, topics: c.topics, prometheus: server.URL, policies: torturePolicies, program: c.program})
	client, err := kafka.Connect(kafka.Config{Brokers: []string{c.broker}, ClientID: "torture"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kafka.EnsureTopics(t.Context(), client, topicsOf(c.topics)...); err != nil {
		t.Fatal(err)
	}
	r.events = client.Writer(c.topics + ".deployments")
	t.Cleanup(func() {
		_ = r.events.Close()
		client.Close()
	})
	return r
}

// topicsOf are the contract's topics under names of a rack's own.
func topicsOf(prefix string) []kafka.Topic {
	names := map[string]string{kafka.TopicDeployments: "deployments", kafka.TopicDeadLetters: "dlq", kafka.TopicVerdicts: "verdicts"}
	var out []kafka.Topic
	for _, topic := range kafka.Topics {
		if name, ours := names[topic.Name]; ours {
			topic.Name = prefix + "." + name
			out = append(out, topic)
		}
	}
	return out
}

// round plays one plan: its lives, then one that nobody kills, in which everything
// comes to its end; then it looks at what there is.
func (r *rack) round(lives int) []torture.Violation {
	plan := torture.NewPlan(r.config.seed, r.rounds, lives)
	if r.config.favour != "" {
		plan.Favour(r.config.favour)
	}
	r.rounds++
	ctx, cancel := context.WithCancel(r.t.Context())
	var scripts, observer sync.WaitGroup
	observer.Go(func() { r.observe(ctx) })
	for i, life := range plan.Lives {
		r.life.Store(int64(i))
		for k := range plan.Scripts {
			if s := &plan.Scripts[k]; s.Life == i {
				scripts.Go(func() { r.play(ctx, s) })
			}
		}
		r.live(life)
		r.mu.Lock()
		r.lives++
		r.mu.Unlock()
		if r.lives%25 == 0 {
			r.t.Log(r.progress())
		}
	}
	r.life.Store(int64(lives))
	r.settle(&scripts)
	cancel()
	scripts.Wait()
	observer.Wait()
	for _, s := range plan.Scripts {
		r.history.Deployments = append(r.history.Deployments, s.Deployments...)
	}
	r.collect()
	return torture.Check(&r.history)
}

// live starts the process and ends it as the plan says.
func (r *rack) live(l torture.Life) {
	var environment []string
	if l.End == torture.Suicide {
		environment = append(environment, fmt.Sprintf("ASSAY_KILL_AT=%s:%d", l.Step, l.Nth))
	}
	busy := r.waiting.Load() > 0
	began := time.Now()
	if err := r.a.launch(environment...); err != nil {
		r.t.Fatal(err)
	}
	exited := r.a.exited
	var measuring sync.WaitGroup
	measuring.Go(func() { r.measure(began, exited) })
	defer measuring.Wait()

	byItself := r.ended(l.After)
	switch {
	case byItself && l.End != torture.Suicide:
		r.fault("life %d: the process ended by itself: %v\n%s", r.lives, r.a.cmd.ProcessState, r.a.logTail(20))
		return
	case byItself:
		if status, ok := r.a.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
			r.fault("life %d: the process ended with %v before step %q\n%s", r.lives, r.a.cmd.ProcessState, l.Step, r.a.logTail(20))
		} else if l.Step == "folded" && l.Nth == 1 && busy {
			r.times.add(&r.times.folding, time.Since(began))
		}
	case l.End == torture.Stopped:
		r.terminate()
		return
	case l.End == torture.Suspended:
		_ = r.a.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(l.Pause)
		_ = r.a.cmd.Process.Signal(syscall.SIGCONT)
		time.Sleep(50 * time.Millisecond)
	}
	r.a.kill()
	r.history.Kills++
}

// ended waits so long for the process to end by itself.
func (r *rack) ended(within time.Duration) bool {
	select {
	case <-r.a.exited:
		return true
	case <-time.After(within):
		return false
	}
}

// terminate stops the process as an operator does: it goes within ten seconds with
// code 0, or by the signal itself where that came before the program could listen
// for it.
func (r *rack) terminate() {
	began := time.Now()
	_ = r.a.cmd.Process.Signal(syscall.SIGTERM)
	if !r.ended(10 * time.Second) {
		r.fault("life %d: the process runs on 10 s after SIGTERM\n%s", r.lives, r.a.logTail(20))
		r.a.kill()
		return
	}
	status, _ := r.a.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if r.a.cmd.ProcessState.ExitCode() != 0 && status.Signal() != syscall.SIGTERM {
		r.fault("life %d: the process ended with %v, %v after SIGTERM\n%s", r.lives, r.a.cmd.ProcessState, time.Since(began), r.a.logTail(20))
	}
	r.a.cmd = nil
}

// measure notes when the process answered and when it was ready.
func (r *rack) measure(began time.Time, exited <-chan struct{}) {
	healthy := false
	for {
		select {
		case <-exited:
			return
		case <-time.After(5 * time.Millisecond):
		}
		if !healthy && r.a.answers("/-/healthy") == nil {
			healthy = true
			r.times.add(&r.times.healthy, time.Since(began))
		}
		if healthy && r.a.answers("/-/ready") == nil {
			r.times.add(&r.times.ready, time.Since(began))
			return
		}
	}
}

func (t *times) add(to *[]time.Duration, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*to = append(*to, took)
}

// settle is the life in which what was begun comes to its end. What does not is a
// fault.
func (r *rack) settle(scripts *sync.WaitGroup) {
	if err := r.a.launch(); err != nil {
		r.t.Fatal(err)
	}
	limit := time.After(r.config.patience)
	over := make(chan struct{})
	go func() { scripts.Wait(); close(over) }()
	select {
	case <-over:
	case <-r.a.exited:
		r.fault("the process ended by itself: %v\n%s", r.a.cmd.ProcessState, r.a.logTail(20))
		return
	case <-limit:
		r.fault("not all that was begun came to an end within %v", r.config.patience)
	}
	for until := time.Now().Add(r.config.patience / 6); ; time.Sleep(50 * time.Millisecond) {
		err := r.atRest()
		if err == nil {
			break
		}
		if time.Now().After(until) {
			r.fault("work is left: %v", err)
			break
		}
	}
	r.show()
	r.terminate()
}

// atRest says what is left to do.
func (r *rack) atRest() error {
	code, body, err := r.a.ask(http.MethodGet, "/v1/status", nil, nil)
	var s status
	if err == nil && code == http.StatusOK {
		err = json.Unmarshal(body, &s)
	}
	var events struct{ Partitions []struct{ Next, End int64 } }
	for _, p := range s.Parts {
		if p.Name == "kafka" {
			err = errors.Join(err, json.Unmarshal(p.Detail, &events))
		}
	}
	switch {
	case err != nil:
		return err
	case code != http.StatusOK:
		return fmt.Errorf("status answers %d", code)
	case s.OpenValidations > 0 || len(s.Outbox) > 0:
		return fmt.Errorf("%d open validations, outbox %v", s.OpenValidations, s.Outbox)
	case len(events.Partitions) == 0:
		return errors.New("no partition is read")
	}
	for _, p := range events.Partitions {
		if p.Next != p.End {
			return fmt.Errorf("partitions are read up to %v", events.Partitions)
		}
	}
	return nil
}

func (r *rack) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history.Faults = append(r.history.Faults, fmt.Sprintf(format, args...))
}

func (r *rack) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%v: %d lives, %d kills, %d events acknowledged, %d verdicts read", time.Since(r.began).Round(time.Second), r.lives, r.history.Kills, len(r.history.Promises), len(r.finals))
}

func (r *rack) summary() string {
	h := &r.history
	words, attempts := map[string]int{}, map[analysis.ValidationID]int{}
	for _, v := range h.Store.Validations {
		words[v.Word]++
	}
	repeated := 0
	for _, record := range h.Topic {
		if attempts[record.Validation]++; attempts[record.Validation] > 1 {
			repeated++
		}
	}
	return strings.Join([]string{
		fmt.Sprintf("seed %d: %d kills in %d lives and %v", r.config.seed, h.Kills, r.lives, time.Since(r.began).Round(time.Second)),
		fmt.Sprintf("%d promises kept; inbox %d, dead letters %d; %d validations %v; %d records on the topic, %d of them repeats; %d bundles judged again",
			len(h.Promises), len(h.Store.Inbox), len(h.Store.DeadLetters), len(h.Store.Validations), words, len(h.Topic), repeated, len(r.checked)),
		"from the start of the process to its first answer " + spread(r.times.healthy) + ", to readiness " + spread(r.times.ready) + ", to the first fold where one was due " + spread(r.times.folding),
	}, "\n")
}

func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "(never)"
	}
	slices.Sort(all)
	at := func(share float64) time.Duration {
		return all[min(len(all)-1, int(share*float64(len(all))))].Round(time.Millisecond)
	}
	return fmt.Sprintf("median %v, p99 %v, max %v (n %d)", at(0.5), at(0.99), all[len(all)-1].Round(time.Millisecond), len(all))
}

// torturePolicies hold the services of the fleet to 99.5 %.
const torturePolicies = `
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability}
spec:
  service: any
  indicator:
    metadata: {name: errors}
    spec:
      ratioMetric:
        counter: true
        bad:   {metricSource: {type: Prometheus, spec: {query: 'http_requests_total{code=~"5.."}'}}}
        total: {metricSource: {type: Prometheus, spec: {query: http_requests_total}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.995}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: usual}
spec:
  match: {service: "*"}
  window: {minBake: 3m, deadline: 20m}
  objectives: [{sloRef: availability, role: critical}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: fresh}
spec:
  match: {service: "fresh-*"}
  window: {warmup: 0s, minBake: 10s, deadline: 3m}
  objectives: [{sloRef: availability, role: critical}]
---
apiVersion: assay.dev/v1alpha1
kind: ReleaseValidation
metadata: {name: quiet}
spec:
  match: {service: "quiet-*"}
  window: {minBake: 10m, deadline: 6h, onUnderpowered: wait}
  objectives: [{sloRef: availability, role: critical}]
`
