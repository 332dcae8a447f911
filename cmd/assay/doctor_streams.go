package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/config"
	"github.com/release-assay/assay/sources/jaeger"
	"github.com/release-assay/assay/sources/loki"
	"github.com/release-assay/assay/sources/otlp"
	"github.com/release-assay/assay/sources/tempo"
	"github.com/release-assay/assay/verdicts"
)

const (
	lateShare   = 0.01            // of what was pushed, from which it is told
	lateItems   = 100             // fewer tell nothing
	streamSpan  = 5 * time.Minute // in which lines are looked at
	askedAnswer = 20              // newest validations whose warnings are read
)

// lookAtStreams says what is read of logs and traces, and what makes them tell less than
// they could.
func (d *doctor) lookAtStreams(ctx context.Context) {
	d.lookAtPushedStreams()
	d.lookAtTailSampling(ctx)
	for _, name := range d.conf.Sources.Names(config.KindLoki) {
		d.lookAtLoki(ctx, name)
	}
	for _, name := range d.conf.Sources.Names(config.KindJaeger) {
		c := jaeger.DefaultConfig()
		d.lookAtTraceStore(ctx, name, &c, func() (traceStore, string, error) {
			s, err := jaeger.Open(name, c)
			return s, c.URL, err
		})
	}
	for _, name := range d.conf.Sources.Names(config.KindTempo) {
		c := tempo.DefaultConfig()
		d.lookAtTraceStore(ctx, name, &c, func() (traceStore, string, error) {
			s, err := tempo.Open(name, c)
			return s, c.URL, err
		})
	}
}

// lookAtPushedStreams says what was pushed beside metrics, and whether it comes in time:
// a Collector that waits for a batch longer than folds stay open loses it.
func (d *doctor) lookAtPushedStreams() {
	logs, traces := part{Name: "logs", Kind: embedded, State: "not running"}, part{Name: "traces", Kind: embedded, State: "not running"}
	defer func() { d.part(logs); d.part(traces) }()
	told, running := d.told(config.OTLPSource)
	if !running {
		return
	}
	var stats otlp.Stats
	if detail, err := json.Marshal(told.Detail); err != nil || json.Unmarshal(detail, &stats) != nil {
		return // of another version
	}
	logs.State, traces.State = "none was pushed", "none was pushed"
	if n := stats.Lines.Accepted; n > 0 {
		logs.State = counted(int(n), "line") + " pushed"
		if stats.Untraced >= n {
			d.find(levelWarning, logs.Name, "no line that was pushed has a trace id: the seconds in which pods write errors are counted in place of requests, which tells less; let the logger write trace_id")
		}
	}
	if n := stats.Spans.Accepted; n > 0 {
		traces.State = counted(int(n), "span") + " pushed"
	}
	for _, pushed := range []struct {
		about, what    string
		accepted, late uint64
		lateness       time.Duration
		more           string
	}{
		{config.OTLPSource, "data points", stats.Accepted, stats.Late, 0, "an export interval or a batch timeout of a Collector above the lateness of folds does that"},
		{logs.Name, "lines", stats.Lines.Accepted, stats.Lines.Dropped[otlp.DropLate], analysis.StreamLateness, ""},
		{traces.Name, "spans", stats.Spans.Accepted, stats.Spans.Dropped[otlp.DropLate], analysis.StreamLateness, fmt.Sprintf("; whole traces are waited for %v", analysis.TraceLateness)},
	} {
		if pushed.late < lateItems || float64(pushed.late) < lateShare*float64(pushed.accepted+pushed.late) {
			continue
		}
		why := pushed.more
		if pushed.lateness > 0 {
			why = fmt.Sprintf("folds of %s stay open for %v after their end%s: let the batch timeout, the retries and the queues of Collectors on the way take less", pushed.what, pushed.lateness, pushed.more)
		}
		d.find(levelWarning, pushed.about, "%.2g%% of the %s came after their fold had closed, and were not counted: %s", 100*float64(pushed.late)/float64(pushed.accepted+pushed.late), pushed.what, why)
	}
}

// lookAtTailSampling reads it from the newest verdicts, whose folds have looked.
func (d *doctor) lookAtTailSampling(ctx context.Context) {
	if d.running == nil {
		return
	}
	cl, err := newClient(d.diagnosis.about("server").Where)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	body, _, err := cl.do(ctx, http.MethodGet, "/v1/validations?"+url.Values{"limit": {fmt.Sprint(askedAnswer)}}.Encode(), nil, nil)
	var list struct {
		Validations []struct {
			ID      string `json:"id"`
			Service string `json:"service"`
		} `json:"validations"`
	}
	if err != nil || json.Unmarshal(body, &list) != nil {
		return // what is wrong with the server is said already
	}
	said := map[string]bool{}
	for _, row := range list.Validations {
		one, _, err := cl.validation(ctx, row.ID)
		if err != nil || one.Verdict == nil {
			continue
		}
		service := verdicts.Line(string(one.Verdict.Service))
		for _, w := range one.Verdict.Warnings {
			if strings.HasPrefix(w, string(analysis.TailSampled)) && !said[service] {
				said[service] = true
				d.find(levelWarning, "traces", "%s: %s; spans that were chosen by how they ended tell no rates: send all, or sample at the head, and let a tail sampler stand behind Assay", service, verdicts.Line(w))
			}
		}
	}
}

// lookAtLoki reports whether a Loki answers, whether its lines tell requests apart, and
// where it keeps the version.
func (d *doctor) lookAtLoki(ctx context.Context, name string) {
	p := part{Name: name, Kind: external, State: "ok"}
	defer func() { d.part(p) }()
	c := loki.DefaultConfig()
	source, err := (*loki.Source)(nil), d.conf.Sources[name].Decode(&c)
	if p.Where = c.URL; err == nil {
		source, err = loki.Open(name, c)
	}
	if err != nil {
		p.State = "wrong"
		d.broken(exitUsage, name, "%v", d.conf.Sources[name].Fault(err))
		return
	}
	defer source.Close()
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	if err := source.Probe(ctx); err != nil {
		p.State = "down"
		d.broken(exitInternal, name, "%s", verdicts.Line(err.Error()))
		return
	}
	signal := analysis.Signal{Name: "logs", Source: name, Unit: "1", Shape: analysis.ShapeTemplates, Logs: &analysis.LogSignal{}}
	now := time.Now().Add(-source.Lag()).Truncate(time.Second)
	seen, err := source.Seen(ctx, analysis.SeenQuery{Signal: signal, From: now.Add(-streamSpan), To: now})
	if err != nil {
		d.find(levelWarning, name, "which releases write lines is not known: %s", verdicts.Line(err.Error()))
		return
	}
	largest, nameless := analysis.Seen{}, 0
	for _, s := range seen {
		if s.Service == "" || s.Version == "" {
			nameless++
		} else if s.Exposure > largest.Exposure {
			largest = s
		}
	}
	switch {
	case len(seen) == 0:
		d.find(levelNote, name, "no service has written a line in the last %v", streamSpan)
		return
	case nameless > 0:
		d.find(levelWarning, name, "%d of %d services and versions that write lines do not say both: their lines belong to no arm (labels, or structured metadata, for service.name and service.version)", nameless, len(seen))
	}
	if largest.Service == "" {
		return
	}
	ask := analysis.Query{
		Signal: signal, Fold: analysis.Fold{Start: now.Add(-time.Minute), End: now}, Since: now.Add(-streamSpan), Lines: &analysis.LineQuery{Share: 1},
		Matches: []analysis.Match{{Name: analysis.AttrService, Values: []string{largest.Service}}, {Name: analysis.AttrVersion, Values: []string{largest.Version}}},
	}
	if answer, err := source.Rows(ctx, ask); err == nil && answer.NoTraces {
		d.find(levelWarning, name, "no line of %s %s has a trace id: the seconds in which pods write errors are counted in place of requests, which tells less; let the logger write trace_id", verdicts.Line(largest.Service), verdicts.Line(largest.Version))
	}
	d.lookAtVersion(ctx, name, c, ask)
}

// lookAtVersion says where the version is no label of streams: it then is read of every
// line of the service.
func (d *doctor) lookAtVersion(ctx context.Context, name string, c loki.Config, ask analysis.Query) {
	if slices.Contains(c.Streams, analysis.AttrVersion) {
		return
	}
	c.Streams = append(slices.Clone(c.Streams), analysis.AttrVersion)
	narrow, err := loki.Open(name, c)
	if err != nil {
		return
	}
	defer narrow.Close()
	ask.Lines = nil
	switch answer, err := narrow.Rows(ctx, ask); {
	case err != nil:
	case len(answer.Rows) == 0:
		d.find(levelNote, name, "service.version is in the structured metadata only: every question reads all lines of the service; make it a label of streams (Loki: limits_config.otlp_config, resource_attributes) and add it to streams")
	default:
		d.find(levelNote, name, "service.version is a label of streams: say so (streams: [service.version]), and questions read the lines of the two versions only")
	}
}

// A traceStore finds whole traces.
type traceStore interface {
	Probe(ctx context.Context) error
	io.Closer
}

// lookAtTraceStore reports whether a source of single traces answers.
func (d *doctor) lookAtTraceStore(ctx context.Context, name string, options any, open func() (traceStore, string, error)) {
	p := part{Name: name, Kind: external, State: "ok"}
	defer func() { d.part(p) }()
	if err := d.conf.Sources[name].Decode(options); err != nil {
		p.State = "wrong"
		d.broken(exitUsage, name, "%v", err)
		return
	}
	s, where, err := open()
	if p.Where = where; err != nil {
		p.State = "wrong"
		d.broken(exitUsage, name, "%v", d.conf.Sources[name].Fault(err))
		return
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(ctx, doctorPatience)
	defer cancel()
	if err := s.Probe(ctx); err != nil {
		p.State = "down"
		d.broken(exitInternal, name, "no trace can be shown behind a finding: %s", verdicts.Line(err.Error()))
	}
}
