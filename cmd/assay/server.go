package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/release-assay/assay/analysis"
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
	"github.com/release-assay/assay/sources/prometheus"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/topic"
)

// server is one Assay process: everything that serve wires, and demo drives with
// the lab's clock instead of its own.
type server struct {
	config  config.Config
	log     *slog.Logger
	now     func() time.Time // of intake: when an event was received
	store   *store.Store
	broker  *kafka.Embedded // nil: external
	otlp    *otlp.Source    // nil: not listening
	table   map[string]sources.Source
	gather  *gather.Gatherer
	kafka   kafka.Config // the brokers in use; none: events over HTTP only
	sinks   []*topic.Sink
	publish *validation.Publisher
	intake  *intake.Status
	metrics *instrument.Metrics
	started time.Time

	// syncWrites makes the embedded broker's records durable one by one.
	syncWrites bool

	mu     sync.Mutex // guards runner, whose methods must not overlap
	runner *validation.Runner
}

// openServer opens what the process needs. Brokers and servers that do not answer
// are no reason to fail: status says which part is down.
func openServer(ctx context.Context, c config.Config, log *slog.Logger, now func() time.Time, options ...func(*server)) (s *server, err error) {
	s = &server{config: c, log: log, now: now, started: now(), metrics: instrument.New(version), intake: &intake.Status{}, syncWrites: true}
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
	if err := os.MkdirAll(c.DataDir, 0o755); err != nil {
		return s, usage(fmt.Errorf("data directory: %w (--data-dir names another)", err))
	}
	if s.store, err = store.Open(ctx, databasePath(c), now()); err != nil {
		return s, internal(err)
	}
	if err := s.openKafka(ctx); err != nil {
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
	s.gather = gather.New(table, gather.Options{})
	s.runner, err = validation.Open(ctx, validation.Config{
		Store: s.store, Gatherer: s.gather, Dir: c.DataDir, Log: log, Engine: "assay " + version,
		Policy: policyOf(policies, c.BuiltIn.Source), Message: s.messages, Passed: killAt(),
	})
	if err != nil {
		return s, internal(err)
	}
	return s, s.restoreMetrics(ctx)
}

func databasePath(c config.Config) string {
	if filepath.IsAbs(c.Store.Path) {
		return c.Store.Path
	}
	return filepath.Join(c.DataDir, c.Store.Path)
}

// policyOf offers, where no policy matches, the built-in signals as candidates.
func policyOf(p config.Policies, source string) func(analysis.Release, string) validation.Policy {
	return func(release analysis.Release, ref string) validation.Policy {
		policy, matched := p.For(release, ref)
		if matched {
			return validation.Policy{Policy: policy}
		}
		if !policy.BuiltIn {
			return validation.Policy{Policy: policy} // the event asks for a policy that is not there
		}
		candidate := policy.Objectives[0]
		policy.Objectives = nil
		for _, signal := range config.BuiltinSignals(source) {
			o := candidate
			o.Name, o.Signal = signal.Name, signal
			policy.Objectives = append(policy.Objectives, o)
		}
		return validation.Policy{Policy: policy, Candidates: true}
	}
}

// killAt returns the hook that ends the process, as SIGKILL does, after the named
// step of the line: ASSAY_KILL_AT=spooled. The crash tests use it; it costs nothing
// otherwise.
func killAt() func(string) {
	at := os.Getenv("ASSAY_KILL_AT")
	if at == "" {
		return nil
	}
	return func(step string) {
		if step == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
}

// openSources is the table of sources.
func (s *server) openSources(policies config.Policies) (map[string]sources.Source, error) {
	table := map[string]sources.Source{}
	var errs []error
	for name, source := range s.config.Sources {
		switch source.Kind {
		case config.KindOTLP:
			c := otlp.DefaultConfig()
			errs = append(errs, source.Decode(&c))
			c.Name, c.GRPC, c.HTTP = name, listen(s.config.Listeners.OTLP.GRPC), listen(s.config.Listeners.OTLP.HTTP)
			o, err := otlp.New(c)
			errs = append(errs, err)
			if err == nil {
				o.Track(trackedSignals(policies, name))
				s.otlp, table[name] = o, o
			}
		case config.KindPrometheus:
			c := prometheus.DefaultConfig()
			errs = append(errs, source.Decode(&c))
			p, err := prometheus.Open(name, c)
			errs = append(errs, err)
			if err == nil {
				table[name] = p
			}
		default:
			errs = append(errs, fmt.Errorf("source %q: type %q has no adapter", name, source.Kind))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, usage(err)
	}
	return table, nil
}

// trackedSignals are those of which a source keeps history: all that a loaded
// objective names, and the built-in ones.
func trackedSignals(p config.Policies, source string) []analysis.Signal {
	signals := config.BuiltinSignals(source)
	for _, policy := range p.All() {
		for _, o := range policy.Objectives {
			if o.Signal.Source == source {
				signals = append(signals, o.Signal)
			}
		}
	}
	return signals
}

func listen(address string) string {
	if address == config.Off {
		return ""
	}
	return address
}

// messages are the outbox rows of a final verdict: one for each sink.
func (s *server) messages(v verdicts.Verdict, body []byte, d analysis.Deployment) ([]store.OutboxMessage, error) {
	took := time.Duration(0)
	if v.AsOf != nil && v.StartedAt != nil {
		took = v.AsOf.Sub(*v.StartedAt)
	}
	s.metrics.Final(v.Environment, v.Namespace, v.Service, v.Verdict.String(), string(v.ReasonCode), took)
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

// restoreMetrics shows the newest verdict of each service after a restart.
func (s *server) restoreMetrics(ctx context.Context) error {
	rows, err := s.store.Validations(ctx, store.Filter{Phase: store.PhaseFinal, Limit: 1000})
	if err != nil {
		return internal(err)
	}
	for i := len(rows) - 1; i >= 0; i-- { // oldest first, the newest stays
		var v verdicts.Verdict
		if json.Unmarshal(rows[i].Latest, &v) == nil && v.Mode == analysis.Live {
			s.metrics.Newest(v.Environment, v.Namespace, v.Service, v.Verdict.String(), string(v.ReasonCode))
		}
	}
	return nil
}

// advance brings the line to now.
func (s *server) advance(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	err := s.runner.Advance(ctx, now)
	s.metrics.Advanced(time.Since(began), s.runner.OpenCount())
	if err != nil {
		s.metrics.Failed("line")
	}
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
		Store: s.store, Accept: s.accept, Cancel: s.cancel, Bundles: s.runner.Bundles(),
		Ready: s.ready, Status: func(ctx context.Context) any { return s.status(ctx) }, Metrics: s.metrics.Handler(),
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
	return usage(fmt.Errorf("cannot listen on %s (%s): %w", address, flag, err))
}

// unsynced is an option for the demo: its broker need not survive the machine.
func unsynced(s *server) { s.syncWrites = false }

// sourceState asks a source something small and says how it answers.
func (s *server) sourceState(ctx context.Context, name string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	prober, ok := s.table[name].(interface{ Probe(context.Context) error })
	if !ok {
		return "not probed"
	}
	if err := prober.Probe(ctx); err != nil {
		return "down: " + verdicts.Line(err.Error())
	}
	return "ok"
}

func (s *server) close() {
	if s.runner != nil {
		s.runner.Close()
	}
	s.closeKafka()
	if s.store != nil {
		if err := s.store.Close(); err != nil {
			s.log.Error("close the store", "error", err)
		}
	}
}
