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
		Policy: policyOf(policies, c.BuiltIn.Source), Message: s.messages, Concluded: s.concluded, Passed: killAt(),
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
				errs = append(errs, o.Track(trackedSignals(policies, name)))
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

// concluded counts a final verdict, once it is written.
func (s *server) concluded(v verdicts.Verdict) {
	if v.Mode == analysis.Live || v.Mode == "" {
		s.metrics.Final(measured(v))
	}
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
			s.metrics.Newest(measured(v))
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

// measured is what the metrics keep of a final verdict.
func measured(v verdicts.Verdict) instrument.Verdict {
	m := instrument.Verdict{Environment: v.Environment, Namespace: v.Namespace, Service: v.Service, Word: v.Verdict.String(), Reason: string(v.ReasonCode)}
	if v.IssuedAt != nil {
		m.IssuedAt = *v.IssuedAt
	}
	if v.AsOf != nil && v.StartedAt != nil {
		m.Took = v.AsOf.Sub(*v.StartedAt)
	}
	return m
}

// watch serves what the parts count themselves, and lets every reason count from 0.
func (s *server) watch() {
	for _, reason := range verdicts.Reasons {
		for _, word := range []verdicts.Word{verdicts.Promote, verdicts.Rollback, verdicts.Hold} {
			if reason.With.Has(word.As()) {
				s.metrics.Expect(word.String(), string(reason.Code))
			}
		}
	}
	s.metrics.ExpectErrors("line", "publish")
	parts := instrument.Parts{Stored: s.stored, Backends: func() instrument.Backends {
		g := s.gather.Stats()
		return instrument.Backends{Unmerged: g.Unmerged, Issued: g.Issued, Cached: g.Cached}
	}}
	if len(s.kafka.Brokers) > 0 {
		parts.Intake = s.taken
	}
	if s.otlp != nil {
		parts.OTLP = func() instrument.OTLP {
			o := s.otlp.Stats()
			m := instrument.OTLP{Requests: o.Requests, Accepted: o.Accepted, Dropped: map[string]uint64{}, Services: o.Services, Resources: o.Resources, Series: o.Series}
			for reason, n := range o.Dropped {
				m.Dropped[string(reason)] = n
			}
			return m
		}
	}
	s.metrics.Watch(parts)
}

// taken is what intake from Kafka counts.
func (s *server) taken() instrument.Intake {
	in := s.intake.Snapshot(s.now())
	m := instrument.Intake{
		State: string(in.State), States: []string{string(intake.Starting), string(intake.OK), string(intake.Down), string(intake.AuthFailed)},
		Events:      map[string]int64{"accepted": in.Counts.Accepted, "duplicate": in.Counts.Duplicates, "conflict": in.Counts.Conflicts, "ignored": in.Counts.Ignored},
		DeadLetters: letters(), Topic: in.Topic, LastFetch: in.LastFetch,
		LostRecords: in.Counts.Gaps, FencedBatches: in.Counts.Fenced, Rejoins: in.Counts.Rejoined,
	}
	for reason, n := range in.Counts.Rejected {
		m.Events["rejected"] += n
		m.DeadLetters[string(reason)] += n
	}
	m.DeadLetters[string(intake.Conflict)] += in.Counts.Conflicts
	for _, p := range in.Partitions {
		m.Partitions = append(m.Partitions, instrument.Partition{Partition: p.Partition, Lag: p.Lag, Stopped: p.Stopped})
	}
	return m
}

// stored is what waits in the store.
func (s *server) stored(ctx context.Context) (instrument.Stored, error) {
	m := instrument.Stored{Outbox: map[string]instrument.Waiting{}, DeadLetters: letters()}
	for _, sink := range s.sinks {
		m.Outbox[sink.Name()] = instrument.Waiting{}
	}
	pending, err := s.store.CountOutbox(ctx)
	if err != nil {
		return m, err
	}
	for sink, n := range pending {
		oldest, err := s.store.PendingOutbox(ctx, sink, 1)
		if err != nil {
			return m, err
		}
		waiting := instrument.Waiting{Messages: n}
		if len(oldest) > 0 {
			waiting.Since = oldest[0].CreatedAt
		}
		m.Outbox[sink] = waiting
	}
	kept, err := s.store.CountDeadLetters(ctx)
	for reason, n := range kept {
		m.DeadLetters[reason] = n
	}
	return m, err
}

// letters is a count of 0 for each reason of dead letters.
func letters() map[string]int64 {
	counts := map[string]int64{}
	for _, reason := range []intake.Reason{
		intake.Malformed, intake.Schema, intake.UnsupportedSchema, intake.Conflict, intake.Orphan,
		intake.Unauthorised, intake.Quarantined, intake.TooLarge, intake.Poison,
	} {
		counts[string(reason)] = 0
	}
	return counts
}
