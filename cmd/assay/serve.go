package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/internal/store"
)

const (
	advanceEvery  = time.Second
	advancePeriod = 900 * time.Millisecond // what a slow source has not answered by then is taken by the next advance
	publishEvery  = time.Second
	retainEvery   = time.Hour
	shutdownLimit = 8 * time.Second
)

func newServe(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Receive deployments and telemetry, and judge",
		Long: `Serve runs Assay. With no configuration at all everything is inside the process and on
loopback: an embedded Kafka broker for deployment events and verdicts, receivers for
OTLP metrics, and the HTTP interface. Releases without a policy are judged by the
built-in plan.`,
		Example: `  assay serve
  assay serve --config assay.yaml --policies ./policies
  assay serve --brokers kafka-1:9092,kafka-2:9092 --http 0.0.0.0:8080`,
		Args: exactArgs(0, "no arguments"),
	}
	f := c.Flags()
	file := f.String("config", "", "process file (docs/configuration.md)")
	policies := f.StringSlice("policies", nil, "policy files or directories, instead of those of the process file")
	dataDir := f.String("data-dir", "", "directory of the database, spools, bundles and the embedded broker (default assay-data)")
	httpAddr := f.String("http", "", "address of the HTTP interface (default 127.0.0.1:8080)")
	otlpGRPC := f.String("otlp-grpc", "", "address of the OTLP/gRPC receiver, or off (default 127.0.0.1:4317)")
	otlpHTTP := f.String("otlp-http", "", "address of the OTLP/HTTP receiver, or off (default 127.0.0.1:4318)")
	kafkaAddr := f.String("kafka", "", "address of the embedded Kafka broker (default 127.0.0.1:9092)")
	brokers := f.StringSlice("brokers", nil, "Kafka brokers to use instead of the embedded one")
	logFormat := f.String("log", "text", "form of the log on stderr: text or json")
	complete(c, "log", "text", "json")
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := config.Load(*file)
		if err != nil {
			return usage(err)
		}
		for _, o := range []struct {
			set  string
			into *string
		}{
			{*dataDir, &conf.DataDir},
			{*httpAddr, &conf.Listeners.HTTP},
			{*otlpGRPC, &conf.Listeners.OTLP.GRPC},
			{*otlpHTTP, &conf.Listeners.OTLP.HTTP},
			{*kafkaAddr, &conf.Listeners.Kafka},
		} {
			if o.set != "" {
				*o.into = o.set
			}
		}
		if len(*policies) > 0 {
			conf.Policies = *policies
		}
		if len(*brokers) > 0 {
			conf.Kafka.Brokers = *brokers
		}
		log, err := newLog(s, *logFormat)
		if err != nil {
			return err
		}
		return serve(c.Context(), conf, log)
	}
	return c
}

func newLog(s streams, format string) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(s.err, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(s.err, nil)), nil
	}
	return nil, usage(fmt.Errorf("--log must be text or json, not %q", format))
}

// serve runs the process until ctx ends.
func serve(ctx context.Context, conf config.Config, log *slog.Logger) error {
	listener, err := listenOn(conf.Listeners.HTTP, "--http")
	if err != nil {
		return err
	}
	defer listener.Close()
	clock := newSteadyClock(log)
	s, err := openServer(ctx, conf, log, clock.now)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer s.close()
	s.clock = clock
	if err := s.store.Reserve(ctx, int64(conf.Store.ReserveMiB)<<20); err != nil {
		return unlessStopped(ctx, internal(err))
	}
	web := &http.Server{Handler: s.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	web.RegisterOnShutdown(func() { close(s.stopping) })
	log.Info("assay serves", "http", "http://"+listener.Addr().String(), "otlpGRPC", conf.Listeners.OTLP.GRPC, "otlpHTTP", conf.Listeners.OTLP.HTTP,
		"kafka", s.kafkaWords(), "dataDir", conf.DataDir, "policies", strings.Join(conf.Policies, ","))
	return runAll(ctx,
		func(ctx context.Context) error {
			return serveHTTP(ctx, web, func() error { return web.Serve(listener) })
		},
		s.receive, s.readTopics, s.consume, s.advanceLoop, s.publishLoop, s.mirror, s.retainLoop)
}

// unlessStopped is the error of a start: one that was stopped has not failed.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runAll runs the actors until one returns or ctx ends, stops the others, waits
// for all and returns the first error. What does not stop in time is left behind.
func runAll(ctx context.Context, actors ...func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make(chan error, len(actors))
	var running sync.WaitGroup
	for _, actor := range actors {
		running.Add(1)
		go func() {
			defer running.Done()
			errs <- actor(ctx)
		}()
	}
	err := <-errs
	stop()
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(shutdownLimit):
		return internal(errors.Join(err, fmt.Errorf("some parts did not stop within %v", shutdownLimit)))
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveHTTP serves until ctx ends and then lets requests finish.
func serveHTTP(ctx context.Context, web *http.Server, run func() error) error {
	failed := make(chan error, 1)
	go func() { failed <- run() }()
	select {
	case err := <-failed:
		return internal(err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit/2)
	defer cancel()
	if err := web.Shutdown(limit); err != nil {
		web.Close()
	}
	<-failed
	return ctx.Err()
}

// advanceLoop is the clock of the line.
func (s *server) advanceLoop(ctx context.Context) error {
	return s.every(ctx, advanceEvery, func(ctx context.Context) error {
		limited, cancel := context.WithTimeout(ctx, advancePeriod)
		defer cancel()
		err := s.advance(limited, s.now())
		if err == nil {
			err = s.checkStore(ctx)
		}
		if errors.Is(err, store.ErrIO) || errors.Is(err, store.ErrCorrupt) {
			return internal(err) // what was written is not known any more: only a restart finds out
		}
		if err != nil && ctx.Err() == nil {
			s.log.Error("the line will try again", "error", err)
		}
		return nil
	})
}

// checkStore finds out what others have learned of the disk: it has space again, or
// it has failed.
func (s *server) checkStore(ctx context.Context) error {
	if s.store.Full() {
		regained, err := s.store.Regain(ctx)
		if regained {
			s.log.Info("the disk has space again, events are taken")
		}
		return err
	}
	return s.store.Ping(ctx)
}

func (s *server) publishLoop(ctx context.Context) error {
	return s.every(ctx, publishEvery, func(ctx context.Context) error {
		if _, err := s.deliver(ctx, s.now()); err != nil && ctx.Err() == nil {
			s.log.Warn("verdicts wait for their sink", "error", err)
		}
		return nil
	})
}

func (s *server) retainLoop(ctx context.Context) error {
	keep := s.config.Store.Retention.D()
	return s.every(ctx, retainEvery, func(ctx context.Context) error {
		now := s.now()
		if s.otlp != nil {
			s.otlp.Evict(now)
		}
		for {
			removed, err := s.store.Retain(ctx, store.Retention{Inbox: keep, DeadLetters: keep, Validations: keep, Outbox: keep}, now)
			if err != nil {
				s.log.Error("retention will try again", "error", err)
				return nil
			}
			if !removed.More {
				break
			}
		}
		if err := s.runner.SweepBundles(ctx, now.Add(-keep)); err != nil {
			s.log.Warn("bundles past their retention could not be removed", "error", err)
		}
		return nil
	})
}

// every calls f now and then at each interval until ctx ends.
func (s *server) every(ctx context.Context, interval time.Duration, f func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := f(ctx); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
