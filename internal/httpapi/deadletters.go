package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// letterSummary is a dead letter as lists show it: what was refused and why, without
// the record itself.
type letterSummary struct {
	ID           int64                 `json:"id"`
	Reason       string                `json:"reason"`
	Error        string                `json:"error"`
	At           time.Time             `json:"at"`
	Topic        string                `json:"topic"` // "http" for what was posted, with partition -1
	Partition    int                   `json:"partition"`
	Offset       int64                 `json:"offset"`
	LastOffset   int64                 `json:"lastOffset"` // beyond offset: a batch that could not be opened
	EventSource  string                `json:"eventSource,omitempty"`
	EventID      string                `json:"eventId,omitempty"`
	DeploymentID analysis.DeploymentID `json:"deploymentId,omitempty"`
	Bytes        int64                 `json:"bytes"` // of the value
	Replay       *letterReplay         `json:"replay"`
}

// letterReplay is what became of the last replay; null before the first.
type letterReplay struct {
	Outcome string    `json:"outcome"` // accepted, duplicate, ignored, refused
	Error   string    `json:"error,omitempty"`
	At      time.Time `json:"at"`
	Times   int       `json:"times"`
}

// letterRecord is a dead letter with its record. Bytes are base64: they may be
// anything.
type letterRecord struct {
	letterSummary
	Key     []byte         `json:"key"`
	Value   []byte         `json:"value"`
	Headers []letterHeader `json:"headers"`
}

type letterHeader struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

func summaryOfLetter(d store.DeadLetter, size int64) letterSummary {
	out := letterSummary{
		ID: d.ID, Reason: d.Reason, Error: d.Error, At: d.At, Topic: d.Topic, Partition: d.Partition, Offset: d.Offset, LastOffset: d.LastOffset,
		EventSource: d.EventSource, EventID: d.EventID, DeploymentID: d.DeploymentID, Bytes: size,
	}
	if r := d.Replay; r.Outcome != "" {
		out.Replay = &letterReplay{r.Outcome, r.Error, r.At, r.Times}
	}
	return out
}

// deadLetters lists them, the newest first.
func (s *server) deadLetters(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	filter := store.LetterFilter{Reason: q.Get("reason")}
	unsettled, err := flag(q, "unsettled")
	filter.Unsettled = unsettled
	if err == nil {
		filter.Limit, err = number[int](q, "limit", 1, 1000)
	}
	if err == nil {
		filter.Before, err = number[int64](q, "before", 1, 1<<62)
	}
	if err == nil {
		err = knownReason(filter.Reason)
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	letters, sizes, err := s.Store.ListDeadLetters(r.Context(), filter)
	if err != nil {
		s.failed(w, err)
		return
	}
	out := struct {
		DeadLetters []letterSummary `json:"deadLetters"`
	}{DeadLetters: []letterSummary{}}
	for i, d := range letters {
		out.DeadLetters = append(out.DeadLetters, summaryOfLetter(d, sizes[i]))
	}
	writeJSON(w, http.StatusOK, out)
}

// deadLetter shows one with its record.
func (s *server) deadLetter(w http.ResponseWriter, r *http.Request) {
	id, err := letterID(r)
	if err != nil {
		problem(w, http.StatusNotFound, err.Error())
		return
	}
	d, err := s.Store.DeadLetter(r.Context(), id)
	if err != nil {
		s.letterFailed(w, id, err)
		return
	}
	out := letterRecord{letterSummary: summaryOfLetter(d, int64(len(d.Value))), Key: d.Key, Value: d.Value, Headers: []letterHeader{}}
	for _, h := range d.Headers {
		out.Headers = append(out.Headers, letterHeader(h))
	}
	writeJSON(w, http.StatusOK, out)
}

// replay hands one dead letter to intake again and answers what became of it.
func (s *server) replay(w http.ResponseWriter, r *http.Request) {
	id, err := letterID(r)
	if err != nil {
		problem(w, http.StatusNotFound, err.Error())
		return
	}
	d, err := s.Replay(r.Context(), id, caller(r))
	if err != nil {
		s.letterFailed(w, id, err)
		return
	}
	writeJSON(w, http.StatusOK, summaryOfLetter(d, int64(len(d.Value))))
}

// atOnce is how many dead letters one request replays: each is a transaction, and
// the request must be over before its caller gives up.
const atOnce = 100

// replayMany replays those that no replay has settled, oldest first. Who wants all
// asks again with after = last until more is false.
func (s *server) replayMany(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := number[int64](q, "after", 0, 1<<62)
	if err == nil {
		err = knownReason(q.Get("reason"))
	}
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	ids, err := s.Store.Unsettled(r.Context(), q.Get("reason"), after, atOnce+1)
	if err != nil {
		s.failed(w, err)
		return
	}
	out := struct {
		DeadLetters []letterSummary `json:"deadLetters"`
		Last        int64           `json:"last"` // the id of the last one that was replayed
		More        bool            `json:"more"`
	}{DeadLetters: []letterSummary{}, Last: after, More: len(ids) > atOnce}
	for _, id := range ids[:min(len(ids), atOnce)] {
		d, err := s.Replay(r.Context(), id, caller(r))
		if errors.Is(err, store.ErrNotFound) {
			continue // retention was quicker
		}
		if err != nil {
			s.letterFailed(w, id, err)
			return
		}
		out.Last = id
		out.DeadLetters = append(out.DeadLetters, summaryOfLetter(d, int64(len(d.Value))))
	}
	writeJSON(w, http.StatusOK, out)
}

// caller is who asks, as the audit log names them.
func caller(r *http.Request) string {
	if by := r.URL.Query().Get("by"); by != "" {
		return verdicts.Line(by)
	}
	return "a caller of the HTTP interface"
}

// knownReason refuses a reason that no dead letter has, which would match nothing
// for ever.
func knownReason(text string) error {
	if text == "" || slices.Contains(intake.Reasons, intake.Reason(text)) {
		return nil
	}
	return fmt.Errorf("reason %q is not known (legal: %s)", text, intake.Reasons)
}

func letterID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, errors.New("a dead letter's id is a number, as the list shows it")
	}
	return id, nil
}

func (s *server) letterFailed(w http.ResponseWriter, id int64, err error) {
	if errors.Is(err, store.ErrNotFound) {
		problem(w, http.StatusNotFound, fmt.Sprintf("no dead letter has the id %d, or retention has removed it", id))
		return
	}
	s.failed(w, err)
}
