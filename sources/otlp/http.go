package otlp

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
)

// maxInflight bounds how many HTTP requests are in memory at once; further ones
// wait their turn.
const maxInflight = 8

const (
	typeProto = "application/x-protobuf"
	typeJSON  = "application/json"
)

// Handler returns the handler of OTLP/HTTP: POST /v1/metrics, protobuf or JSON,
// plain or gzip.
func (s *Source) Handler() http.Handler {
	mux := http.NewServeMux()
	inflight := make(chan struct{}, maxInflight)
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		select {
		case inflight <- struct{}{}:
			defer func() { <-inflight }()
			s.serveMetrics(w, r)
		case <-r.Context().Done():
		}
	})
	for _, signal := range []string{"traces", "logs"} {
		mux.HandleFunc("/v1/"+signal, func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, signal+" are not received yet: send metrics to /v1/metrics", http.StatusNotFound)
		})
	}
	return mux
}

func (s *Source) serveMetrics(w http.ResponseWriter, r *http.Request) {
	contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || contentType != typeProto && contentType != typeJSON {
		refuse(w, typeJSON, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q (legal: %s, %s)", r.Header.Get("Content-Type"), typeProto, typeJSON))
		return
	}
	body, status, err := s.readBody(w, r)
	if err != nil {
		refuse(w, contentType, status, err)
		return
	}
	req, err := decode(contentType, body)
	if err != nil {
		refuse(w, contentType, http.StatusBadRequest, err)
		return
	}
	resp, err := s.export(r.Context(), req)
	if err != nil {
		refuse(w, contentType, http.StatusServiceUnavailable, err)
		return
	}
	var out []byte
	if contentType == typeJSON {
		out, err = resp.MarshalJSON()
	} else {
		out, err = resp.MarshalProto()
	}
	if err != nil {
		refuse(w, contentType, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(out) // a sender that left does not need the answer
}

// readBody returns the inflated body, or the status that says why not. It never
// holds more than Config.MaxBytes of it, however much it would inflate to.
func (s *Source) readBody(w http.ResponseWriter, r *http.Request) ([]byte, int, error) {
	tooLarge := fmt.Errorf("the request is larger than %d bytes: send smaller batches", s.cfg.MaxBytes)
	if r.ContentLength > s.cfg.MaxBytes {
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	}
	var body io.Reader = http.MaxBytesReader(w, r.Body, s.cfg.MaxBytes)
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
	case "gzip":
		inflated, err := gzip.NewReader(body)
		if err != nil {
			return nil, http.StatusBadRequest, fmt.Errorf("gzip: %w", err)
		}
		defer inflated.Close()
		body = inflated
	default:
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("content encoding %q (legal: gzip, identity)", encoding)
	}
	read, err := io.ReadAll(io.LimitReader(body, s.cfg.MaxBytes+1))
	var tooManyBytes *http.MaxBytesError
	switch {
	case errors.As(err, &tooManyBytes) || int64(len(read)) > s.cfg.MaxBytes:
		return nil, http.StatusRequestEntityTooLarge, tooLarge
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("read: %w", err)
	}
	return read, 0, nil
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

// refuse answers with a google.rpc.Status, as OTLP wants it.
func refuse(w http.ResponseWriter, contentType string, status int, err error) {
	code := codes.InvalidArgument
	switch status {
	case http.StatusRequestEntityTooLarge:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
		w.Header().Set("Retry-After", "1")
	case http.StatusInternalServerError:
		code = codes.Internal
	}
	var body []byte
	if contentType == typeProto {
		body = protowire.AppendTag(body, 1, protowire.VarintType)
		body = protowire.AppendVarint(body, uint64(code))
		body = protowire.AppendTag(body, 2, protowire.BytesType)
		body = protowire.AppendString(body, strings.ToValidUTF8(err.Error(), "?"))
	} else {
		body = fmt.Appendf(body, `{"code":%d,"message":%s}`, code, quoteJSON(err.Error()))
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
