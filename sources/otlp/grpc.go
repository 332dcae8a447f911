package otlp

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // senders compress
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/types/known/durationpb"
)

// maxCalls bounds how many gRPC requests are being received or handled at once, over
// all connections, and with Config.MaxBytes the memory that they take. Further ones are
// told to try again.
const maxCalls = 32

// GRPCServer returns a new gRPC server of the services for metrics, traces and logs,
// with the source's limits.
func (s *Source) GRPCServer() *grpc.Server {
	var calls atomic.Int64
	server := grpc.NewServer(
		grpc.MaxRecvMsgSize(int(s.cfg.MaxBytes)), // inflated
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2("proto")}),
		grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) {
			if calls.Add(1) > maxCalls {
				calls.Add(-1)
				return nil, tryAgain("more than 32 requests at once")
			}
			context.AfterFunc(ctx, func() { calls.Add(-1) }) // a call's context ends with it
			return ctx, nil
		}),
	)
	pmetricotlp.RegisterGRPCServer(server, &metricsServer{source: s})
	register(server, "opentelemetry.proto.collector.trace.v1.TraceService", s.exportSpans)
	register(server, "opentelemetry.proto.collector.logs.v1.LogsService", s.exportLogs)
	return server
}

type metricsServer struct {
	pmetricotlp.UnimplementedGRPCServer
	source *Source
}

func (m *metricsServer) Export(ctx context.Context, req pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	return m.source.export(ctx, req)
}

// register serves the method Export of a service by what takes the request's bytes:
// pdata's own services would make objects of every attribute first.
func register(server *grpc.Server, service string, export func(context.Context, []byte) (answer, error)) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: service,
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Export",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var req rawMessage
				if err := decode(&req); err != nil {
					return nil, err
				}
				defer req.whole.Free()
				resp, err := export(ctx, req.whole.ReadOnlyData())
				if err != nil {
					return nil, grpcError(ctx, err)
				}
				return resp, nil
			},
		}},
	}, nil)
}

// grpcError says whether the sender should try again.
func grpcError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case isRefusal(err):
		return status.Error(codes.InvalidArgument, err.Error())
	}
	return tryAgain(err.Error())
}

func tryAgain(why string) error {
	st := status.New(codes.Unavailable, why+": try again")
	if detailed, err := st.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); err == nil {
		st = detailed
	}
	return st.Err()
}

// rawMessage is a request that is taken as bytes.
type rawMessage struct{ whole mem.Buffer }

// A codec leaves requests that are taken as bytes as they are, and looks all others over
// before they are decoded (wire.go).
type codec struct{ encoding.CodecV2 }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
	if req, ok := v.(*rawMessage); ok {
		req.whole = whole // freed by the handler
		return nil
	}
	defer whole.Free()
	if err := checkProto(whole.ReadOnlyData()); err != nil {
		return err
	}
	return c.CodecV2.Unmarshal(data, v)
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if resp, ok := v.(answer); ok {
		b, err := resp.MarshalProto()
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	return c.CodecV2.Marshal(v)
}
