// Package httpquery is how telemetry stores are asked over HTTP, whichever they are.
//
// [Client] makes the client of a configuration, which follows no redirect to another
// host: credentials and questions stay where they were meant to go. [Answer] returns the
// whole body of an answer, inflated within a limit and valid JSON, or an error with a
// type. [Fault] tells what such an error means for the one who asked: that the store is
// not there for now, that it refuses the question, or that its answer makes no sense.
//
// The package knows no store's addresses, parameters or words, and it asks nothing again:
// sources do the one, internal/gather the other.
package httpquery

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/config"

	"github.com/release-assay/assay/sources"
)

// What goes wrong with an answer, beside the statuses of HTTP.
var (
	ErrTooBig   = errors.New("the answer is over the limit of bytes")
	ErrRedirect = errors.New("redirected to another host")
	ErrNotJSON  = errors.New("the answer is no JSON: a login page, a page of the user interface, or cut off on its way")
)

// maxRefusal is how much is read of the body of an answer that is no success, in bytes.
const maxRefusal = 64 << 10

// A StatusError is an HTTP status that is no success.
type StatusError struct {
	Code       int
	Body       []byte // at most 64 KiB, as far as it could be read
	Message    string // what the body says, in one line; "": nothing, or a page for people
	Page       bool   // the body is a page for people
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("HTTP status %d", e.Code)
	}
	return fmt.Sprintf("HTTP status %d: %s", e.Code, e.Message)
}

// Client makes the client of a source; the connections come with the first question.
func Client(source string, c config.HTTPClientConfig) (*http.Client, error) {
	rt, err := config.NewRoundTripperFromConfig(c, source)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: rt}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if !c.FollowRedirects || len(via) > 3 || req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
			return fmt.Errorf("%w: %s://%s", ErrRedirect, req.URL.Scheme, req.URL.Host)
		}
		return nil
	}
	return client, nil
}

// Answer returns the body of a success, which is JSON of at most maxBytes when inflated,
// else an error: of a status that is no success a *StatusError. It closes the body.
func Answer(resp *http.Response, maxBytes int64) ([]byte, error) {
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		body, _ := read(resp, maxRefusal) // however much of it could be read
		return nil, refusal(resp, body)
	}
	body, err := read(resp, maxBytes)
	if err != nil {
		return nil, err
	}
	if !json.Valid(body) {
		return nil, ErrNotJSON
	}
	return body, nil
}

// read returns at most limit inflated bytes of the body.
func read(resp *http.Response, limit int64) ([]byte, error) {
	var r io.Reader = resp.Body
	if resp.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("inflate the answer: %w", err)
		}
		r = z
	}
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return body, fmt.Errorf("read the answer: %w", err)
	}
	if int64(len(body)) > limit {
		return body[:limit], fmt.Errorf("%w (%d)", ErrTooBig, limit)
	}
	return body, nil
}

// refusal reads what stores and the gateways before them say: JSON, plain words, or a
// page.
func refusal(resp *http.Response, body []byte) *StatusError {
	e := &StatusError{Code: resp.StatusCode, Body: body, RetryAfter: retryAfter(resp.Header)}
	var said struct{ Message, Error string }
	body = bytes.TrimSpace(body)
	switch {
	case json.Unmarshal(body, &said) == nil && said.Message+said.Error != "":
		if e.Message = Clip(said.Message); e.Message == "" {
			e.Message = Clip(said.Error)
		}
	case bytes.HasPrefix(body, []byte("<")) || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		e.Page = true
	default:
		e.Message = Clip(string(body))
	}
	return e
}

// retryAfter reads seconds or a date; a date is measured against the server's own clock.
func retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(max(0, seconds)) * time.Second
	}
	at, err := http.ParseTime(text)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err != nil || err2 != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// Clip makes a stranger's text fit for an error message: one line of at most 200 bytes.
func Clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	return strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), 200)], ""))
}

// later are the statuses of 4xx that say nothing about the question: 499 is a question
// that a proxy, or the server itself, gave up.
var later = []int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests, 499}

// Fault is an error of one operation of a source, with its kind as far as HTTP tells: a
// store may know better by its own words.
func Fault(source, op string, err error) *sources.Error {
	e := &sources.Error{Kind: sources.Unavailable, Source: source, Op: op, Err: err}
	var status *StatusError
	switch {
	case errors.As(err, &status):
		e.RetryAfter = status.RetryAfter
		if status.Code/100 == 4 && !slices.Contains(later, status.Code) || status.Code/100 == 3 {
			e.Kind = sources.Rejected
		}
	case errors.Is(err, ErrTooBig):
		e.Kind = sources.Malformed
	case errors.Is(err, ErrRedirect):
		e.Kind = sources.Rejected
	}
	return e
}
