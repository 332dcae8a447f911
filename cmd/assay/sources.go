package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/prometheus"
)

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
			if err := source.Decode(&c); err != nil {
				errs = append(errs, err)
				continue
			}
			c.Now = s.now // its clock is held against the one that we work by
			p, err := prometheus.Open(name, c)
			errs = append(errs, source.Fault(err))
			if err == nil {
				table[name] = p
			}
		case config.KindLoki:
			l, err := openLoki(source)
			errs = append(errs, err)
			if err == nil {
				table[name] = l
			}
		case config.KindJaeger, config.KindTempo: // they show whole traces: openExemplars
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

// listenOTLP opens the receivers' addresses before anything is started.
func (s *server) listenOTLP(ctx context.Context) error {
	if s.otlp == nil {
		return nil
	}
	err := s.otlp.Listen(ctx)
	var taken *otlp.ListenError
	if errors.As(err, &taken) {
		return flagError(err, taken.Address, "--otlp-"+taken.Protocol)
	}
	return err
}

// receive serves OTLP until ctx ends.
func (s *server) receive(ctx context.Context) error {
	if s.otlp == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	if err := s.otlp.Run(ctx); err != nil {
		return internal(err)
	}
	return ctx.Err()
}
