package main

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/instrument"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/verdicts"
)

// concluded counts a final verdict, once it is written.
func (s *server) concluded(v verdicts.Verdict) {
	if v.Mode == analysis.Live || v.Mode == "" {
		s.metrics.Final(measured(v))
		for _, m := range s.mirrors {
			m.Put(v)
		}
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

// measured is what the metrics keep of a final verdict.
func measured(v verdicts.Verdict) instrument.Verdict {
	m := instrument.Verdict{Environment: v.Environment, Namespace: v.Namespace, Service: v.Service, Word: v.Verdict.String(), Reason: string(v.ReasonCode)}
	if v.IssuedAt != nil {
		m.IssuedAt = *v.IssuedAt
	}
	compared := slices.ContainsFunc(v.Findings, func(f analysis.Finding) bool { return f.N.Folds > 0 })
	if v.IssuedAt != nil && v.StartedAt != nil && compared {
		m.Took = v.IssuedAt.Sub(*v.StartedAt)
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
	for source := range s.table {
		s.metrics.ExpectAsked(source, "rows", "ok", sources.Unavailable.String(), sources.Rejected.String(), sources.Malformed.String())
	}
	parts := instrument.Parts{Stored: s.stored, Backends: func() instrument.Backends {
		g := s.gather.Stats()
		b := instrument.Backends{Unmerged: g.Unmerged, Issued: g.Issued, Shared: g.Shared, Each: map[string]instrument.Backend{}}
		for name, f := range g.Sources {
			b.Each[name] = instrument.Backend{UnderWay: f.UnderWay, Waiting: f.Waiting, Limit: f.Limit, Open: f.Open, Refused: f.Refused}
		}
		return b
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
			m.Streams = map[string]instrument.OTLPStream{"spans": streamed(o.Spans), "logs": streamed(o.Lines)}
			m.Topics = s.topicCounts()
			return m
		}
	}
	s.metrics.Watch(parts)
}

// streamed is what the metrics tell of spans or log records.
func streamed(t otlp.Taken) instrument.OTLPStream {
	out := instrument.OTLPStream{Accepted: t.Accepted, Dropped: map[string]uint64{}, Bytes: t.Bytes}
	for reason, n := range t.Dropped {
		out.Dropped[string(reason)] = n
	}
	return out
}

// asked measures a question to a source.
func (s *server) asked(source, op string) func(error) {
	began := time.Now()
	return func(err error) {
		code := "ok"
		if err != nil {
			code = sources.KindOf(err).String()
		}
		s.metrics.Asked(source, op, code, time.Since(began))
	}
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
	if s.letters != nil {
		m.Outbox[s.letters.Name()] = instrument.Waiting{}
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
	for _, reason := range intake.Reasons {
		counts[string(reason)] = 0
	}
	return counts
}
