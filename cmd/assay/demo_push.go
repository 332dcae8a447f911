package main

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/release-assay/assay/internal/lab"
)

// telemetry is what all shops of the demo export at one step.
type telemetry struct {
	metrics pmetric.Metrics
	traces  ptrace.Traces
	logs    plog.Logs
}

func telemetryOf(shops []*lab.Shop, at time.Time) telemetry {
	t := telemetry{pmetric.NewMetrics(), ptrace.NewTraces(), plog.NewLogs()}
	for _, shop := range shops {
		shop.Export(t.metrics, at)
		shop.Stream(t.traces, t.logs, at)
	}
	return t
}

// connect sets up how telemetry is pushed.
func (d *demo) connect(ctx context.Context) error {
	if !d.overWire {
		d.push = d.hand
		return nil
	}
	conn, err := grpc.NewClient(d.server.otlp.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	metrics, traces, logs := pmetricotlp.NewGRPCClient(conn), ptraceotlp.NewGRPCClient(conn), plogotlp.NewGRPCClient(conn)
	d.push = func(ctx context.Context, t telemetry) error {
		var errs []error
		if t.metrics.ResourceMetrics().Len() > 0 {
			_, err := metrics.Export(ctx, pmetricotlp.NewExportRequestFromMetrics(t.metrics))
			errs = append(errs, err)
		}
		if t.traces.ResourceSpans().Len() > 0 {
			_, err := traces.Export(ctx, ptraceotlp.NewExportRequestFromTraces(t.traces))
			errs = append(errs, err)
		}
		if t.logs.ResourceLogs().Len() > 0 {
			_, err := logs.Export(ctx, plogotlp.NewExportRequestFromLogs(t.logs))
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	return nil
}

// hand gives telemetry to the source without a wire.
func (d *demo) hand(ctx context.Context, t telemetry) error {
	var errs []error
	if t.metrics.ResourceMetrics().Len() > 0 {
		_, err := d.server.otlp.Consume(ctx, t.metrics)
		errs = append(errs, err)
	}
	if t.traces.ResourceSpans().Len() > 0 {
		body, err := ptraceotlp.NewExportRequestFromTraces(t.traces).MarshalProto()
		if err == nil {
			_, err = d.server.otlp.ConsumeSpans(ctx, body)
		}
		errs = append(errs, err)
	}
	if t.logs.ResourceLogs().Len() > 0 {
		body, err := plogotlp.NewExportRequestFromLogs(t.logs).MarshalProto()
		if err == nil {
			_, err = d.server.otlp.ConsumeLogs(ctx, body)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
