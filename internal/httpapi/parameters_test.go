package httpapi

import (
	"net/http"
	"strings"
	"testing"
)

// A parameter that is mistyped is an error: without it the answer would be to another
// question.
func TestUnknownParametersAreRefused(t *testing.T) {
	s := newSite(t)
	for address, legal := range map[string]string{
		"GET /v1/validations":                     "limit",
		"GET /v1/validations/d1":                  "wait",
		"GET /v1/validations/d1/verdict":          "after",
		"GET /v1/validations/d1/bundle":           "none",
		"POST /v1/validations/d1/cancel":          "by",
		"GET /v1/dead-letters":                    "unsettled",
		"GET /v1/dead-letters/1":                  "none",
		"POST /v1/dead-letters/1/replay":          "by",
		"POST /v1/dead-letters/replay":            "after",
		"POST /v1/ingest/resume":                  "none",
		"POST /v1/backup":                         "none",
		"GET /v1/validations/prod:a:1.0/verdict":  "format",
		"GET /v1/validations/unknown-key/verdict": "wait",
	} {
		method, path, _ := strings.Cut(address, " ")
		for _, query := range []string{"?wiat=30s", "?wait=%zz"} {
			code, _, body := s.get(method, path+query)
			if code != http.StatusBadRequest || strings.HasPrefix(query, "?wiat") && !strings.Contains(body, legal) {
				t.Errorf("%s%s: %d, want 400: %s", address, query, code, body)
			}
		}
	}
}
