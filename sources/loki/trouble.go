package loki

import (
	"errors"
	"net/http"

	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

// A Trouble is why a server gives no answers, in the eyes of the person who wrote its
// address down.
type Trouble uint8

const (
	Unreachable Trouble = iota // no connection, TLS, timeout; or it is down for now
	Denied                     // credentials, or the tenant, are missing or not enough
	NotLoki                    // something answers, but not as Loki does: a wrong port or path, a login page
	Refused                    // Loki itself refuses the question, or answers what cannot be
)

// Diagnose says which trouble an error of a Source is a sign of.
func Diagnose(err error) Trouble {
	var status *httpquery.StatusError
	isStatus := errors.As(err, &status)
	switch {
	case isStatus && (status.Code == http.StatusUnauthorized || status.Code == http.StatusForbidden):
		return Denied
	case errors.Is(err, httpquery.ErrNotJSON), errors.Is(err, httpquery.ErrRedirect), errors.Is(err, errNotLoki):
		return NotLoki
	case isStatus && (status.Page || status.Code == http.StatusNotFound) && sources.KindOf(err) == sources.Rejected:
		return NotLoki
	case sources.KindOf(err) == sources.Unavailable:
		return Unreachable
	}
	return Refused
}
