package liar

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Server answers from telemetry, as its script says.
type Server struct {
	telemetry *Telemetry
	script    Script
	now       func() time.Time
	series    []Series

	mu     sync.Mutex
	obeyed []int
}

// NewServer returns a server whose clock is now.
func NewServer(t *Telemetry, script Script, now func() time.Time) *Server {
	s := &Server{telemetry: t, script: script, now: now}
	s.series, s.obeyed = t.hold(script)
	return s
}

// Obeyed returns, for each rule of the script, how many samples, series or answers
// it has changed.
func (s *Server) Obeyed() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.obeyed)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.now()
	w.Header().Set("Date", s.telemetry.clock(s.script, now).UTC().Format(http.TimeFormat))
	q, status, err := understand(r)
	rule := s.rule(r.URL.Path, r.FormValue("query"), now.Sub(s.telemetry.Deployed))
	if rule != nil && s.refuse(w, r, rule) {
		return
	}
	if err != nil {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"status": "error", "errorType": "bad_data", "error": err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if rule == nil {
		w.Write(reply{kind: "matrix", streams: q.honest(s.series, s.known(now), 0)}.encode())
		return
	}
	s.lie(w, r, q, rule, now)
}

// rule returns the first rule about sending that holds, or nil.
func (s *Server) rule(path, query string, since time.Duration) *Rule {
	for k := range s.script {
		rule := &s.script[k]
		if rule.sort() == sent && rule.in(since) && strings.Contains(path, rule.Path) && strings.Contains(query, rule.Query) {
			s.mu.Lock()
			s.obeyed[k]++
			s.mu.Unlock()
			return rule
		}
	}
	return nil
}

// known is the stamp of the newest sample that the server can have by now.
func (s *Server) known(now time.Time) int64 { return s.telemetry.clock(s.script, now).UnixMilli() }

// refuse obeys the rules that need no answer, and reports whether it did.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, rule *Rule) bool {
	switch rule.Do {
	case "down":
		reset(w)
	case "status":
		if rule.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(rule.RetryAfter.Seconds())))
		}
		http.Error(w, http.StatusText(rule.Status), rule.Status)
	case "hang":
		<-r.Context().Done()
	case "login":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!DOCTYPE html><html><body><form action=/login>Who are you?</form></body></html>")
	case "redirect":
		http.Redirect(w, r, "http://metrics.example.invalid"+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	default:
		return false
	}
	return true
}

// reset ends the connection as a process does that dies.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the same over HTTP/2
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// lie answers what is asked, as the rule says.
func (s *Server) lie(w http.ResponseWriter, r *http.Request, q question, rule *Rule, now time.Time) {
	newest, further := s.known(now), time.Duration(0)
	switch rule.Do {
	case "lag":
		newest -= rule.By.Milliseconds()
	case "future":
		newest, further = math.MaxInt64-1, rule.By
	}
	answer := reply{kind: "matrix", streams: q.honest(s.series, newest, further)}
	switch rule.Do {
	case "slow":
		drip(w, r, answer.encode())
	case "truncated":
		body := answer.encode()
		w.Write(body[:len(body)/2])
	case "bomb":
		w.Header().Set("Content-Encoding", "gzip")
		z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is legal
		blanks(z, rule.Bytes)
		z.Write(answer.encode())
		z.Close()
	case "huge":
		blanks(w, rule.Bytes)
		w.Write(answer.encode())
	case "scalar", "string", "vector":
		answer.kind = rule.Do
		w.Write(answer.encode())
	case "warnings":
		answer.warnings = []string{"receive series from store-gateway-1: rpc error: code = Unavailable (partial response)"}
		w.Write(answer.encode())
	case "explode":
		explode(w, answer.encode(), rule, q.end)
	default:
		answer.streams = rule.distort(answer.streams)
		w.Write(answer.encode())
	}
}

// blanks writes so many of them, which JSON admits before a value, until the other
// side has had enough.
func blanks(w io.Writer, n int64) {
	block := bytes.Repeat([]byte{' '}, 64<<10)
	for ; n > 0; n -= int64(len(block)) {
		if _, err := w.Write(block[:min(n, int64(len(block)))]); err != nil {
			return
		}
	}
}

// drip writes one byte a second.
func drip(w http.ResponseWriter, r *http.Request, body []byte) {
	out := http.NewResponseController(w)
	for i := range body {
		if _, err := w.Write(body[i : i+1]); err != nil || out.Flush() != nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
			return
		}
	}
}

// distort returns the streams of an answer that is wrong in itself.
func (r *Rule) distort(streams []stream) []stream {
	if r.Do == "empty" {
		return nil
	}
	if r.Do == "twice" {
		return slices.Concat(streams, streams)
	}
	for i := range streams {
		s := &streams[i]
		if !r.concerns(s.labels[metricName], armOf(s.labels["service_name"], s.labels["service_version"]), s.labels["pod"]) {
			continue
		}
		s.samples = slices.Clone(s.samples)
		switch r.Do {
		case "value":
			value, _ := strconv.ParseFloat(r.Value, 64)
			for k := range s.samples {
				s.samples[k].V = value
			}
		case "stale":
			s.samples[len(s.samples)-1].V = math.NaN()
		case "repeated":
			s.samples = slices.Concat(s.samples, s.samples)
			slices.SortFunc(s.samples, func(a, b Sample) int { return int(a.T - b.T) })
		case "unsorted":
			slices.Reverse(s.samples)
		}
	}
	return streams
}

// explode writes an answer with a great many further series, which differ in the value
// of one label, until the other side has had enough.
func explode(w io.Writer, answer []byte, rule *Rule, at time.Time) {
	const end = "]}}"
	label := rule.Label
	if label == "" {
		label = "request_id"
	}
	filling := strings.Repeat("x", int(rule.Bytes))
	head, comma := strings.TrimSuffix(string(answer), end), ","
	if strings.HasSuffix(head, "[") {
		comma = ""
	}
	io.WriteString(w, head)
	for i := range rule.Count {
		_, err := fmt.Fprintf(w, `%s{"metric":{"__name__":%q,"service_name":"checkout",%q:"200",%q:"%s%08d"},"values":[[%d,"1"]]}`,
			comma, Requests, StatusCode, label, filling, i, at.Unix())
		if err != nil {
			return
		}
		comma = ","
	}
	io.WriteString(w, end)
}
