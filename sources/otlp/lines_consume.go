package otlp

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
	"github.com/release-assay/assay/sources/otlp/wire"
)

// A LogOutcome says what became of the log records of one request.
type LogOutcome = Outcome

// ConsumeLogs takes in one ExportLogsServiceRequest, in protobuf, in process. Records
// that cannot be used are dropped and counted; they are no error. One request is taken
// in whole or not at all, and of the same bytes that come again soon all records are
// duplicates. data is not kept.
func (s *Source) ConsumeLogs(ctx context.Context, data []byte) (LogOutcome, error) {
	if err := ctx.Err(); err != nil {
		return LogOutcome{}, err
	}
	in := lineIntake{source: s, tracked: s.tracked.Load(), repeated: s.requests.seen(data)}
	err := wire.Logs(data, &in)
	in.endResource()
	s.lineCounters.add(in.outcome)
	s.untraced.Add(in.untraced)
	s.shedLines()
	if errors.Is(err, wire.ErrMalformed) && in.outcome != (LogOutcome{}) {
		// An attribute was malformed: what could be read of the request is counted, and
		// must not be sent again.
		err = nil
	}
	return in.outcome, err
}

// A lineIntake is the work on one request: scratch memory and what became of it.
type lineIntake struct {
	source   *Source
	tracked  *tracked
	repeated bool
	outcome  LogOutcome
	untraced uint64 // records without a trace id

	keys   resourceKeys
	reader logdiff.Reader

	// What the current records belong to.
	service *service
	window  *window
	touched []int64 // ticks that lines were added to
	refused Drop    // why its records are not kept
}

// Resource implements wire.LogVisitor.
func (in *lineIntake) Resource(r *wire.Resource) bool {
	in.endResource()
	if in.repeated {
		return true // its records are counted
	}
	in.service, in.window, in.refused = in.source.resolveLines(r, &in.keys)
	return true
}

// resolveLines returns the window of a resource with lines, and its service, locked; or
// why there is none.
func (s *Source) resolveLines(r *wire.Resource, keys *resourceKeys) (*service, *window, Drop) {
	if svc, w := s.lineResources.lock(r.Encoded); w != nil {
		return svc, w, ""
	}
	name := keys.read(r)
	if len(keys.key) > maxResourceKey {
		return nil, nil, DropTooLong
	}
	svc := s.lockService(name)
	w := svc.windows[string(keys.key)]
	if w == nil {
		if s.windows.Load() >= int64(s.cfg.MaxSeries) {
			svc.mu.Unlock()
			s.forgetServices(name)
			return nil, nil, DropSeriesLimit
		}
		w = newWindow(string(keys.key), attributesOf(keys.pairs), svc.lost)
		w.answered = s.asked.about(w)
		s.linesOf(w)
		return svc, w, ""
	}
	s.linesOf(w)
	s.lineResources.remember(r.Encoded, resolved{svc, w})
	return svc, w, ""
}

// Record implements wire.LogVisitor.
func (in *lineIntake) Record(r *wire.Record) {
	in.outcome.add(in.record(r))
}

func (in *lineIntake) record(r *wire.Record) Drop {
	t := r.Time
	if t == 0 {
		t = r.Observed
	}
	switch {
	case in.repeated:
		return DropDuplicate
	case t == 0 || t > math.MaxInt64:
		return DropNoTime
	case in.refused != "":
		return in.refused
	}
	read := in.reader.Read(r.Body)
	line := logdiff.Record{At: instant(int64(t)), Severity: severityOf(r), TraceID: r.TraceID, Text: read.Text, Bytes: len(r.Body), Cut: read.Truncated}
	if line.Severity == analysis.SeverityUnknown {
		line.Severity = read.Severity
	}
	if !r.HasTrace {
		line.TraceID = read.TraceID
	}
	if line.TraceID == ([16]byte{}) {
		in.untraced++
	}
	l := in.window.lines
	why := l.add(line, read.IsFrame(), in.tracked.must, in.source.textBytes.floor.Load())
	if why == "" {
		tick := tickOf(int64(t))
		if n := len(in.touched); n == 0 || in.touched[n-1] != tick {
			in.touched = append(in.touched, tick)
		}
	}
	return why
}

// endResource counts what the lines of the current resource take, and lists it if any
// was kept.
func (in *lineIntake) endResource() {
	if in.service == nil {
		return
	}
	w, l := in.window, in.window.lines
	slices.Sort(in.touched)
	for _, tick := range slices.Compact(in.touched) {
		in.source.measure(l, tick, l.ticks[tick])
	}
	if len(in.touched) > 0 && in.service.windows[w.key] == nil {
		in.service.add(w)
		in.source.windows.Add(1)
	}
	in.source.shedOwnTexts(in.service, w)
	name, empty := in.service.name, len(in.service.ordered) == 0
	in.service.mu.Unlock()
	if empty {
		in.source.forgetServices(name)
	}
	in.service, in.window, in.touched = nil, nil, in.touched[:0]
}

// severityOf reads the severity that came beside the body: the number, else the word.
func severityOf(r *wire.Record) analysis.Severity {
	if s := analysis.SeverityOfNumber(r.Number); s != analysis.SeverityUnknown {
		return s
	}
	return logdiff.SeverityWord(r.SeverityText)
}

// resourceKeys reads the identity of resources as that of metrics is (appendPairs), so
// that the lines and spans of a process are in the window of its metrics.
type resourceKeys struct {
	pairs []attribute
	key   []byte
}

// read leaves the attributes and the key of a resource and returns its service's name.
func (k *resourceKeys) read(r *wire.Resource) (service string) {
	k.pairs = k.pairs[:0]
	for _, a := range r.Attributes() {
		switch a.Kind {
		case wire.String, wire.Int, wire.Bool:
			k.pairs = append(k.pairs, attribute{string(a.Key), string(a.Value)})
		case wire.Double:
			if f, err := strconv.ParseFloat(string(a.Value), 64); err == nil {
				k.pairs = append(k.pairs, attribute{string(a.Key), strconv.FormatFloat(f, 'g', -1, 64)})
			}
		}
	}
	slices.SortStableFunc(k.pairs, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	k.pairs = slices.CompactFunc(k.pairs, func(a, b attribute) bool { return a.name == b.name })
	k.key = appendKey(k.key[:0], k.pairs)
	for _, a := range k.pairs {
		if a.name == analysis.AttrService {
			service = a.value
		}
	}
	return service
}
