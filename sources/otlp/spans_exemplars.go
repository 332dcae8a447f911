package otlp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
	"github.com/release-assay/assay/sources"
)

// maxExemplars is how many traces one question is answered with.
const maxExemplars = 20

// Exemplars implements sources.ExemplarSource, from the traces of the sample that are
// held. Which ones are shown does not depend on the order in which they came.
func (s *Source) Exemplars(ctx context.Context, q analysis.ExemplarQuery) ([]analysis.Exemplar, error) {
	if err := ctx.Err(); err != nil {
		return nil, s.fail("exemplars", sources.Unavailable, err)
	}
	t := &s.traces
	t.mu.Lock()
	defer t.mu.Unlock()
	var picked []candidate
	if q.TraceID != "" {
		var id [16]byte
		if n, err := hex.Decode(id[:], []byte(q.TraceID)); err != nil || n != len(id) || len(q.TraceID) != 32 {
			return nil, nil // no trace has such an id
		}
		if trace := t.held[id]; trace != nil {
			picked = append(picked, candidate{trace: trace})
			q.Kind = cmp.Or(q.Kind, analysis.ExemplarNamed)
		}
	} else {
		picked = t.candidates(q)
	}
	limit := min(cmp.Or(max(q.Limit, 0), 1), maxExemplars)
	var out []analysis.Exemplar
	left := q.MaxBytes
	for _, c := range picked[:min(limit, len(picked))] {
		e := s.exemplar(c.trace, q, left)
		if q.MaxBytes > 0 {
			if left -= len(e.Body); left <= 0 {
				left = 1
			}
		}
		if e.Spans > 0 {
			out = append(out, e)
		}
	}
	return out, nil
}

// A candidate is a trace that may be shown.
type candidate struct {
	trace *heldTrace
	lasts int64 // the longest of the spans that were asked about
}

// candidates returns the traces of a cohort and window that show what is asked, the best
// first.
func (t *traceStore) candidates(q analysis.ExemplarQuery) []candidate {
	asked := make([]bool, len(t.owners))
	for i, o := range t.owners {
		_, asked[i] = match(o.window, q.Matches)
	}
	var out []candidate
	from, to := int64(0), int64(1<<63-1)
	if !q.From.IsZero() {
		from = q.From.UnixNano()
	}
	if !q.To.IsZero() {
		to = q.To.UnixNano()
	}
	for _, trace := range t.held {
		c := candidate{trace: trace, lasts: -1}
		failed := false
		for i := range trace.spans {
			one := &trace.spans[i]
			if !asked[one.Owner] || one.End <= from || one.End > to || q.Operation != "" && one.Name != q.Operation {
				continue
			}
			failed = failed || one.Failed
			c.lasts = max(c.lasts, one.End-min(one.Start, one.End))
		}
		if c.lasts >= 0 && (q.Kind == analysis.ExemplarSlow || failed == (q.Kind == analysis.ExemplarFailed)) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.lasts, a.lasts), cmp.Compare(a.trace.hash, b.trace.hash), bytes.Compare(a.trace.id[:], b.trace.id[:]))
	})
	switch q.Kind {
	case analysis.ExemplarFailed:
		slices.SortFunc(out, func(a, b candidate) int {
			return cmp.Or(cmp.Compare(a.trace.hash, b.trace.hash), bytes.Compare(a.trace.id[:], b.trace.id[:]))
		})
	case analysis.ExemplarTypical:
		if len(out) == 0 {
			break
		}
		median := out[len(out)/2].lasts
		slices.SortStableFunc(out, func(a, b candidate) int {
			return cmp.Compare(max(a.lasts-median, median-a.lasts), max(b.lasts-median, median-b.lasts))
		})
	}
	return out
}

// exemplar makes a trace ready to be shown: as OTLP JSON, redacted, of so many bytes at
// most (0: any number).
func (s *Source) exemplar(trace *heldTrace, q analysis.ExemplarQuery, most int) analysis.Exemplar {
	e := analysis.Exemplar{TraceID: hex.EncodeToString(trace.id[:]), Kind: q.Kind, Source: s.cfg.Name, Truncated: trace.over}
	order := make([]int, 0, len(trace.spans))
	for i := range trace.spans {
		if q.To.IsZero() || trace.spans[i].End <= q.To.UnixNano() {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := &trace.spans[i], &trace.spans[j]
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), bytes.Compare(a.ID[:], b.ID[:]), bytes.Compare(trace.raw[i], trace.raw[j]))
	})
	order = slices.CompactFunc(order, func(i, j int) bool {
		return trace.spans[i].ID == trace.spans[j].ID && trace.spans[i].End == trace.spans[j].End && bytes.Equal(trace.raw[i], trace.raw[j])
	})
	for {
		s.fill(&e, trace, order)
		if most <= 0 || len(e.Body) <= most || len(order) == 0 {
			break
		}
		e.Truncated = true
		order = order[:len(order)/2]
	}
	sum := sha256.Sum256(e.Body)
	e.Digest = "sha256:" + hex.EncodeToString(sum[:])
	return e
}

// fill describes the spans of a trace.
func (s *Source) fill(e *analysis.Exemplar, trace *heldTrace, order []int) {
	e.Spans, e.Errors, e.Duration, e.Services = 0, 0, 0, nil
	td := ptrace.NewTraces()
	byOwner := map[int32]ptrace.SpanSlice{}
	for _, i := range order {
		one := &trace.spans[i]
		owner := s.traces.owners[one.Owner]
		into, known := byOwner[one.Owner]
		if !known {
			rs := td.ResourceSpans().AppendEmpty()
			for _, name := range sortedNames(owner.window.attributes) {
				rs.Resource().Attributes().PutStr(name, s.redactor.String(owner.window.attributes[name]))
			}
			into = rs.ScopeSpans().AppendEmpty().Spans()
			byOwner[one.Owner] = into
			e.Services = append(e.Services, owner.Service)
		}
		e.Spans++
		if one.Failed {
			e.Errors++
		}
		e.Duration = max(e.Duration, analysis.Duration(one.End-min(one.Start, one.End)))
		if !appendSpan(into, trace.raw[i]) {
			e.Truncated = true
			appendBare(into, trace.id, one)
		}
		redactSpan(into.At(into.Len()-1), s.redactor.String)
	}
	slices.Sort(e.Services)
	e.Services = slices.Compact(e.Services)
	marshaler := ptrace.JSONMarshaler{}
	body, err := marshaler.MarshalTraces(td)
	if err != nil {
		body = nil
	}
	e.Body = body
}

// appendSpan decodes a span into a list, if its bytes were kept.
func appendSpan(into ptrace.SpanSlice, encoded []byte) bool {
	if len(encoded) == 0 {
		return false
	}
	const span, scopeSpans, resourceSpans = 2<<3 | 2, 2<<3 | 2, 1<<3 | 2
	message := field(resourceSpans, field(scopeSpans, field(span, encoded)))
	unmarshaler := ptrace.ProtoUnmarshaler{}
	td, err := unmarshaler.UnmarshalTraces(message)
	if err != nil || td.SpanCount() != 1 {
		return false
	}
	td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).CopyTo(into.AppendEmpty())
	return true
}

func field(tag byte, content []byte) []byte {
	return append(binary.AppendUvarint([]byte{tag}, uint64(len(content))), content...)
}

// appendBare appends a span whose bytes were too long to be kept.
func appendBare(into ptrace.SpanSlice, id [16]byte, one *tracediff.Span) {
	span := into.AppendEmpty()
	span.SetTraceID(id)
	span.SetSpanID(one.ID)
	span.SetParentSpanID(one.Parent)
	span.SetName(one.Name)
	span.SetKind(ptrace.SpanKind(one.Kind))
	span.SetStartTimestamp(pcommon.Timestamp(one.Start))
	span.SetEndTimestamp(pcommon.Timestamp(one.End))
	if one.Failed {
		span.Status().SetCode(ptrace.StatusCodeError)
	}
}

// redactSpan hides what must not leave memory in all texts of a span.
func redactSpan(span ptrace.Span, hide func(string) string) {
	span.SetName(hide(span.Name()))
	span.Status().SetMessage(hide(span.Status().Message()))
	redactMap(span.Attributes(), hide)
	for _, event := range span.Events().All() {
		event.SetName(hide(event.Name()))
		redactMap(event.Attributes(), hide)
	}
	for _, link := range span.Links().All() {
		redactMap(link.Attributes(), hide)
	}
}

func redactMap(m pcommon.Map, hide func(string) string) {
	for name, value := range m.All() {
		redactValue(name, value, hide)
	}
}

// redactValue hides a value, which is looked at together with its name: it may be the
// name that says that it is a secret.
func redactValue(name string, value pcommon.Value, hide func(string) string) {
	switch value.Type() {
	case pcommon.ValueTypeStr:
		value.SetStr(redactNamed(name, value.Str(), hide))
	case pcommon.ValueTypeMap:
		redactMap(value.Map(), hide)
	case pcommon.ValueTypeSlice:
		for _, one := range value.Slice().All() {
			redactValue(name, one, hide)
		}
	case pcommon.ValueTypeBytes:
		value.SetStr(hide(string(value.Bytes().AsRaw())))
	}
}

func redactNamed(name, text string, hide func(string) string) string {
	prefix := name + "="
	if hidden := hide(prefix + text); hidden != prefix+text {
		if len(hidden) > len(prefix) && hidden[:len(prefix)] == prefix {
			return hidden[len(prefix):]
		}
		return hidden
	}
	return hide(text)
}

func sortedNames(attributes map[string]string) []string {
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
