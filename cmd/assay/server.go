package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/backup"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/internal/instrument"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/internal/validation"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/lokimirror"
	"github.com/release-assay/assay/verdicts/topic"
)

// server is one Assay process: everything that serve wires, and demo drives with
// the lab's clock instead of its own.
type server struct {
	config    config.Config
	log       *slog.Logger
	now       func() time.Time // of intake: when an event was received
	clock     *steadyClock     // what now is when serving; nil: the lab's
	store     *store.Store
	broker    *kafka.Embedded // nil: external
	otlp      *otlp.Source    // nil: not listening
	table     map[string]sources.Source
	exemplars map[string]exemplarSource // of whole traces, beside what is pushed
	gather    *gather.Gatherer
	kafka     kafka.Config // the brokers in use; none: events over HTTP only
	sinks     []*topic.Sink
	mirrors   []*lokimirror.Mirror
	letters   *topic.Sink // the topic of dead letters; nil without Kafka
	publish   *validation.Publisher
	intake    *intake.Status
	topics    otlp.TopicsStatus // of telemetry
	metrics   *instrument.Metrics
	started   time.Time
	backingUp sync.Mutex // held while a backup is written
	// stopping is closed when serve begins to stop.
	stopping chan struct{}

	// syncWrites makes the embedded broker's records durable one by one.
	syncWrites bool

	mu     sync.Mutex // guards runner, whose methods must not overlap
	runner *validation.Runner
}

// openServer opens what the process needs. Brokers and servers that do not answer
// are no reason to fail: status says which part is down.
func openServer(ctx context.Context, c config.Config, log *slog.Logger, now func() time.Time, options ...func(*server)) (s *server, err error) {
	s = &server{config: c, log: log, now: now, started: now(), metrics: instrument.New(version), intake: &intake.Status{}, stopping: make(chan struct{}), syncWrites: true}
	for _, option := range options {
		option(s)
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	policies, err := c.LoadPolicies()
	if err != nil {
		return s, usage(err)
	}
	s.config.Sources = policies.Sources // those of DataSource objects too
	if err := os.MkdirAll(c.DataDir, 0o755); err != nil {
		return s, usage(fmt.Errorf("data directory: %w (--data-dir names another)", err))
	}
	if s.store, err = store.Open(ctx, databasePath(c), now()); err != nil {
		return s, internal(err)
	}
	if err := backup.Sweep(c.DataDir); err != nil {
		return s, internal(err)
	}
	if err := s.openKafka(ctx); err != nil {
		return s, err
	}
	if err := s.openMirrors(); err != nil {
		return s, err
	}
	table, err := s.openSources(policies)
	if err != nil {
		return s, err
	}
	if err := s.listenOTLP(ctx); err != nil {
		return s, err
	}
	s.table = table
	if s.exemplars, err = openExemplars(s.config.Sources, nil); err != nil {
		return s, err
	}
	s.gather = gather.New(table, gather.Options{Asked: s.asked, Exemplars: s.exemplarTable()})
	s.runner, err = validation.Open(ctx, validation.Config{
		Store: s.store, Gatherer: s.gather, Dir: c.DataDir, Log: log, Engine: "assay " + version,
		Policy: policyOf(policies), Message: s.messages, Concluded: s.concluded, Passed: killAt(),
	})
	if err != nil {
		return s, internal(err)
	}
	s.watch()
	return s, s.restoreMetrics(ctx)
}

func databasePath(c config.Config) string {
	if filepath.IsAbs(c.Store.Path) {
		return c.Store.Path
	}
	return filepath.Join(c.DataDir, c.Store.Path)
}

// policyOf finds the policy of a release. The objectives of the built-in plan are
// candidates.
func policyOf(p config.Policies) func(analysis.Release, string) validation.Policy {
	return func(release analysis.Release, ref string) validation.Policy {
		policy, _ := p.For(release, ref)
		return validation.Policy{Policy: policy, Candidates: policy.BuiltIn}
	}
}

// killAt returns the hook that ends the process, as SIGKILL does, after the named
// step of the line: ASSAY_KILL_AT=spooled, or spooled:3 for the third time. The crash
// tests use it; it costs nothing otherwise.
func killAt() func(string) {
	at, number, _ := strings.Cut(os.Getenv("ASSAY_KILL_AT"), ":")
	if at == "" {
		return nil
	}
	nth, _ := strconv.ParseInt(number, 10, 64) // none, or no number: the first time
	var times atomic.Int64
	return func(step string) {
		if step == at && times.Add(1) >= nth {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

// messages are the outbox rows of a final verdict: one for each sink.
func (s *server) messages(v verdicts.Verdict, body []byte, d analysis.Deployment) ([]store.OutboxMessage, error) {
	if len(s.sinks) == 0 {
		return nil, nil
	}
	m, err := topic.Build(v, d)
	if err != nil {
		return nil, err
	}
	var out []store.OutboxMessage
	for _, sink := range s.sinks {
		row := store.OutboxMessage{Sink: sink.Name(), Key: m.Key, MessageID: m.ID, ContentType: m.ContentType, Payload: m.Payload, CreatedAt: *v.IssuedAt}
		for _, h := range m.Headers {
			row.Headers = append(row.Headers, store.Header{Key: h.Key, Value: h.Value})
		}
		out = append(out, row)
	}
	return out, nil
}

// advance brings the line to now.
func (s *server) advance(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	err := s.runner.Advance(ctx, now)
	ended := time.Now()
	s.metrics.Advanced(ended, ended.Sub(began), s.runner.OpenCount(), err)
	return err
}

// deliver publishes what the outbox holds.
func (s *server) deliver(ctx context.Context, now time.Time) (int, error) {
	n, err := s.publish.Publish(ctx, now)
	if err != nil {
		s.metrics.Failed("publish")
	}
	return n, err
}

func (s *server) cancel(ctx context.Context, id analysis.ValidationID, by string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.runner.Cancel(ctx, id, by, s.now())
	if errors.Is(err, validation.ErrNotOpen) {
		return fmt.Errorf("%w: %w", httpapi.ErrNotOpen, err)
	}
	return err
}

// handler is the HTTP interface of the process.
func (s *server) handler() http.Handler {
	return httpapi.New(httpapi.Config{
		Store: s.store, Accept: s.accept, Cancel: s.cancel, Resume: s.resume, Replay: s.replay, Backup: s.backup, Blocked: s.blocked, Bundles: s.runner.Bundles(),
		Ready: s.ready, Status: func(ctx context.Context) any { return s.status(ctx) }, Metrics: s.metrics.Handler(), Stopping: s.stopping, Pushed: s.pushed(),
		Links: linksTo(s.config.Sources),
	})
}

// listenOn opens a listener; the error of a port that is taken names the flag.
func listenOn(address, flag string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, flagError(err, address, flag)
	}
	return l, nil
}

// flagError names the flag that changes an address which cannot be listened on.
func flagError(err error, address, flag string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return usage(fmt.Errorf("another program listens on %s: stop it, or choose another address with %s", address, flag))
	}
	var noAddress *net.AddrError
	if errors.As(err, &noAddress) {
		return usage(fmt.Errorf("%s %q is no address: write HOST:PORT", flag, address))
	}
	return usage(fmt.Errorf("cannot listen on %s (%s): %w", address, flag, err))
}

// unsynced is an option for the demo: its broker need not survive the machine.
func unsynced(s *server) { s.syncWrites = false }

func (s *server) close() {
	if s.runner != nil {
		s.runner.Close()
	}
	s.closeKafka()
	for name, source := range s.exemplars {
		if err := source.Close(); err != nil {
			s.log.Error("close a source of traces", "source", name, "error", err)
		}
	}
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("close the store", "error", err)
		}
	}
}
