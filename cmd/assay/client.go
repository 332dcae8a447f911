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
	"github.com/release-assay/assay/verdicts/report"
)

// client asks an Assay server over HTTP.
type client struct {
	base string
	name string // base without a password, for messages
	http *http.Client
}

// maxAnswer bounds an answer that is held in memory, in bytes.
const maxAnswer = 64 << 20

func newClient(server string) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, usage(fmt.Errorf("--server %q is no address (write http://HOST:PORT)", server))
	}
	return &client{strings.TrimSuffix(server, "/"), verdicts.Plain(u.Redacted()), &http.Client{Timeout: 30 * time.Second}}, nil
}

// errUnknown: the server does not know what it was asked for.
var errUnknown = errors.New("the server does not know it")

// do sends a request and returns the body of a success.
func (c *client) do(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, int, error) {
	data, status, _, err := c.send(ctx, method, path, header, body)
	return data, status, err
}

// send is do with the headers of the answer.
func (c *client) send(ctx context.Context, method, path string, header http.Header, body []byte) ([]byte, int, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, nil, usage(err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, 0, nil, c.unreachable(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, res.StatusCode, nil, internal(fmt.Errorf("the answer of %s broke off: %w", c.name, err))
	case len(data) > maxAnswer:
		return nil, res.StatusCode, nil, internal(fmt.Errorf("the answer of %s has more than %d bytes", c.name, maxAnswer))
	}
	return data, res.StatusCode, res.Header, c.refusal(res, path, data)
}

func (c *client) unreachable(err error) error {
	return internal(fmt.Errorf("no answer from %s: %w (is 'assay serve' running there? --server names another)", c.name, err))
}

// refusal is the error that an answer is, nil where it is none. What the server
// refuses for what it was asked is a mistake in the command.
func (c *client) refusal(res *http.Response, path string, data []byte) error {
	switch {
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return &exitError{exitAuth, fmt.Errorf("%s refuses: %s", c.name, detailOf(data))}
	case res.StatusCode == http.StatusNotFound:
		address, _, _ := strings.Cut(path, "?")
		return usage(fmt.Errorf("%w: %s (%s)", errUnknown, detailOf(data), address))
	case res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusConflict && res.Header.Get("Retry-After") == "":
		return usage(fmt.Errorf("%s refuses: %s", c.name, detailOf(data)))
	case res.StatusCode >= 400:
		return internal(fmt.Errorf("%s answers %s: %s", c.name, res.Status, detailOf(data)))
	}
	return nil
}

// detailOf is the detail of a problem, else the beginning of the body, as one line. It
// may quote what strangers have sent.
func detailOf(body []byte) string {
	var p struct{ Detail, Error, Reason string }
	switch err := json.Unmarshal(body, &p); {
	case err == nil && p.Detail != "":
		return verdicts.Plain(p.Detail)
	case err == nil && p.Error != "":
		return verdicts.Plain(p.Reason + ": " + p.Error)
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
		return v, nil, internal(fmt.Errorf("the answer of %s is no verdict: %w", c.name, err))
	}
	return v, bytes.TrimSpace(body), nil
}

// changed waits up to the given time for a verdict that differs from the one with the
// given entity tag; without a tag it answers at once. Same is true where nothing has
// changed. An older server knows neither tags nor waiting and answers at once.
func (c *client) changed(ctx context.Context, key, tag string, wait time.Duration) (v verdicts.Verdict, body []byte, newTag string, same bool, err error) {
	path, header := "/v1/validations/"+url.PathEscape(key)+"/verdict", http.Header{}
	if tag != "" {
		path += "?wait=" + wait.Truncate(time.Millisecond).String()
		header.Set("If-None-Match", tag)
	}
	body, status, answered, err := c.send(ctx, http.MethodGet, path, header, nil)
	if err != nil || status == http.StatusNotModified {
		return v, nil, tag, err == nil, err
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return v, nil, "", false, internal(fmt.Errorf("the answer of %s is no verdict: %w", c.name, err))
	}
	return v, bytes.TrimSpace(body), answered.Get("ETag"), false, nil
}

// detail is a validation as the server shows it.
type detail struct {
	ID         analysis.ValidationID `json:"id"`
	Phase      string                `json:"phase"`
	Deployment analysis.Deployment   `json:"deployment"`
	Verdict    *verdicts.Verdict     `json:"verdict"`
	Plan       *analysis.Plan        `json:"plan"`
	Links      []report.Link         `json:"links"`
}

// validation asks for a validation by its id or its deployment's.
func (c *client) validation(ctx context.Context, id string) (detail, []byte, error) {
	var d detail
	body, _, err := c.do(ctx, http.MethodGet, "/v1/validations/"+url.PathEscape(id), nil, nil)
	if err != nil {
		return d, nil, err
	}
	if err := json.Unmarshal(body, &d); err != nil {
		return d, nil, internal(fmt.Errorf("the answer of %s is no validation: %w", c.name, err))
	}
	return d, bytes.TrimSpace(body), nil
}

// askJSON asks a server and reads its answer, which it also returns as it came.
func askJSON(ctx context.Context, server, method, path string, into any) ([]byte, error) {
	c, err := newClient(server)
	if err != nil {
		return nil, err
	}
	body, _, err := c.do(ctx, method, path, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, internal(fmt.Errorf("the answer of %s is not understood: %w", c.name, err))
	}
	return bytes.TrimSpace(body), nil
}

// download streams an answer, which may take as long as it takes.
func download(ctx context.Context, server, method, path string, w io.Writer) error {
	c, err := newClient(server)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return usage(err)
	}
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return internal(err)
		}
		if err := c.refusal(res, path, data); err != nil {
			return err
		}
		return &exitError{exitTimeout, errors.New(detailOf(data))} // 202: it is not there yet
	}
	if _, err := io.Copy(w, res.Body); err != nil {
		return internal(fmt.Errorf("the answer of %s broke off: %w", c.name, err))
	}
	return nil
}
