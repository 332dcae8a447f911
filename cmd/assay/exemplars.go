package main

import (
	"context"
	"errors"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/redact"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/jaeger"
	"github.com/release-assay/assay/sources/tempo"
)

// An exemplarSource shows whole traces; it answers no question that is judged by.
type exemplarSource interface {
	sources.ExemplarSource
	Probe(ctx context.Context) error
	Close() error
}

// openExemplars is the table of sources of whole traces. What they show is redacted.
func openExemplars(configured config.Sources, r *redact.Redactor) (map[string]exemplarSource, error) {
	table := map[string]exemplarSource{}
	var errs []error
	for name, source := range configured {
		switch source.Kind {
		case config.KindJaeger:
			c := jaeger.DefaultConfig()
			if err := source.Decode(&c); err != nil {
				errs = append(errs, err)
				continue
			}
			c.Redactor = r
			j, err := jaeger.Open(name, c)
			errs = append(errs, source.Fault(err))
			if err == nil {
				table[name] = j
			}
		case config.KindTempo:
			c := tempo.DefaultConfig()
			if err := source.Decode(&c); err != nil {
				errs = append(errs, err)
				continue
			}
			c.Redactor = r
			t, err := tempo.Open(name, c)
			errs = append(errs, source.Fault(err))
			if err == nil {
				table[name] = t
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, usage(err)
	}
	return table, nil
}

// exemplarTable is who is asked for whole traces: the configured servers, and what is
// pushed.
func (s *server) exemplarTable() map[string]sources.ExemplarSource {
	out := make(map[string]sources.ExemplarSource, len(s.exemplars)+1)
	for name, source := range s.exemplars {
		out[name] = source
	}
	if s.otlp != nil {
		out[config.OTLPSource] = s.otlp
	}
	return out
}
