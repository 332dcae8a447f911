package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/sources"
)

// errNoServer says that nothing answers where a running server was looked for.
var errNoServer = errors.New("no server answers")

// A pushedSource asks a running server what was pushed to it.
type pushedSource struct {
	name   string // of the source, there as here
	server *client
}

// Probe reports whether the server answers: errNoServer if nothing does.
func (p pushedSource) Probe(ctx context.Context) error {
	if _, status, err := p.server.do(ctx, http.MethodGet, "/-/healthy", nil, nil); err != nil && status == 0 {
		return fmt.Errorf("%w at %s", errNoServer, p.server.base)
	}
	return nil // whatever it says: the questions tell
}

// Label implements asked: what is pushed is called as OpenTelemetry calls it.
func (p pushedSource) Label(attribute string) string { return attribute }

// Lag implements asked.
func (p pushedSource) Lag() time.Duration { return 0 }

func (p pushedSource) Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	var answer httpapi.SeenAnswer
	err := p.ask(ctx, "seen", httpapi.SeenQuestion{Signal: q.Signal, Service: q.Service, Between: httpapi.Between{From: q.From, To: q.To}}, &answer)
	return answer.Seen, err
}

func (p pushedSource) Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error) {
	var answer httpapi.SpacingAnswer
	err := p.ask(ctx, "spacing", httpapi.ArmQuestion{Signal: q.Signal, Matches: q.Matches, Between: httpapi.Between{From: q.From, To: q.To}}, &answer)
	return answer.Spacing.D(), err
}

// HistoryStep implements asked: what is pushed is kept by the minute.
func (p pushedSource) HistoryStep(time.Duration) time.Duration { return time.Minute }

func (p pushedSource) Past(ctx context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, kept bool, err error) {
	var answer httpapi.HistoryAnswer
	err = p.ask(ctx, "history", httpapi.HistoryQuestion{
		ArmQuestion: httpapi.ArmQuestion{Signal: q.Signal, Matches: q.Matches, Between: httpapi.Between{From: q.From, To: q.To}},
		Bounds:      q.Bounds, Step: analysis.Duration(q.Step),
	}, &answer)
	return answer.Sums, answer.Kept, err
}

func (p pushedSource) Distribution(ctx context.Context, q analysis.DistributionQuery) (answer analysis.Histogram, err error) {
	err = p.ask(ctx, "distribution", httpapi.ArmQuestion{Signal: q.Signal, Matches: q.Matches, Between: httpapi.Between{From: q.From, To: q.To}}, &answer)
	return answer, err
}

func (p pushedSource) Metric(ctx context.Context, name string, from, to time.Time) (answer sources.Metric, err error) {
	err = p.ask(ctx, "metric", httpapi.MetricQuestion{Metric: name, Between: httpapi.Between{From: from, To: to}}, &answer)
	return answer, err
}

func (p pushedSource) Values(ctx context.Context, metric, label string, from, to time.Time) ([]string, error) {
	var answer httpapi.ValuesAnswer
	err := p.ask(ctx, "values", httpapi.ValuesQuestion{Metric: metric, Label: label, Between: httpapi.Between{From: from, To: to}}, &answer)
	return answer.Values, err
}

// ask puts a question to the server. Errors are those that the source there gave.
func (p pushedSource) ask(ctx context.Context, op string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return p.fault(op, sources.Rejected, err)
	}
	data, status, header, err := p.server.send(ctx, http.MethodPost, "/v1/sources/"+url.PathEscape(p.name)+"/"+op, http.Header{"Content-Type": {"application/json"}}, body)
	if err != nil {
		return p.refused(op, data, status, header, err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return p.fault(op, sources.Malformed, fmt.Errorf("the answer of %s is not understood: %w", p.server.base, err))
	}
	return nil
}

// refused is the error that an answer carries; one that no source classified says by
// its status whether asking again may work.
func (p pushedSource) refused(op string, body []byte, status int, header http.Header, err error) error {
	var problem struct{ Kind, Detail string }
	_ = json.Unmarshal(body, &problem) // what is no problem has no kind
	for _, kind := range []sources.Kind{sources.Unavailable, sources.Rejected, sources.Malformed} {
		if problem.Kind == kind.String() {
			seconds, _ := strconv.Atoi(header.Get("Retry-After")) // none: 0
			return &sources.Error{Kind: kind, Source: p.name, Op: op, RetryAfter: time.Duration(max(0, seconds)) * time.Second, Err: errors.New(problem.Detail)}
		}
	}
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests {
		return p.fault(op, sources.Rejected, err)
	}
	return p.fault(op, sources.Unavailable, err)
}

func (p pushedSource) fault(op string, kind sources.Kind, err error) error {
	return &sources.Error{Kind: kind, Source: p.name, Op: op, Err: err}
}
