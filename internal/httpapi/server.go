package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
	"github.com/release-assay/assay/verdicts/report"
)

// Config is what the interface needs from the rest of the program.
type Config struct {
	Store *store.Store
	// Accept hands a deployment event to intake.
	Accept func(ctx context.Context, header http.Header, body []byte) (EventAnswer, error)
	// Cancel ends an open validation; ErrNotOpen where there is none.
	Cancel func(ctx context.Context, id analysis.ValidationID, by string) error
	// Replay hands a dead letter to intake again.
	Replay func(ctx context.Context, id int64, by string) (store.DeadLetter, error)
	// Resume lets stopped partitions of the topic of deployments go on.
	Resume func(ctx context.Context, choice intake.Choice) ([]intake.Resumed, error)
	// Backup writes a backup of the data directory; ErrBusy while it writes another.
	Backup  func(ctx context.Context, w io.Writer) error
	Bundles string // directory of sealed bundles
	// Ready returns what keeps the service from doing its work; nil: nothing.
	Ready  func(ctx context.Context) []string
	Status func(ctx context.Context) any
	// Blocked returns what keeps everything waiting, as every pending verdict then
	// says; an empty code: nothing. It may be nil.
	Blocked func() (analysis.Code, string)
	// Links makes the addresses under which what logs and traces show can be looked at.
	// It may be nil.
	Links func(*analysis.Plan, verdicts.Verdict) []report.Link
	// Pushed are the sources whose telemetry is pushed to this server, by name.
	Pushed map[string]Pushed
	// Metrics serves Prometheus' text format.
	Metrics http.Handler
	// Stopping is closed when the process begins to stop: who waits for a verdict is
	// answered then. Nil: never.
	Stopping <-chan struct{}
}

// EventAnswer is what became of a posted event.
type EventAnswer struct {
	Outcome      string                `json:"outcome"` // accepted, duplicate, conflict, ignored, rejected
	Reason       string                `json:"reason,omitempty"`
	Error        string                `json:"error,omitempty"`
	DeploymentID analysis.DeploymentID `json:"deploymentId,omitempty"`
}

// ErrNotOpen says that a validation is unknown or has its final verdict already.
var ErrNotOpen = errors.New("no open validation of that id")

const maxEventBody = 256<<10 + 1 // one byte more than intake accepts, so that intake says why

// New returns the handler of all addresses.
func New(c Config) http.Handler {
	s := &server{Config: c, asking: make(chan struct{}, askedAtOnce)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", s.events)
	mux.HandleFunc("GET /v1/validations", taking(s.list, "service", "environment", "namespace", "version", "deployment", "verdict", "phase", "before", "limit"))
	mux.HandleFunc("GET /v1/validations/{id}", taking(s.validation, "wait"))
	mux.HandleFunc("GET /v1/validations/{key}/verdict", taking(s.verdict, "wait", "format", "after"))
	mux.HandleFunc("GET /v1/validations/{id}/bundle", taking(s.bundle))
	mux.HandleFunc("POST /v1/validations/{id}/cancel", taking(s.cancel, "by"))
	mux.HandleFunc("GET /v1/dead-letters", taking(s.deadLetters, "reason", "unsettled", "before", "limit"))
	mux.HandleFunc("GET /v1/dead-letters/{id}", taking(s.deadLetter))
	mux.HandleFunc("POST /v1/dead-letters/{id}/replay", taking(s.replay, "by"))
	mux.HandleFunc("POST /v1/dead-letters/replay", taking(s.replayMany, "reason", "after", "by"))
	mux.HandleFunc("POST /v1/ingest/resume", taking(s.resume))
	mux.HandleFunc("POST /v1/backup", taking(s.backup))
	mux.HandleFunc("POST /v1/sources/{name}/{question}", s.source)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, http.StatusOK, c.Status(r.Context())) })
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /-/ready", s.ready)
	mux.Handle("GET /metrics", c.Metrics)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, "no such address: "+r.URL.Path)
	})
	return mux
}

type server struct {
	Config
	asking chan struct{} // has one for each question that a source is asked
}

func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	if missing := s.Ready(r.Context()); len(missing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		for _, m := range missing {
			fmt.Fprintln(w, m)
		}
		return
	}
	fmt.Fprintln(w, "ready")
}

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxEventBody))
	if err != nil {
		problem(w, http.StatusBadRequest, "the body could not be read")
		return
	}
	answer, err := s.Accept(r.Context(), r.Header, body)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, "the event could not be stored, send it again: "+err.Error())
		return
	}
	status := http.StatusAccepted
	switch answer.Outcome {
	case "duplicate", "ignored":
		status = http.StatusOK
	case "conflict":
		status = http.StatusConflict
	case "rejected":
		status = http.StatusUnprocessableEntity
		if answer.Reason == "too_large" {
			status = http.StatusRequestEntityTooLarge
		}
	}
	writeJSON(w, status, answer)
}

// summary is a validation as lists and the single address show it.
type summary struct {
	ID         analysis.ValidationID `json:"id"`
	Phase      string                `json:"phase"`
	AcceptedAt time.Time             `json:"acceptedAt"`
	UpdatedAt  time.Time             `json:"updatedAt"`
	Deployment analysis.Deployment   `json:"deployment"`
	Verdict    json.RawMessage       `json:"verdict"`
	Plan       json.RawMessage       `json:"plan,omitempty"`
	Links      []report.Link         `json:"links,omitempty"` // of a single validation
}

func summaryOf(v store.Validation) summary {
	out := summary{ID: v.ID, Phase: v.Phase, AcceptedAt: v.AcceptedAt, UpdatedAt: v.UpdatedAt, Deployment: v.Deployment, Verdict: v.Latest, Plan: v.Plan}
	if out.Verdict == nil {
		out.Verdict = json.RawMessage("null")
	}
	return out
}

func (s *server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	filter := store.Filter{
		Service: q.Get("service"), Environment: q.Get("environment"), Namespace: q.Get("namespace"), Version: q.Get("version"),
		Deployment: analysis.DeploymentID(q.Get("deployment")), Word: q.Get("verdict"), Phase: q.Get("phase"), Before: analysis.ValidationID(q.Get("before")),
	}
	var err error
	if filter.Limit, err = number(q, "limit", 1, 1000); err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	rows, err := s.Store.Validations(r.Context(), filter)
	if err != nil {
		s.failed(w, err)
		return
	}
	out := struct {
		Validations []summary `json:"validations"`
	}{Validations: []summary{}}
	for _, v := range rows {
		out.Validations = append(out.Validations, summaryOf(v))
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *server) validation(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.serve(w, r, id, func(ctx context.Context) (page, error) {
		v, err := s.find(ctx, id)
		if err != nil {
			return page{}, err
		}
		out := summaryOf(v)
		out.Links = s.links(v)
		body, err := json.Marshal(out)
		return page{body: append(body, '\n'), contentType: "application/json", validation: string(v.ID), final: v.Phase == store.PhaseFinal}, err
	})
}

// links are those of what a verdict lists. What cannot be read has none.
func (s *server) links(v store.Validation) []report.Link {
	var verdict verdicts.Verdict
	if s.Links == nil || json.Unmarshal(v.Latest, &verdict) != nil {
		return nil
	}
	plan := &analysis.Plan{}
	if json.Unmarshal(v.Plan, plan) != nil {
		plan = nil
	}
	return s.Links(plan, verdict)
}

// find returns the validation that an id names: a validation id, or a deployment
// id, of which the newest live attempt answers, else the newest.
func (s *server) find(ctx context.Context, id string) (store.Validation, error) {
	v, err := s.Store.Validation(ctx, analysis.ValidationID(id))
	if !errors.Is(err, store.ErrNotFound) {
		return v, err
	}
	attempts, err := s.Store.ByDeployment(ctx, analysis.DeploymentID(id))
	if err == nil && len(attempts) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Validation{}, err
	}
	return append(live(attempts), attempts...)[0], nil
}

func (s *server) cancel(w http.ResponseWriter, r *http.Request) {
	v, err := s.find(r.Context(), r.PathValue("id"))
	if err == nil {
		err = s.Cancel(r.Context(), v.ID, caller(r))
	}
	if errors.Is(err, ErrNotOpen) {
		problem(w, http.StatusConflict, "the validation has its final verdict already")
		return
	}
	if err != nil {
		s.failed(w, err)
		return
	}
	if v, err = s.Store.Validation(r.Context(), v.ID); err != nil {
		s.failed(w, err)
		return
	}
	writeJSON(w, http.StatusOK, summaryOf(v))
}

func (s *server) bundle(w http.ResponseWriter, r *http.Request) {
	v, err := s.find(r.Context(), r.PathValue("id"))
	if err != nil {
		s.failed(w, err)
		return
	}
	if v.Phase != store.PhaseFinal {
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusAccepted, "the bundle is sealed when the verdict is final")
		return
	}
	var final verdicts.Verdict
	if err := json.Unmarshal(v.Latest, &final); err != nil {
		s.failed(w, err)
		return
	}
	f, err := os.OpenInRoot(s.Bundles, filepath.Base(final.Bundle))
	if errors.Is(err, os.ErrNotExist) {
		w.Header().Set("Retry-After", "10")
		problem(w, http.StatusAccepted, "the bundle is being sealed, or retention has removed it")
		return
	}
	if err != nil {
		s.failed(w, err)
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/zstd")
	w.Header().Set("Content-Disposition", "attachment; filename="+strconv.Quote(final.Bundle))
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, "", v.FinalAt, f)
}

// failed answers an error of the store.
func (s *server) failed(w http.ResponseWriter, err error) {
	if errors.Is(err, store.ErrNotFound) {
		problem(w, http.StatusNotFound, "no such validation")
		return
	}
	problem(w, http.StatusServiceUnavailable, "the store does not answer: "+err.Error())
}

// problem answers as RFC 9457 says.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		problem(w, http.StatusInternalServerError, "the answer could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
