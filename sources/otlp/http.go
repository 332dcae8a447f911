package otlp

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

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

// maxWait is how long a request may wait for its turn.
const maxWait = 5 * time.Second

// Handler returns the handler of OTLP/HTTP: POST /v1/metrics, /v1/traces and /v1/logs,
// protobuf or JSON, plain or gzip.
func (s *Source) Handler() http.Handler { return s.handler(maxWait) }

func (s *Source) handler(wait time.Duration) http.Handler {
	mux := http.NewServeMux()
	inflight := make(chan struct{}, maxInflight)
	for _, g := range signals {
		mux.HandleFunc("POST /v1/"+g.name, func(w http.ResponseWriter, r *http.Request) {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			select {
			case inflight <- struct{}{}:
				defer func() { <-inflight }()
				s.serve(w, r, g)
			case <-timer.C:
				refuse(w, answerType(r), http.StatusTooManyRequests, fmt.Errorf("%d requests are being handled: try again", maxInflight))
			case <-r.Context().Done():
			}
		})
	}
	return mux
}

// answerType is the form in which a request is answered that was not looked at.
func answerType(r *http.Request) string {
	if contentType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && contentType == typeProto {
		return typeProto
	}
	return typeJSON
}

func (s *Source) serve(w http.ResponseWriter, r *http.Request, g signal) {
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
	resp, err := g.take(s, r.Context(), contentType, body)
	switch {
	case isRefusal(err):
		refuse(w, contentType, http.StatusBadRequest, err)
		return
	case err != nil:
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

// refuse answers with a google.rpc.Status, as OTLP wants it.
func refuse(w http.ResponseWriter, contentType string, status int, err error) {
	code := codes.InvalidArgument
	switch status {
	case http.StatusRequestEntityTooLarge:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		code = codes.Unavailable
		w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
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

func quoteJSON(text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil { // cannot happen: any string can be quoted
		return []byte(`""`)
	}
	return quoted
}
