package replay

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Recording is telemetry as it was exported, in no product's words: cumulative
// counters and histograms, and gauges, of pods. Attribute names are OpenTelemetry's.
type Recording struct {
	Pods []Pod
}

// A Pod is one exporting process. A pod with several processes is several Pods
// with the same name; their counts are added.
type Pod struct {
	// Attributes say who the pod is: analysis.AttrService, AttrPod and so on, and
	// whatever else a cohort may select on.
	Attributes map[string]string
	// Starts holds when the pod's counters began to count, ascending; each after
	// the first is a restart. Empty: unknown.
	Starts []time.Time
	Series []Series
	// Lines are what the pod wrote, as it wrote it: Text is the whole entry, not yet
	// read (JSON, logfmt, or words), Severity and TraceID are what came beside it. Pod
	// is empty: it is this one. Ascending in time.
	Lines []analysis.Line
	// Spans are those of the pod's part in requests, ascending by their ends.
	Spans []Span
}

// A Series is one label combination of one cumulative counter, gauge or cumulative
// histogram.
type Series struct {
	Metric     string
	Field      analysis.Field // empty: FieldValue
	Attributes map[string]string
	Gauge      bool              // the samples are levels, which may be negative
	Samples    []analysis.Sample // of a counter or gauge, ascending in time
	Histograms []HistogramSample // of a histogram, ascending in time
}

// A HistogramSample is what a histogram held at one instant.
type HistogramSample struct {
	T time.Time
	analysis.Histogram
}

// Name returns the name by which rows know the pod: its analysis.AttrPod, else its
// analysis.AttrInstance.
func (p Pod) Name() string {
	if name := p.Attributes[analysis.AttrPod]; name != "" {
		return name
	}
	return p.Attributes[analysis.AttrInstance]
}

// Until returns what r held at the instant t: samples, starts and lines at or before it,
// and the spans that had ended.
// It shares memory with r.
func (r Recording) Until(t time.Time) Recording {
	var cut Recording
	for _, pod := range r.Pods {
		pod.Starts = pod.Starts[:countUntil(pod.Starts, t, func(s time.Time) time.Time { return s })]
		series := pod.Series
		pod.Series = nil
		for _, s := range series {
			s.Samples = s.Samples[:countUntil(s.Samples, t, timeOf)]
			s.Histograms = s.Histograms[:countUntil(s.Histograms, t, timeOfHistogram)]
			if len(s.Samples)+len(s.Histograms) > 0 {
				pod.Series = append(pod.Series, s)
			}
		}
		pod.Lines = pod.Lines[:countUntil(pod.Lines, t, timeOfLine)]
		pod.Spans = pod.Spans[:countUntil(pod.Spans, t, endOfSpan)]
		if len(pod.Series)+len(pod.Lines)+len(pod.Spans) > 0 {
			cut.Pods = append(cut.Pods, pod)
		}
	}
	return cut
}

func timeOf(s analysis.Sample) time.Time { return s.T }

func timeOfHistogram(s HistogramSample) time.Time { return s.T }

// countUntil returns how many of the ascending items are at or before t.
func countUntil[T any](items []T, t time.Time, at func(T) time.Time) int {
	n, _ := slices.BinarySearchFunc(items, t, func(item T, t time.Time) int {
		if at(item).After(t) {
			return 1
		}
		return -1
	})
	return n
}

// Validate returns every fault of r, joined.
func (r Recording) Validate() error {
	var errs []error
	for _, pod := range r.Pods {
		if !slices.IsSortedFunc(pod.Starts, time.Time.Compare) {
			errs = append(errs, fmt.Errorf("pod %q: starts are not ascending", pod.Name()))
		}
		for _, err := range append(validateLines(pod.Lines), validateSpans(pod.Spans)...) {
			errs = append(errs, fmt.Errorf("pod %q: %w", pod.Name(), err))
		}
		for _, s := range pod.Series {
			if s.Metric == "" {
				errs = append(errs, fmt.Errorf("pod %q: a series without a metric", pod.Name()))
			}
			for _, err := range s.validate() {
				errs = append(errs, fmt.Errorf("pod %q: %s: %w", pod.Name(), s.Metric, err))
			}
		}
	}
	return errors.Join(errs...)
}

func (s Series) validate() (errs []error) {
	for i, sample := range s.Samples {
		if i > 0 && !sample.T.After(s.Samples[i-1].T) {
			errs = append(errs, fmt.Errorf("sample %d is not later than the one before", i+1))
		}
		if math.IsNaN(sample.V) || math.IsInf(sample.V, 0) || sample.V < 0 && !s.Gauge {
			errs = append(errs, fmt.Errorf("sample %d: a counter cannot be %v", i+1, sample.V))
		}
	}
	for i, sample := range s.Histograms {
		if i > 0 && !sample.T.After(s.Histograms[i-1].T) {
			errs = append(errs, fmt.Errorf("histogram %d is not later than the one before", i+1))
		}
		if err := sample.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("histogram %d: %w", i+1, err))
		} else if sample.Exact || (sample.Schema == nil) != (s.Histograms[0].Schema == nil) {
			errs = append(errs, fmt.Errorf("histogram %d: a series has either classic or exponential buckets", i+1))
		}
	}
	if len(s.Histograms) > 0 && (s.Gauge || len(s.Samples) > 0) {
		errs = append(errs, errors.New("a histogram has no samples of its own, and is no gauge"))
	}
	return errs
}

// A recording is written as JSON lines: a header, then one pod a line. Times are
// nanoseconds since the epoch, in columns, because samples are most of the file.
const format = "assay.recording.v1"

type headerLine struct {
	Format string `json:"format"`
}

type podLine struct {
	Attributes map[string]string `json:"attributes"`
	Starts     []int64           `json:"starts,omitempty"`
	Series     []seriesLine      `json:"series"`
	Lines      []lineLine        `json:"lines,omitempty"`
	Spans      []spanLine        `json:"spans,omitempty"`
}

type seriesLine struct {
	Metric     string            `json:"metric"`
	Field      analysis.Field    `json:"field,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	Gauge      bool              `json:"gauge,omitempty"`
	Times      []int64           `json:"times"`
	// One of these has as many entries as there are times.
	Values     []float64            `json:"values,omitempty"`
	Histograms []analysis.Histogram `json:"histograms,omitempty"`
}

// Write writes r as JSON lines. The same recording gives the same bytes.
func (r Recording) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(headerLine{format}); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	for _, pod := range r.Pods {
		line := podLine{Attributes: pod.Attributes}
		for _, s := range pod.Starts {
			line.Starts = append(line.Starts, s.UnixNano())
		}
		for _, s := range pod.Series {
			out := seriesLine{Metric: s.Metric, Field: s.Field, Attributes: s.Attributes, Gauge: s.Gauge}
			for _, sample := range s.Samples {
				out.Times = append(out.Times, sample.T.UnixNano())
				out.Values = append(out.Values, sample.V)
			}
			for _, sample := range s.Histograms {
				out.Times = append(out.Times, sample.T.UnixNano())
				out.Histograms = append(out.Histograms, sample.Histogram)
			}
			line.Series = append(line.Series, out)
		}
		line.Lines, line.Spans = linesOf(pod.Lines), spansOf(pod.Spans)
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("recording: pod %q: %w", pod.Name(), err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("recording: %w", err)
	}
	return nil
}

// ReadRecording reads what Write wrote and validates it. An unknown key is an error.
func ReadRecording(r io.Reader) (Recording, error) {
	dec := json.NewDecoder(bufio.NewReader(r))
	dec.DisallowUnknownFields()
	var header headerLine
	if err := dec.Decode(&header); err != nil {
		return Recording{}, fmt.Errorf("recording: header: %w", err)
	}
	if header.Format != format {
		return Recording{}, fmt.Errorf("recording: format %q, want %q", header.Format, format)
	}
	var rec Recording
	for n := 1; ; n++ {
		var line podLine
		err := dec.Decode(&line)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Recording{}, fmt.Errorf("recording: pod %d: %w", n, err)
		}
		pod, err := line.pod()
		if err != nil {
			return Recording{}, fmt.Errorf("recording: pod %d: %w", n, err)
		}
		rec.Pods = append(rec.Pods, pod)
	}
	if err := rec.Validate(); err != nil {
		return Recording{}, fmt.Errorf("recording: %w", err)
	}
	return rec, nil
}

func (l podLine) pod() (Pod, error) {
	pod := Pod{Attributes: maps.Clone(l.Attributes)}
	for _, ns := range l.Starts {
		pod.Starts = append(pod.Starts, time.Unix(0, ns).UTC())
	}
	for _, s := range l.Series {
		if n := max(len(s.Values), len(s.Histograms)); len(s.Times) != n || min(len(s.Values), len(s.Histograms)) > 0 {
			return Pod{}, fmt.Errorf("%s: %d times but %d values and %d histograms", s.Metric, len(s.Times), len(s.Values), len(s.Histograms))
		}
		series := Series{Metric: s.Metric, Field: s.Field, Attributes: s.Attributes, Gauge: s.Gauge}
		for i, ns := range s.Times {
			at := time.Unix(0, ns).UTC()
			if s.Values != nil {
				series.Samples = append(series.Samples, analysis.Sample{T: at, V: s.Values[i]})
			} else {
				series.Histograms = append(series.Histograms, HistogramSample{at, s.Histograms[i]})
			}
		}
		pod.Series = append(pod.Series, series)
	}
	pod.Lines, pod.Spans = readLines(l.Lines), readSpans(l.Spans)
	return pod, nil
}
