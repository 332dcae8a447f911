package prometheus

import (
	"errors"
	"net/http"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"

	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

// A Trouble is why a server gives no answers, in the eyes of the person who wrote
// its address down.
type Trouble uint8

const (
	Unreachable Trouble = iota // no connection, TLS, timeout; or it is down for now
	Denied                     // credentials are missing or not enough
	NotAnAPI                   // something answers, but not as Prometheus does: a wrong port or path, a login page
	Refused                    // Prometheus itself refuses the question, or answers what cannot be
)

var errNotPrometheus = errors.New("the answer is JSON, but not as Prometheus answers")

// Diagnose says which trouble an error of a Source is a sign of.
func Diagnose(err error) Trouble {
	var (
		status *httpquery.StatusError
		answer *v1.Error
	)
	switch {
	case errors.As(err, &status) && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		return Denied
	case errors.Is(err, httpquery.ErrNotJSON), errors.Is(err, httpquery.ErrRedirect), errors.Is(err, errNotPrometheus):
		return NotAnAPI
	case errors.As(err, &status) && saidOf(status).ErrorType == "" && sources.KindOf(err) == sources.Rejected:
		return NotAnAPI
	case errors.As(err, &answer) && answer.Type == v1.ErrBadResponse: // JSON of another kind
		return NotAnAPI
	case sources.KindOf(err) == sources.Unavailable:
		return Unreachable
	}
	return Refused
}
