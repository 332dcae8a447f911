package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/verdicts/lokimirror"
)

// mirrorPatience is how long the end of the process waits for lines that are on their
// way to Loki. What has not arrived by then is lost: it is in the store.
const mirrorPatience = 3 * time.Second

// openLoki opens a source of type loki.
func openLoki(source config.Source) (*loki.Source, error) {
	c := loki.DefaultConfig()
	if err := source.Decode(&c); err != nil {
		return nil, err
	}
	l, err := loki.Open(source.Name, c)
	return l, source.Fault(err)
}

// openMirrors opens the sinks of type loki. They are no part of the outbox: what they
// lose is missing from a dashboard and nowhere else.
func (s *server) openMirrors() error {
	for _, sink := range s.config.Sinks {
		if sink.Type != config.SinkLoki {
			continue
		}
		c := lokimirror.DefaultConfig()
		if err := sink.Decode(&c); err != nil {
			return usage(err)
		}
		c.Log, c.Lost = s.log, func() { s.metrics.Failed("mirror") }
		m, err := lokimirror.Open(c)
		if err != nil {
			return usage(sink.Fault(err))
		}
		s.mirrors = append(s.mirrors, m)
	}
	if len(s.mirrors) > 0 {
		s.metrics.ExpectErrors("mirror")
	}
	return nil
}

// mirror writes lines about verdicts to Loki until ctx ends, and for a little while after.
func (s *server) mirror(ctx context.Context) error {
	var pumps sync.WaitGroup
	for _, m := range s.mirrors {
		pumps.Go(func() {
			if err := m.Pump(); err != nil {
				s.log.Error("verdicts are not mirrored", "error", err)
			}
		})
	}
	<-ctx.Done()
	for _, m := range s.mirrors {
		m.Close()
	}
	done := make(chan struct{})
	go func() { pumps.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(mirrorPatience):
		s.log.Warn("lines about verdicts are left behind", "error", errors.New("the server did not take them in time"))
	}
	return ctx.Err()
}
