package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// Pushed answers what this server knows of telemetry that is pushed to it: nobody
// else can. All of it is looking on, nothing is changed by it. Errors are those of
// package sources.
type Pushed interface {
	Seen(ctx context.Context, q analysis.SeenQuery) ([]analysis.Seen, error)
	Spacing(ctx context.Context, q analysis.SpacingQuery) (time.Duration, error)
	// History also tells whether sums of the signal are kept when raw samples go: an
	// objective that is loaded names it.
	History(ctx context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, kept bool, err error)
	Distribution(ctx context.Context, q analysis.DistributionQuery) (analysis.Histogram, error)
	Metric(ctx context.Context, name string, from, to time.Time) (sources.Metric, error)
	Values(ctx context.Context, metric, label string, from, to time.Time) ([]string, error)
}

// The limits of a question to a source.
const (
	maxQuestion  = 64 << 10 // bytes of its body
	maxAskedSpan = 25 * time.Hour
	sourceTime   = 20 * time.Second // until the answer is there, and again to take it
	askedAtOnce  = 2                // questions, so that plans and folds keep places at the source
	maxSeen      = 10_000           // releases in an answer
	maxSums      = 200_000          // minute sums in an answer: about 20 MB
	maxBounds    = 1000             // that a distribution is counted above
)

// Between is when a question is about.
type Between struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// SeenQuestion is analysis.SeenQuery on the wire. A signal that names no source is one
// of the source in the address.
type SeenQuestion struct {
	Signal  analysis.Signal `json:"signal"`
	Service string          `json:"service,omitempty"` // none: all of them
	Between
}

// SeenAnswer answers it.
type SeenAnswer struct {
	Seen []analysis.Seen `json:"seen"`
}

// ArmQuestion is analysis.SpacingQuery and analysis.DistributionQuery on the wire.
type ArmQuestion struct {
	Signal  analysis.Signal  `json:"signal"`
	Matches []analysis.Match `json:"matches,omitempty"`
	Between
}

// SpacingAnswer is the median time between samples, 0s if there are not two.
type SpacingAnswer struct {
	Spacing analysis.Duration `json:"spacing"`
}

// HistoryQuestion is analysis.HistoryQuery on the wire.
type HistoryQuestion struct {
	ArmQuestion
	Bounds []float64         `json:"bounds,omitempty"` // of a distribution
	Step   analysis.Duration `json:"step,omitempty"`   // of a level
}

// HistoryAnswer is what was counted in each minute.
type HistoryAnswer struct {
	Sums []analysis.MinuteSum `json:"sums"`
	// Kept says that a loaded objective names the signal. Without one the source has
	// no more than its raw samples, and sums nothing up when they go.
	Kept bool `json:"kept"`
	// Shortened says that the oldest minutes are left out: there were more than one
	// answer holds.
	Shortened bool `json:"shortened,omitempty"`
}

// MetricQuestion asks what a metric is; the answer is a sources.Metric.
type MetricQuestion struct {
	Metric string `json:"metric"`
	Between
}

// ValuesQuestion asks what an attribute of data points holds.
type ValuesQuestion struct {
	Metric string `json:"metric"`
	Label  string `json:"label"`
	Between
}

// ValuesAnswer has up to ten values.
type ValuesAnswer struct {
	Values []string `json:"values"`
}

// errQuestion says that a body is no question.
type errQuestion struct{ error }

// questions are those that a source is asked, by the last element of the address. A
// source is named source.
var questions = map[string]func(ctx context.Context, p Pushed, source string, body []byte) (any, error){
	"seen": func(ctx context.Context, p Pushed, source string, body []byte) (any, error) {
		q, err := readQuestion[SeenQuestion](body)
		if err == nil {
			err = errors.Join(of(&q.Signal, source), q.check())
		}
		if err != nil {
			return nil, errQuestion{err}
		}
		seen, err := p.Seen(ctx, analysis.SeenQuery{Signal: q.Signal, Service: q.Service, From: q.From, To: q.To})
		if err == nil && len(seen) > maxSeen {
			err = &sources.Error{Kind: sources.Malformed, Source: source, Op: "seen", Err: fmt.Errorf("more than %d releases: ask for one service", maxSeen)}
		}
		return SeenAnswer{append([]analysis.Seen{}, seen...)}, err
	},
	"spacing": func(ctx context.Context, p Pushed, source string, body []byte) (any, error) {
		q, err := readQuestion[ArmQuestion](body)
		if err = q.check(source, err); err != nil {
			return nil, err
		}
		spacing, err := p.Spacing(ctx, analysis.SpacingQuery{Signal: q.Signal, Matches: q.Matches, From: q.From, To: q.To})
		return SpacingAnswer{analysis.Duration(spacing)}, err
	},
	"history": func(ctx context.Context, p Pushed, source string, body []byte) (any, error) {
		q, err := readQuestion[HistoryQuestion](body)
		if err = q.check(source, err); err != nil {
			return nil, err
		}
		if len(q.Bounds) > maxBounds || q.Step < 0 {
			return nil, errQuestion{fmt.Errorf("bounds and step: %d bounds each %v; legal are up to %d and a step that is not negative", len(q.Bounds), q.Step, maxBounds)}
		}
		sums, kept, err := p.History(ctx, analysis.HistoryQuery{Signal: q.Signal, Matches: q.Matches, From: q.From, To: q.To, Bounds: q.Bounds, Step: q.Step.D()})
		newest, shortened := newestMinutes(sums)
		return HistoryAnswer{append([]analysis.MinuteSum{}, newest...), kept, shortened}, err
	},
	"distribution": func(ctx context.Context, p Pushed, source string, body []byte) (any, error) {
		q, err := readQuestion[ArmQuestion](body)
		if err = q.check(source, err); err != nil {
			return nil, err
		}
		return p.Distribution(ctx, analysis.DistributionQuery{Signal: q.Signal, Matches: q.Matches, From: q.From, To: q.To})
	},
	"metric": func(ctx context.Context, p Pushed, _ string, body []byte) (any, error) {
		q, err := readQuestion[MetricQuestion](body)
		if err == nil {
			err = errors.Join(given("metric", q.Metric), q.check())
		}
		if err != nil {
			return nil, errQuestion{err}
		}
		return p.Metric(ctx, q.Metric, q.From, q.To)
	},
	"values": func(ctx context.Context, p Pushed, _ string, body []byte) (any, error) {
		q, err := readQuestion[ValuesQuestion](body)
		if err == nil {
			err = errors.Join(given("metric", q.Metric), given("label", q.Label), q.check())
		}
		if err != nil {
			return nil, errQuestion{err}
		}
		values, err := p.Values(ctx, q.Metric, q.Label, q.From, q.To)
		return ValuesAnswer{append([]string{}, values...)}, err
	},
}

// source answers a question about telemetry that is pushed to this server. 400: the
// body is no question; 404: no such source or question; else the error of the source,
// with its kind.
func (s *server) source(w http.ResponseWriter, r *http.Request) {
	name, question := r.PathValue("name"), r.PathValue("question")
	pushed, answer := s.Pushed[name], questions[question]
	switch {
	case pushed == nil:
		problem(w, http.StatusNotFound, fmt.Sprintf("no source %q is pushed to this server (legal: %s); others are asked themselves", name, legal(s.Pushed)))
		return
	case answer == nil:
		problem(w, http.StatusNotFound, fmt.Sprintf("%q is no question to a source (legal: %s)", question, legal(questions)))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuestion))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("a question has at most %d bytes", maxQuestion))
		return
	}
	if err != nil {
		problem(w, http.StatusBadRequest, "the body could not be read")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), sourceTime)
	defer cancel()
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		sourceFailed(w, &sources.Error{Source: name, Op: question, RetryAfter: time.Second, Err: errors.New("others are asking")})
		return
	}
	out, err := answer(ctx, pushed, name, body)
	// The place is held until the answer is taken: it may be large.
	control := http.NewResponseController(w)
	if control.SetWriteDeadline(time.Now().Add(sourceTime)) == nil {
		defer func() { _ = control.SetWriteDeadline(time.Time{}) }() // the connection serves on
	}
	if wrong := (errQuestion{}); errors.As(err, &wrong) {
		problem(w, http.StatusBadRequest, "the body is no question: "+wrong.Error())
		return
	}
	if err != nil {
		sourceFailed(w, err)
		return
	}
	writeJSON(w, http.StatusOK, out)
}

// sourceFailed answers the error of a source: a problem whose kind is that of
// sources.Error, and which says when to ask again.
func sourceFailed(w http.ResponseWriter, err error) {
	known := &sources.Error{Err: err}
	errors.As(err, &known)
	status := http.StatusServiceUnavailable
	switch known.Kind {
	case sources.Rejected:
		status = http.StatusUnprocessableEntity
	case sources.Malformed:
		status = http.StatusBadGateway
	default:
		seconds := max(1, int(math.Ceil(known.RetryAfter.Seconds())))
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"status": status, "title": http.StatusText(status), "detail": known.Err.Error(), "kind": known.Kind.String(), "source": known.Source, "op": known.Op,
	})
}

// readQuestion decodes one object strictly.
func readQuestion[Q any](body []byte) (q Q, err error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return q, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return q, errors.New("something follows it")
	}
	return q, nil
}

// check returns what is wrong with a question that was read with an error or none, and
// makes its signal one of the source in the address.
func (q *ArmQuestion) check(source string, err error) error {
	if err == nil {
		err = errors.Join(of(&q.Signal, source), q.Between.check())
	}
	for i, m := range q.Matches {
		if m.Name == "" || len(m.Values) == 0 {
			err = errors.Join(err, fmt.Errorf("matches[%d]: a name and at least one value are needed", i))
		}
	}
	if err != nil {
		return errQuestion{err}
	}
	return nil
}

// of makes the signal one of the source in the address.
func of(signal *analysis.Signal, source string) error {
	if signal.Source != "" && signal.Source != source {
		return fmt.Errorf("signal.source: %q, but the address names %q", signal.Source, source)
	}
	signal.Source = source
	return nil
}

func given(key, value string) error {
	if value == "" {
		return fmt.Errorf("%s: missing", key)
	}
	return nil
}

// check refuses instants that nanoseconds since 1970 cannot hold, and spans that
// would be work for nothing.
func (b Between) check() error {
	for _, end := range []struct {
		key string
		at  time.Time
	}{{"from", b.From}, {"to", b.To}} {
		if year := end.at.UTC().Year(); year < 1970 || year > 2261 {
			return fmt.Errorf("%s: missing, or not between the years 1970 and 2261", end.key)
		}
	}
	if span := b.To.Sub(b.From); span <= 0 || span > maxAskedSpan {
		return fmt.Errorf("from and to: %v apart; legal is more than 0s and at most %v", span, maxAskedSpan)
	}
	return nil
}

// newestMinutes leaves out whole minutes from the beginning of what one answer does
// not hold.
func newestMinutes(sums []analysis.MinuteSum) (newest []analysis.MinuteSum, shortened bool) {
	if len(sums) <= maxSums {
		return sums, false
	}
	cut := len(sums) - maxSums
	for cut < len(sums) && sums[cut].Minute.Equal(sums[cut-1].Minute) {
		cut++
	}
	return sums[cut:], true
}

// legal lists the keys of a table.
func legal[V any](table map[string]V) string {
	if len(table) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(table)), ", ")
}
