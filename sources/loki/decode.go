package loki

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/release-assay/assay/internal/httpquery"
)

// An answer is the part of every answer of the query API that is read.
type answer struct {
	Status   string   `json:"status"`
	Warnings []string `json:"warnings"`
	Data     struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

// An entry is one line with its time and labels.
type entry struct {
	at     int64             // nanoseconds since the epoch
	stream map[string]string // shared by the entries of a stream
	meta   map[string]string // the line's own: structured metadata and what was parsed
	line   string
	order  string // of streams among entries of one instant
}

// label returns a label of the line, its own first.
func (e *entry) label(name string) string {
	if v := e.meta[name]; v != "" {
		return v
	}
	return e.stream[name]
}

func (e *entry) time() time.Time { return time.Unix(0, e.at).UTC() }

// UnmarshalJSON reads ["<ns>", "line"] with or without a third part that holds the
// labels of the line by where they came from. Servers that do not tell these apart put
// them among those of the stream.
func (e *entry) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) < 2 {
		return errors.New("a line without a time or a text")
	}
	var at string
	if err := json.Unmarshal(parts[0], &at); err != nil {
		return fmt.Errorf("the time of a line: %w", err)
	}
	var err error
	if e.at, err = strconv.ParseInt(at, 10, 64); err != nil {
		return fmt.Errorf("the time of a line is %.40q, not nanoseconds", at)
	}
	if err := json.Unmarshal(parts[1], &e.line); err != nil {
		return fmt.Errorf("a line: %w", err)
	}
	if len(parts) < 3 {
		return nil
	}
	var own struct{ StructuredMetadata, Parsed map[string]string }
	if err := json.Unmarshal(parts[2], &own); err != nil {
		return fmt.Errorf("the metadata of a line: %w", err)
	}
	e.meta = own.StructuredMetadata
	for name, value := range own.Parsed {
		if e.meta == nil {
			e.meta = map[string]string{}
		}
		e.meta[name] = value
	}
	return nil
}

// streams reads an answer of lines.
func (i *inquiry) streams(query string, body []byte) ([]entry, error) {
	a, err := i.accept(query, body, "streams")
	if err != nil {
		return nil, err
	}
	var found []struct {
		Stream map[string]string `json:"stream"`
		Values []entry           `json:"values"`
	}
	if err := json.Unmarshal(a.Data.Result, &found); err != nil {
		return nil, i.wrong(i.op, query, "%w: %w", errNotLoki, err)
	}
	var all []entry
	for _, s := range found {
		order := nameOf(s.Stream)
		for k := range s.Values {
			e := &s.Values[k]
			if k > 0 && e.at < s.Values[k-1].at {
				return nil, i.wrong(i.op, query, "the times of {%.300s} go backwards", order)
			}
			e.stream, e.order = s.Stream, order
			all = append(all, *e)
		}
	}
	return all, nil
}

// A point is one value of a metric query.
type point struct {
	labels map[string]string
	at     time.Time
	value  float64
}

func (p *point) label(name string) string { return p.labels[name] }

// points reads an answer of counts, of one instant (vector) or of several (matrix).
func (i *inquiry) points(query string, body []byte, want string) ([]point, error) {
	a, err := i.accept(query, body, want)
	if err != nil {
		return nil, err
	}
	var found []struct {
		Metric map[string]string `json:"metric"`
		Value  sample            `json:"value"`
		Values []sample          `json:"values"`
	}
	if err := json.Unmarshal(a.Data.Result, &found); err != nil {
		return nil, i.wrong(i.op, query, "%w: %w", errNotLoki, err)
	}
	if len(found) > i.maxSeries {
		return nil, i.wrong(i.op, query, "more than %d series", i.maxSeries)
	}
	seen := map[string]bool{}
	var all []point
	for _, s := range found {
		name := nameOf(s.Metric)
		if seen[name] {
			return nil, i.wrong(i.op, query, "two series with the same labels {%.300s}", name)
		}
		seen[name] = true
		samples := s.Values
		if want == "vector" {
			samples = []sample{s.Value}
		}
		for k, v := range samples {
			if v.value < 0 || math.IsNaN(v.value) || math.IsInf(v.value, 0) {
				return nil, i.wrong(i.op, query, "a count that is %v {%.300s}", v.value, name)
			}
			if k > 0 && !v.at.After(samples[k-1].at) {
				return nil, i.wrong(i.op, query, "the times of {%.300s} do not ascend", name)
			}
			all = append(all, point{s.Metric, v.at, v.value})
		}
	}
	return all, nil
}

// accept checks what wraps an answer, and keeps its warnings.
func (i *inquiry) accept(query string, body []byte, want string) (answer, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return a, i.wrong(i.op, query, "%w: %w", errNotLoki, err)
	}
	if a.Status != "success" || a.Data.ResultType == "" {
		return a, i.wrong(i.op, query, "%w (status %.40q)", errNotLoki, a.Status)
	}
	if a.Data.ResultType != want {
		return a, i.wrong(i.op, query, "the answer is of type %.40q, not %s", a.Data.ResultType, want)
	}
	for _, w := range a.Warnings {
		i.warnings = append(i.warnings, httpquery.Clip(w))
	}
	return a, nil
}

// A sample is [seconds, "value"].
type sample struct {
	at    time.Time
	value float64
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *sample) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return errors.New("a sample without a time or a value")
	}
	var seconds float64
	var text string
	if err := errors.Join(json.Unmarshal(parts[0], &seconds), json.Unmarshal(parts[1], &text)); err != nil {
		return err
	}
	var err error
	if s.value, err = strconv.ParseFloat(text, 64); err != nil {
		return fmt.Errorf("the value of a sample is %.40q", text)
	}
	s.at = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return nil
}
