package loki

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/release-assay/assay/internal/httpquery"
	"github.com/release-assay/assay/sources"
)

var (
	errNotLoki = errors.New("the answer is JSON, but not as Loki answers")
	errNoLogs  = errors.New("it knows log lines and nothing else")
)

// longest is how long an address may become before the question goes into the body.
const longest = 4 << 10

// get asks the API and returns the body of a success: complete, valid JSON within the
// limit of bytes.
func (s *Source) get(ctx context.Context, path string, parameters url.Values) ([]byte, error) {
	u, err := url.Parse(s.root)
	if err != nil {
		return nil, err
	}
	u.Path = strings.TrimRight(u.Path, "/") + "/loki/api/v1/" + path
	fixed := u.Query() // of the configuration, sent with every query
	method, body := http.MethodGet, ""
	if text := parameters.Encode(); len(text) > longest {
		method, body = http.MethodPost, text
	} else {
		for name, values := range parameters {
			fixed[name] = values
		}
	}
	u.RawQuery = fixed.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("X-Loki-Response-Encoding-Flags", "categorize-labels")
	if s.tenant != "" {
		req.Header.Set("X-Scope-OrgID", s.tenant)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	return httpquery.Answer(resp, s.maxBytes)
}

// fault classifies an error of one operation.
func (s *Source) fault(op string, err error) error {
	if known := (*sources.Error)(nil); errors.As(err, &known) {
		return err
	}
	e := httpquery.Fault(s.name, op, err)
	if errors.Is(err, errNotLoki) {
		e.Kind = sources.Malformed
	}
	return e
}

// tooLarge reports whether an answer was larger than we or the server's own parts take,
// so that fewer lines at once may do.
func tooLarge(err error) bool {
	var status *httpquery.StatusError
	return errors.Is(err, httpquery.ErrTooBig) || errors.As(err, &status) && status.Code/100 == 5 && strings.Contains(status.Message, "larger than max")
}
