package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// client asks an Assay server over HTTP.
type client struct {
	base string
	http *http.Client
}

const maxAnswer = 64 << 20

func newClient(server string) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage(fmt.Errorf("--server %q is no address (write http://HOST:PORT)", server))
	}
	return &client{strings.TrimSuffix(server, "/"), &http.Client{Timeout: 30 * time.Second}}, nil
}

// errUnknown: the server knows no such validation.
var errUnknown = errors.New("the server knows no such validation or deployment")

// do sends a request and returns the body of a success.
func (c *client) do(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, int, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, usage(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, 0, internal(fmt.Errorf("no answer from %s: %w (is 'assay serve' running there? --server names another)", c.base, err))
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, res.StatusCode, internal(fmt.Errorf("the answer of %s broke off: %w", c.base, err))
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return nil, res.StatusCode, &exitError{exitAuth, fmt.Errorf("%s refuses: %s", c.base, detailOf(data))}
	case res.StatusCode == http.StatusNotFound:
		return nil, res.StatusCode, internal(fmt.Errorf("%w (%s)", errUnknown, path))
	case res.StatusCode >= 400:
		return data, res.StatusCode, internal(fmt.Errorf("%s answers %s: %s", c.base, res.Status, detailOf(data)))
	}
	return data, res.StatusCode, nil
}

// detailOf is the detail of a problem, else the body's first line.
func detailOf(body []byte) string {
	var p struct{ Detail, Error, Reason string }
	if json.Unmarshal(body, &p) == nil && p.Detail != "" {
		return p.Detail
	}
	if p.Error != "" {
		return p.Reason + ": " + p.Error
	}
	return verdicts.Line(string(body))
}

// verdict asks for the verdict of a key.
func (c *client) verdict(ctx context.Context, key string) (verdicts.Verdict, []byte, error) {
	var v verdicts.Verdict
	body, _, err := c.do(ctx, http.MethodGet, "/v1/validations/"+url.PathEscape(key)+"/verdict", nil, nil)
	if err != nil {
		return v, nil, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, nil, internal(fmt.Errorf("the answer of %s is no verdict: %w", c.base, err))
	}
	return v, bytes.TrimSpace(body), nil
}

// detail is a validation as the server shows it.
type detail struct {
	ID         analysis.ValidationID `json:"id"`
	Phase      string                `json:"phase"`
	Deployment analysis.Deployment   `json:"deployment"`
	Verdict    *verdicts.Verdict     `json:"verdict"`
	Plan       *analysis.Plan        `json:"plan"`
}

// validation asks for a validation by its id or its deployment's.
func (c *client) validation(ctx context.Context, id string) (detail, []byte, error) {
	var d detail
	body, _, err := c.do(ctx, http.MethodGet, "/v1/validations/"+url.PathEscape(id), nil, nil)
	if err != nil {
		return d, nil, err
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return d, nil, internal(fmt.Errorf("the answer of %s is no validation: %w", c.base, err))
	}
	return d, bytes.TrimSpace(body), nil
}
