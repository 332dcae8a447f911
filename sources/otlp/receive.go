package otlp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
)

// grace is how long requests under way may take when the receiver stops.
const grace = 5 * time.Second

// A ListenError says which listener could not be opened.
type ListenError struct {
	Protocol string // "grpc" or "http": the key in Config
	Address  string
	Err      error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("otlp: listen for %s on %s: %v", e.Protocol, e.Address, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// Listen opens the configured listeners, so that an address in use is found before
// anything is started. Run serves them; a second call does nothing.
func (s *Source) Listen(ctx context.Context) error {
	s.listening.Lock()
	defer s.listening.Unlock()
	var errs []error
	open := func(protocol, address string, l *net.Listener, where *string) {
		if address == "" || *l != nil {
			return
		}
		opened, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			errs = append(errs, &ListenError{protocol, address, err})
			return
		}
		*l, *where = opened, opened.Addr().String()
	}
	open("grpc", s.cfg.GRPC, &s.grpcListener, &s.grpcAddr)
	open("http", s.cfg.HTTP, &s.httpListener, &s.httpAddr)
	if len(errs) == 0 {
		return nil
	}
	for _, l := range []*net.Listener{&s.grpcListener, &s.httpListener} {
		if *l != nil {
			(*l).Close()
			*l = nil
		}
	}
	s.grpcAddr, s.httpAddr = "", ""
	return errors.Join(errs...)
}

// GRPCAddr returns where OTLP/gRPC is, or was last, listened for; "" if nowhere.
func (s *Source) GRPCAddr() string {
	s.listening.Lock()
	defer s.listening.Unlock()
	return s.grpcAddr
}

// HTTPAddr returns where OTLP/HTTP is, or was last, listened for; "" if nowhere.
func (s *Source) HTTPAddr() string {
	s.listening.Lock()
	defer s.listening.Unlock()
	return s.httpAddr
}

// Run listens if Listen has not, and serves until ctx ends or a server fails.
// Requests under way are then given some seconds. With no address configured it
// just waits for ctx.
func (s *Source) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	grpcListener, httpListener := s.takeListeners()
	group, ctx := errgroup.WithContext(ctx)
	if grpcListener != nil {
		server := s.GRPCServer()
		group.Go(func() error {
			if err := server.Serve(grpcListener); err != nil && ctx.Err() == nil {
				return fmt.Errorf("otlp: serve grpc on %s: %w", grpcListener.Addr(), err)
			}
			return nil
		})
		group.Go(func() error { stopGRPC(ctx, server); return nil })
	}
	if httpListener != nil {
		server := &http.Server{
			Handler:           s.Handler(),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       30 * time.Second, // a body at a byte a second
			WriteTimeout:      time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
		}
		group.Go(func() error {
			if err := server.Serve(httpListener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("otlp: serve http on %s: %w", httpListener.Addr(), err)
			}
			return nil
		})
		group.Go(func() error { stopHTTP(ctx, server); return nil })
	}
	group.Go(func() error { <-ctx.Done(); return nil })
	return group.Wait()
}

// takeListeners returns the listeners to the one who serves, and thereby closes, them.
func (s *Source) takeListeners() (grpcListener, httpListener net.Listener) {
	s.listening.Lock()
	defer s.listening.Unlock()
	grpcListener, httpListener = s.grpcListener, s.httpListener
	s.grpcListener, s.httpListener = nil, nil
	return grpcListener, httpListener
}

// stopGRPC stops the server once ctx has ended.
func stopGRPC(ctx context.Context, server *grpc.Server) {
	<-ctx.Done()
	hard := time.AfterFunc(grace, server.Stop)
	defer hard.Stop()
	server.GracefulStop()
}

func stopHTTP(ctx context.Context, server *http.Server) {
	<-ctx.Done()
	graceful, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(graceful) != nil {
		server.Close()
	}
}
