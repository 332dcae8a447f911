package main

import (
	"context"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
)

// pushed are the sources that this server alone can answer for.
func (s *server) pushed() map[string]httpapi.Pushed {
	out := map[string]httpapi.Pushed{}
	for name, source := range s.table {
		if o, is := source.(*otlp.Source); is {
			out[name] = pushedAnswer{name, o, s.gather}
		}
	}
	return out
}

// A pushedAnswer lets others ask what was pushed to this server, one question at a
// time as plans do: folds go first.
type pushedAnswer struct {
	name   string
	source *otlp.Source
	gather *gather.Gatherer
}

func (p pushedAnswer) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	return gather.Inquire(ctx, p.gather, p.name, "seen", func(s sources.Source) ([]analysis.Seen, error) { return s.Seen(ctx, q) })
}

func (p pushedAnswer) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	return gather.Inquire(ctx, p.gather, p.name, "spacing", func(s sources.Source) (time.Duration, error) { return s.Spacing(ctx, q) })
}

func (p pushedAnswer) History(ctx context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, kept bool, err error) {
	sums, err = gather.Inquire(ctx, p.gather, p.name, "history", func(s sources.Source) ([]analysis.MinuteSum, error) { return s.History(ctx, q) })
	return sums, p.source.Tracks(q.Signal), err
}

func (p pushedAnswer) Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error) {
	return gather.Inquire(ctx, p.gather, p.name, "distribution", func(s sources.Source) (analysis.Histogram, error) { return s.Distribution(ctx, q) })
}

func (p pushedAnswer) Metric(ctx context.Context, name string, from, to time.Time) (sources.Metric, error) {
	return gather.Inquire(ctx, p.gather, p.name, "metric", func(sources.Source) (sources.Metric, error) { return p.source.Metric(ctx, name, from, to) })
}

func (p pushedAnswer) Values(ctx context.Context, metric, label string, from, to time.Time) ([]string, error) {
	return gather.Inquire(ctx, p.gather, p.name, "values", func(sources.Source) ([]string, error) { return p.source.Values(ctx, metric, label, from, to) })
}
