package otlp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/sources/otlp/wire"
)

// retryAfter is when a sender that was told to should try again.
const retryAfter = time.Second

// An answer is the response to an export request.
type answer interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

// A refusal is the error of a request that would be as wrong another time.
type refusal struct{ err error }

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

func isRefusal(err error) bool {
	var r *refusal
	return errors.As(err, &r) || errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrAttributes)
}

// export consumes a request and tells the sender what was refused for good.
func (s *Source) export(ctx context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	resp := pmetricotlp.NewExportResponse()
	outcome, err := s.Consume(ctx, req.Metrics())
	if err != nil {
		return resp, err
	}
	if rejected, reason := outcome.Rejected(); rejected > 0 {
		resp.PartialSuccess().SetRejectedDataPoints(int64(rejected))
		resp.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d data points dropped, mostly %s", rejected, reason))
	}
	return resp, nil
}

// exportSpans is export of a trace request's bytes.
func (s *Source) exportSpans(ctx context.Context, data []byte) (answer, error) {
	outcome, err := s.ConsumeSpans(ctx, data)
	if err != nil {
		return nil, err
	}
	resp := ptraceotlp.NewExportResponse()
	if rejected, reason := outcome.Rejected(); rejected > 0 {
		resp.PartialSuccess().SetRejectedSpans(int64(rejected))
		resp.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d spans dropped, mostly %s", rejected, reason))
	}
	return resp, nil
}

// exportLogs is export of a log request's bytes.
func (s *Source) exportLogs(ctx context.Context, data []byte) (answer, error) {
	outcome, err := s.ConsumeLogs(ctx, data)
	if err != nil {
		return nil, err
	}
	resp := plogotlp.NewExportResponse()
	if rejected, reason := outcome.Rejected(); rejected > 0 {
		resp.PartialSuccess().SetRejectedLogRecords(int64(rejected))
		resp.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d log records dropped, mostly %s", rejected, reason))
	}
	return resp, nil
}

// exportMetrics is export of a metrics request's bytes.
func (s *Source) exportMetrics(ctx context.Context, contentType string, body []byte) (answer, error) {
	req, err := decode(contentType, body)
	if err != nil {
		return nil, &refusal{err}
	}
	return s.export(ctx, req)
}

func decode(contentType string, body []byte) (pmetricotlp.ExportRequest, error) {
	req := pmetricotlp.NewExportRequest()
	if contentType == typeJSON {
		if err := checkJSON(body); err != nil {
			return req, err
		}
		return req, req.UnmarshalJSON(body)
	}
	if err := checkProto(body); err != nil {
		return req, err
	}
	return req, req.UnmarshalProto(body)
}

// A codable request is one of pdata's.
type codable interface {
	UnmarshalJSON([]byte) error
	MarshalProto() ([]byte, error)
}

// protoOf makes protobuf of a request in JSON.
func protoOf(req codable, body []byte) ([]byte, error) {
	if err := checkJSON(body); err != nil {
		return nil, &refusal{err}
	}
	if err := req.UnmarshalJSON(body); err != nil {
		return nil, &refusal{err}
	}
	return req.MarshalProto()
}

// A signal is what is exported under one path, or in one topic.
type signal struct {
	name string
	take func(s *Source, ctx context.Context, contentType string, body []byte) (answer, error)
}

var (
	metrics = signal{"metrics", (*Source).exportMetrics}
	spans   = signal{"traces", func(s *Source, ctx context.Context, contentType string, body []byte) (_ answer, err error) {
		if contentType == typeJSON {
			if body, err = protoOf(ptraceotlp.NewExportRequest(), body); err != nil {
				return nil, err
			}
		}
		return s.exportSpans(ctx, body)
	}}
	logs = signal{"logs", func(s *Source, ctx context.Context, contentType string, body []byte) (_ answer, err error) {
		if contentType == typeJSON {
			if body, err = protoOf(plogotlp.NewExportRequest(), body); err != nil {
				return nil, err
			}
		}
		return s.exportLogs(ctx, body)
	}}
)

var signals = []signal{metrics, spans, logs}
