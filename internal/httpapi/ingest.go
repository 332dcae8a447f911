package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/verdicts"
)

// ResumeRequest is the body of POST /v1/ingest/resume: where stopped partitions of
// the topic of deployments go on.
type ResumeRequest struct {
	Partition *int   `json:"partition,omitempty"` // none: all that are stopped
	From      string `json:"from"`                // first, end, or an offset
	By        string `json:"by"`
	Reason    string `json:"reason,omitempty"`
}

// ResumeAnswer tells what became of each partition.
type ResumeAnswer struct {
	Resumed []intake.Resumed `json:"resumed"`
}

const maxResumeBody = 16 << 10

// resume carries out an operator's choice. 400: it cannot be read; 409: the
// partition is not stopped, or the log has no such offset; 503: the brokers or the
// store do not answer, send it again.
func (s *server) resume(w http.ResponseWriter, r *http.Request) {
	var request ResumeRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxResumeBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		problem(w, http.StatusBadRequest, "the body is no choice: "+err.Error())
		return
	}
	choice, err := request.choice()
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	resumed, err := s.Resume(r.Context(), choice)
	switch {
	case errors.Is(err, intake.ErrNotStopped), errors.Is(err, intake.ErrNoOffset):
		problem(w, http.StatusConflict, err.Error())
	case err != nil:
		w.Header().Set("Retry-After", "5")
		problem(w, http.StatusServiceUnavailable, fmt.Sprintf("%d partitions were resumed, then: %v", len(resumed), err))
	default:
		writeJSON(w, http.StatusOK, ResumeAnswer{Resumed: resumed})
	}
}

func (r ResumeRequest) choice() (intake.Choice, error) {
	c := intake.Choice{Partition: r.Partition, By: verdicts.Line(r.By), Reason: verdicts.Line(r.Reason)}
	if c.By == "" {
		return c, errors.New("by: missing; the audit log names who chose")
	}
	switch r.From {
	case "first":
		c.From = intake.FromFirst
	case "end":
		c.From = intake.FromEnd
	default:
		offset, err := strconv.ParseUint(r.From, 10, 63)
		if err != nil {
			return c, fmt.Errorf("from: %q; legal are first, end and an offset", r.From)
		}
		c.From = intake.From(offset)
	}
	return c, nil
}
