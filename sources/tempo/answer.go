package tempo

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/exemplar"
)

// parseSearch reads the traces of a search, as candidates. Whether one failed is what the
// query asked for.
func parseSearch(body []byte, kind analysis.ExemplarKind) ([]exemplar.Candidate, error) {
	type spanSet struct {
		Spans []struct {
			DurationNanos string `json:"durationNanos"`
		} `json:"spans"`
	}
	var answer struct {
		Traces []struct {
			TraceID    string    `json:"traceID"`
			DurationMs int64     `json:"durationMs"`
			SpanSet    spanSet   `json:"spanSet"` // before Tempo 2.2 or so
			SpanSets   []spanSet `json:"spanSets"`
		} `json:"traces"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", exemplar.ErrMalformed, err)
	}
	var out []exemplar.Candidate
	for _, t := range answer.Traces {
		id, err := fullID(t.TraceID)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", exemplar.ErrMalformed, err)
		}
		c := exemplar.Candidate{ID: id, Failed: kind == analysis.ExemplarFailed}
		for _, set := range append(t.SpanSets, t.SpanSet) {
			for _, s := range set.Spans {
				if n, err := strconv.ParseInt(s.DurationNanos, 10, 64); err == nil {
					c.Took = max(c.Took, time.Duration(n))
				}
			}
		}
		if c.Took == 0 {
			c.Took = time.Duration(t.DurationMs) * time.Millisecond
		}
		out = append(out, c)
	}
	return out, nil
}

var hexID = regexp.MustCompile(`^[0-9a-f]{1,32}$`)

// fullID returns a trace id with the zeros that Tempo leaves away.
func fullID(id string) (string, error) {
	id = strings.ToLower(id)
	if !hexID.MatchString(id) {
		return "", fmt.Errorf("%q is no trace id (32 hexadecimal digits)", id)
	}
	return strings.Repeat("0", 32-len(id)) + id, nil
}

// parseTrace reads the answer to a question for one id.
func parseTrace(body []byte) ([]*exemplar.Trace, error) {
	var answer struct {
		Trace  json.RawMessage `json:"trace"`
		Status string          `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%w: %w", exemplar.ErrMalformed, err)
	}
	if len(answer.Trace) == 0 || answer.Trace[0] != '{' {
		return nil, fmt.Errorf("%w: there is no \"trace\"", exemplar.ErrMalformed)
	}
	otlp, err := normalise(answer.Trace)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", exemplar.ErrMalformed, err)
	}
	traces, err := exemplar.Read(otlp)
	for _, t := range traces {
		t.Partial = answer.Status == "PARTIAL"
	}
	return traces, err
}

// normalise turns ids in base64 into hexadecimal digits, as OTLP has them in JSON, and
// gives the list of resources its name of today.
func normalise(trace []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(trace))
	d.UseNumber()
	var root map[string]any
	if err := d.Decode(&root); err != nil {
		return nil, err
	}
	if old, ok := root["batches"]; ok && root["resourceSpans"] == nil {
		root["resourceSpans"] = old
		delete(root, "batches")
	}
	for _, v := range root {
		fixIDs(v)
	}
	return json.Marshal(root)
}

func fixIDs(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			fixIDs(e)
		}
	case map[string]any:
		for key, e := range v {
			id, isText := e.(string)
			switch key {
			case "traceId", "spanId", "parentSpanId":
				if isText {
					v[key] = hexOf(id)
				}
			case "attributes": // hold no ids, and values of the user
			default:
				fixIDs(e)
			}
		}
	}
}

// hexOf returns an id in hexadecimal digits. Base64 of 8 and 16 bytes has 12 and 24
// characters, hexadecimal 16 and 32, so that neither is taken for the other.
func hexOf(id string) string {
	if len(id) != 12 && len(id) != 24 {
		return id
	}
	raw, err := base64.StdEncoding.DecodeString(id)
	if err != nil {
		return id
	}
	return hex.EncodeToString(raw)
}
