package replay_test

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
	"github.com/release-assay/assay/sources/replay"
	"github.com/release-assay/assay/sources/sourcetest"
)

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Harness{
		Open: func(t *testing.T, rec replay.Recording) sources.Source {
			// Through the file format and back: what conforms is what was written.
			var file bytes.Buffer
			if err := rec.Write(&file); err != nil {
				t.Fatal(err)
			}
			read, err := replay.ReadRecording(&file)
			if err != nil {
				t.Fatal(err)
			}
			source, err := replay.New(read)
			if err != nil {
				t.Fatal(err)
			}
			return source
		},
		ReportsFresh: true, ReportsStart: true, ReportsObserved: true, Regexps: true,
		Histograms: true, Exponential: true, Levels: true, Strata: true, Lines: true, Spans: true,
	})
}

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func sample(second int, v float64) analysis.Sample {
	return analysis.Sample{T: noon.Add(time.Duration(second) * time.Second), V: v}
}

func checkout(instance string, samples ...analysis.Sample) replay.Pod {
	return replay.Pod{
		Attributes: map[string]string{analysis.AttrService: "checkout", analysis.AttrPod: "pod-1", analysis.AttrInstance: instance},
		Starts:     []time.Time{noon.Add(-time.Hour)},
		Series:     []replay.Series{{Metric: "requests", Attributes: map[string]string{"code": "200"}, Samples: samples}},
	}
}

func TestWriteAndRead(t *testing.T) {
	rec := replay.Recording{Pods: []replay.Pod{
		checkout("a", sample(0, 1), sample(15, 0.1+0.2), sample(30, 1e300)),
		{Attributes: map[string]string{analysis.AttrService: "cart <&>\n"}},
		{Attributes: map[string]string{analysis.AttrService: "search"}, Series: []replay.Series{
			{Metric: "memory", Gauge: true, Samples: []analysis.Sample{sample(0, -1.5)}},
			{Metric: "duration", Histograms: []replay.HistogramSample{{T: noon, Histogram: analysis.Histogram{Bounds: []float64{0.1, 1}, Counts: []float64{1, 2, 3}}}}},
			{Metric: "duration", Attributes: map[string]string{"route": "/"}, Histograms: []replay.HistogramSample{{T: noon, Histogram: analysis.Histogram{Schema: new(3), Zero: 0.001, Bounds: []float64{0.001, 1}, Counts: []float64{1, 2, 0}}}}},
		}},
		{
			Attributes: map[string]string{analysis.AttrService: "cart"},
			Lines: []analysis.Line{
				{Time: noon, Text: "<plain> \u2028 \xff"}, {Time: noon, Severity: analysis.SeverityError, TraceID: "0123456789abcdef0123456789abcdef", Text: `{"msg":"failed"}`},
			},
			Spans: []replay.Span{{TraceID: "0123456789abcdef0123456789abcdef", SpanID: "0123456789abcdef", ParentID: "fedcba9876543210", Name: "GET /", Kind: "server", Start: noon, End: noon.Add(1), Error: true, Attributes: map[string]string{"a": "b"}}},
		},
	}}
	rec.Pods[3].Lines[0].Text = strings.ToValidUTF8(rec.Pods[3].Lines[0].Text, "?") // as all JSON
	var first bytes.Buffer
	if err := rec.Write(&first); err != nil {
		t.Fatal(err)
	}
	text := first.String()
	if lines := strings.Count(text, "\n"); lines != 5 {
		t.Errorf("%d lines, want a header and four pods", lines)
	}
	read, err := replay.ReadRecording(&first)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, rec) {
		t.Errorf("got %+v, want %+v", read, rec)
	}
	var second bytes.Buffer
	if err := read.Write(&second); err != nil {
		t.Fatal(err)
	}
	if second.String() != text {
		t.Error("the same recording gave other bytes")
	}
}

func TestReadRefuses(t *testing.T) {
	const header = `{"format":"assay.recording.v1"}` + "\n"
	tests := []struct{ name, file, want string }{
		{"an empty file", "", "header"},
		{"another format", `{"format":"assay.bundle.v1"}`, "assay.bundle.v1"},
		{"an unknown key", header + `{"attributes":{},"series":[],"colour":"red"}`, "pod 1"},
		{"half a line", header + `{"attributes":{},"ser`, "pod 1"},
		{"columns of different length", header + `{"attributes":{},"series":[{"metric":"m","times":[1,2],"values":[1]}]}`, "2 times but 1 values"},
		{"unsorted samples", header + `{"attributes":{},"series":[{"metric":"m","times":[2,1],"values":[1,2]}]}`, "not later"},
		{"duplicate times", header + `{"attributes":{},"series":[{"metric":"m","times":[2,2],"values":[1,2]}]}`, "not later"},
		{"a negative counter", header + `{"attributes":{},"series":[{"metric":"m","times":[2],"values":[-1]}]}`, "cannot be -1"},
		{"a series without a name", header + `{"attributes":{},"series":[{"metric":"","times":[],"values":[]}]}`, "without a metric"},
		{"a histogram with values too", header + `{"attributes":{},"series":[{"metric":"m","times":[1],"values":[1],"histograms":[{"bounds":[1],"counts":[1,2]}]}]}`, "1 times but 1 values and 1 histograms"},
		{"a histogram without a count", header + `{"attributes":{},"series":[{"metric":"m","times":[1],"histograms":[{"bounds":[1],"counts":[1]}]}]}`, "one count for each bound and one more"},
		{"two kinds of buckets", header + `{"attributes":{},"series":[{"metric":"m","times":[1,2],"histograms":[{"bounds":[1],"counts":[1,2]},{"bounds":[1],"counts":[1,2],"schema":0}]}]}`, "either classic or exponential"},
		{"lines out of order", header + `{"attributes":{},"series":null,"lines":[{"t":2,"text":"a"},{"t":1,"text":"b"}]}`, "not ascending"},
		{"a short trace id", header + `{"attributes":{},"series":null,"lines":[{"t":2,"text":"a","trace":"ab"}]}`, "32 hexadecimal"},
		{"an unknown severity", header + `{"attributes":{},"series":null,"lines":[{"t":2,"text":"a","severity":"bad"}]}`, "not known"},
		{"a span of no kind", header + `{"attributes":{},"series":null,"spans":[{"trace":"0123456789abcdef0123456789abcdef","span":"0123456789abcdef","name":"a","kind":"x","start":1,"end":2}]}`, "kind"},
		{"a span that ends before it starts", header + `{"attributes":{},"series":null,"spans":[{"trace":"0123456789abcdef0123456789abcdef","span":"0123456789abcdef","name":"a","kind":"server","start":3,"end":2}]}`, "ends before"},
		{"a span without ids", header + `{"attributes":{},"series":null,"spans":[{"trace":"","span":"","name":"a","kind":"server","start":1,"end":2}]}`, "hexadecimal"},
		{"a gauge of histograms", header + `{"attributes":{},"series":[{"metric":"m","gauge":true,"times":[1],"histograms":[{"bounds":[1],"counts":[1,2]}]}]}`, "is no gauge"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := replay.ReadRecording(strings.NewReader(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := replay.New(replay.Recording{Pods: []replay.Pod{checkout("a", sample(0, math.NaN()))}}); err == nil {
		t.Error("NaN was taken for a count")
	}
}

func TestUntil(t *testing.T) {
	rec := replay.Recording{Pods: []replay.Pod{checkout("a", sample(0, 1), sample(15, 2), sample(30, 3)), checkout("b", sample(30, 3))}}
	rec.Pods[0].Starts = append(rec.Pods[0].Starts, noon.Add(20*time.Second))
	rec.Pods[0].Lines = []analysis.Line{{Time: noon, Text: "a"}, {Time: noon.Add(16 * time.Second), Text: "b"}}
	rec.Pods[0].Spans = []replay.Span{{Start: noon, End: noon.Add(15 * time.Second)}, {Start: noon, End: noon.Add(16 * time.Second)}}
	cut := rec.Until(noon.Add(15 * time.Second))
	if len(cut.Pods) != 1 || len(cut.Pods[0].Series[0].Samples) != 2 || len(cut.Pods[0].Starts) != 1 || len(cut.Pods[0].Lines) != 1 || len(cut.Pods[0].Spans) != 1 {
		t.Errorf("got %+v, want the first pod with its first two samples, its first start, line and span", cut)
	}
	if len(rec.Pods) != 2 || len(rec.Pods[0].Series[0].Samples) != 3 {
		t.Error("cutting changed the recording")
	}
}

// Several worker processes of one pod count apart; only their sum is the pod's.
func TestProcessesOfOnePodAddUp(t *testing.T) {
	source, err := replay.New(replay.Recording{Pods: []replay.Pod{
		checkout("worker-1", sample(0, 100), sample(15, 110)),
		checkout("worker-2", sample(1, 5000), sample(16, 5020)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	total := &analysis.Selector{Metric: "requests"}
	answer, err := source.Rows(t.Context(), analysis.Query{
		Signal: analysis.Signal{Source: "replay", Shape: analysis.ShapeRatio, Bad: &analysis.Selector{Metric: "failures"}, Total: total},
		Fold:   analysis.Fold{Start: noon.Add(5 * time.Second), End: noon.Add(20 * time.Second)}, Since: noon,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Rows) != 1 || answer.Rows[0].Exposure != 30 || answer.Rows[0].Received != 1 {
		t.Errorf("got %+v, want one row with 30 exposures of one reading", answer.Rows)
	}
}
