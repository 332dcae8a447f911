package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/sources"
)

// ofStreams reports whether a signal is read from log lines or spans: it has no metric
// that could be missing.
func ofStreams(s analysis.Signal) bool { return s.Logs != nil || s.Spans != nil }

// A queriedSource is one that is asked directly and has no metrics: of logs.
type queriedSource struct{ sources.LineSampler }

func (s queriedSource) Label(attribute string) string {
	if l, ok := s.LineSampler.(interface{ Label(string) string }); ok {
		return l.Label(attribute)
	}
	return attribute
}

func (s queriedSource) Lag() time.Duration {
	if l, ok := s.LineSampler.(interface{ Lag() time.Duration }); ok {
		return l.Lag()
	}
	return 0
}

func (s queriedSource) HistoryStep(cadence time.Duration) time.Duration {
	return gather.HistoryStep(s.LineSampler, cadence)
}

func (s queriedSource) Past(ctx context.Context, q analysis.HistoryQuery) ([]analysis.MinuteSum, bool, error) {
	sums, err := s.History(ctx, q)
	return sums, true, err
}

func (s queriedSource) Metric(context.Context, string, time.Time, time.Time) (sources.Metric, error) {
	return sources.Metric{}, nil
}

func (s queriedSource) Values(context.Context, string, string, time.Time, time.Time) ([]string, error) {
	return nil, nil
}

func (s queriedSource) Probe(ctx context.Context) error {
	if p, ok := s.LineSampler.(interface{ Probe(context.Context) error }); ok {
		return p.Probe(ctx)
	}
	return nil
}

// alone is a log signal without its requests, and these.
func alone(s analysis.Signal) (events analysis.Signal, requests *analysis.Signal) {
	if s.Logs == nil || s.Logs.Requests == nil {
		return s, nil
	}
	logs := *s.Logs
	requests, logs.Requests = logs.Requests, nil
	s.Logs = &logs
	return s, requests
}

// counts is who is asked for the requests that log lines are held against.
func (r rehearsedPast) counts(requests *analysis.Signal) (asked, error) {
	if other := r.others[requests.Source]; other != nil {
		return other, nil
	}
	return nil, &sources.Error{Kind: sources.Rejected, Source: requests.Source, Op: "history", Err: fmt.Errorf("nobody can be asked for the requests that log lines are held against")}
}

// Spacing implements validation.Past: of log lines that of the slower of both.
func (r rehearsedPast) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	var requests *analysis.Signal
	if q.Signal, requests = alone(q.Signal); requests == nil {
		return r.asked.Spacing(ctx, q)
	}
	other, err := r.counts(requests)
	if err != nil {
		return 0, err
	}
	of := q
	of.Signal = *requests
	counted, err := other.Spacing(ctx, of)
	if err != nil || counted == 0 {
		return 0, err
	}
	written, err := r.asked.Spacing(ctx, q)
	return max(counted, written), err
}

// History implements validation.Past, joined with the requests of log lines.
func (r rehearsedPast) History(ctx context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, err error) {
	logs := q.Signal.Logs
	var requests *analysis.Signal
	if q.Signal, requests = alone(q.Signal); requests == nil {
		sums, *r.kept, err = r.Past(ctx, q)
		return sums, err
	}
	other, err := r.counts(requests)
	if err != nil {
		return nil, err
	}
	of := q
	of.Signal = *requests
	counted, keptCounts, err := other.Past(ctx, of)
	if err != nil {
		return nil, err
	}
	written, kept, err := r.Past(ctx, q)
	*r.kept = kept && keptCounts
	return gather.JoinSums(logs, written, counted), err
}

// stream asks what there is of log lines or spans.
func (o *checkedObjective) stream(ctx context.Context, server asked, now time.Time) (f partFacts) {
	signal, _ := alone(o.objective.Signal)
	q := analysis.SeenQuery{Signal: signal, From: now.Add(-checkSpan), To: now}
	if !strings.ContainsAny(o.service, "*?") {
		q.Service = o.service
	}
	f.seen, f.err = server.Seen(ctx, q)
	if f.err == nil && len(f.seen) == 0 && q.Service != "" {
		q.Service = ""
		f.seen, f.err = server.Seen(ctx, q)
	}
	f.all = q.Service == ""
	return f
}

// judgeStream says what is wrong with log lines or spans. That there are none is no
// error: they decide nothing alone.
func (o *checkedObjective) judgeStream(add adder) {
	what := "log lines"
	if o.objective.Signal.Spans != nil {
		what = "spans"
	}
	switch f := o.facts.total; {
	case f.err != nil:
		o.judgeRefusal(add, f, o.written.Total)
	case len(f.seen) == 0:
		add(levelWarning, o.written.Total, "source %s heard of no %s in the last hour: nothing would be said about them", o.objective.Signal.Source, what)
	}
}
