package otlp

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// The limits of what is told of a metric. It is for a person who looks for a name.
const (
	namesTold  = 1000 // of attributes
	valuesTold = 10   // of one attribute
	nearTold   = 8    // names of metrics that are offered instead
)

// Metric returns what the points of a metric in (from, to] are known to be: counter
// and histogram, as pick counts them, else gauge, which a sum that may fall is taken
// for. Near are the names of everything that is held.
func (s *Source) Metric(ctx context.Context, name string, from, to time.Time) (sources.Metric, error) {
	types, labels, resource := map[string]bool{}, map[string]bool{}, map[string]bool{}
	err := s.each(ctx, "metric", nil, func(w *window, _ []string) {
		for _, series := range w.byMetric[name] {
			if !series.sentIn(from, to) {
				continue
			}
			types[series.typeName()] = true
			for _, a := range series.attributes {
				note(labels, a.name, namesTold)
			}
			for attribute := range w.attributes {
				note(resource, attribute, namesTold)
			}
		}
	})
	if err != nil {
		return sources.Metric{}, err
	}
	if len(types) == 0 {
		near, err := s.near(ctx, name)
		return sources.Metric{Near: near}, err
	}
	m := sources.Metric{Labels: slices.Sorted(maps.Keys(labels)), Resource: slices.Sorted(maps.Keys(resource))}
	if len(types) == 1 {
		for m.Type = range types {
		}
	}
	return m, nil
}

// Values returns up to ten values that an attribute of data points has on a metric in
// (from, to].
func (s *Source) Values(ctx context.Context, metric, attribute string, from, to time.Time) ([]string, error) {
	values := map[string]bool{}
	err := s.each(ctx, "values", nil, func(w *window, _ []string) {
		for _, series := range w.byMetric[metric] {
			if value := series.attribute(attribute); value != "" && series.sentIn(from, to) {
				note(values, value, namesTold)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	sorted := slices.Sorted(maps.Keys(values))
	return sorted[:min(len(sorted), valuesTold)], nil
}

// Tracks reports whether Track named the signal, so that it has a history beyond
// Config.Retention.
func (s *Source) Tracks(signal analysis.Signal) bool {
	sel, err := compile(signal)
	return err == nil && s.tracked.Load().selections[sel.key] != nil
}

// near returns the names of held metrics that come nearest to one that is not there.
func (s *Source) near(ctx context.Context, name string) ([]string, error) {
	held := map[string]bool{}
	err := s.each(ctx, "metric", nil, func(w *window, _ []string) {
		for metric := range w.byMetric {
			held[metric] = true
		}
	})
	if err != nil {
		return nil, err
	}
	delete(held, name) // held, but silent
	names := slices.Sorted(maps.Keys(held))
	sources.Nearest(name, names)
	return names[:min(len(names), nearTold)], nil
}

// sentIn reports whether the series has a sample in (from, to].
func (s *series) sentIn(from, to time.Time) bool {
	n := s.until(to.UnixNano())
	return n > 0 && s.samples[n-1].t > from.UnixNano()
}

// typeName is what people call the kind of metric that the series is of.
func (s *series) typeName() string {
	switch {
	case s.kind == level || s.kind == change:
		return "gauge"
	case s.field == analysis.FieldValue:
		return "counter"
	}
	return "histogram"
}

// note adds a word to a set that holds no more than limit.
func note(words map[string]bool, word string, limit int) {
	if len(words) < limit {
		words[word] = true
	}
}
