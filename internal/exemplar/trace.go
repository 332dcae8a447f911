package exemplar

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
)

// ErrMalformed is an answer that holds no traces as OTLP has them.
var ErrMalformed = errors.New("the answer holds no traces")

// A Trace is one trace as a store returned it, in one form whatever the order of the
// answer.
type Trace struct {
	ID      string // 32 hexadecimal digits
	Partial bool   // the store itself says that spans are missing
	spans   []span
}

// A span stands beside what its resource and scope say.
type span struct {
	ptrace.Span
	resource  pcommon.Map
	resources string // the same, sorted, as text: tells resources apart
	scope     pcommon.InstrumentationScope
}

func (s span) began() time.Time    { return s.StartTimestamp().AsTime() }
func (s span) ended() time.Time    { return s.EndTimestamp().AsTime() }
func (s span) took() time.Duration { return max(0, s.ended().Sub(s.began())) }
func (s span) failed() bool        { return s.Status().Code() == ptrace.StatusCodeError }
func (s span) service() string     { return text(s.resource, analysis.AttrService) }
func (s span) id() pcommon.SpanID  { return s.SpanID() }
func text(m pcommon.Map, k string) string {
	if v, ok := m.Get(k); ok {
		return v.AsString()
	}
	return ""
}

// Read takes OTLP JSON ({"resourceSpans": …}) apart into traces, sorted by id.
func Read(body []byte) ([]*Trace, error) {
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return Split(td), nil
}

// Split takes spans apart into traces, sorted by id. A span that is there twice, alike in
// all that tells spans apart, is kept once.
func Split(td ptrace.Traces) []*Trace {
	found := map[string]*Trace{}
	for _, rs := range td.ResourceSpans().All() {
		resource := rs.Resource().Attributes()
		key := textOf(resource)
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				id := hex.EncodeToString(traceID(s))
				t := found[id]
				if t == nil {
					t = &Trace{ID: id}
					found[id] = t
				}
				t.spans = append(t.spans, span{s, resource, key, ss.Scope()})
			}
		}
	}
	out := make([]*Trace, 0, len(found))
	for _, id := range slices.Sorted(maps.Keys(found)) {
		t := found[id]
		slices.SortStableFunc(t.spans, inOrder)
		t.spans = slices.CompactFunc(t.spans, func(a, b span) bool { return inOrder(a, b) == 0 })
		out = append(out, t)
	}
	return out
}

func traceID(s ptrace.Span) []byte { id := s.TraceID(); return id[:] }

// inOrder sorts spans by their start. Those that are equal in all of it are one span that
// was delivered twice.
func inOrder(a, b span) int {
	ia, ib := a.id(), b.id()
	return cmp.Or(
		cmp.Compare(a.StartTimestamp(), b.StartTimestamp()), bytes.Compare(ia[:], ib[:]), cmp.Compare(a.Kind(), b.Kind()),
		cmp.Compare(a.Name(), b.Name()), cmp.Compare(a.EndTimestamp(), b.EndTimestamp()), cmp.Compare(a.resources, b.resources),
		cmp.Compare(a.Status().Code(), b.Status().Code()),
	)
}

// textOf is attributes as sorted text.
func textOf(m pcommon.Map) string {
	var pairs []string
	for k, v := range m.All() {
		pairs = append(pairs, fmt.Sprintf("%q=%d%q", k, v.Type(), v.AsString()))
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// Until drops the spans that end after an instant; zero: none.
func (t *Trace) Until(to time.Time) {
	if !to.IsZero() {
		t.spans = slices.DeleteFunc(t.spans, func(s span) bool { return s.ended().After(to) })
	}
}

// Empty reports whether no span is left.
func (t *Trace) Empty() bool { return len(t.spans) == 0 }

// Candidate looks at the spans of the trace that a question means: of its cohort and
// operation, with an end in its window. Without such a span it is none.
func (t *Trace) Candidate(q analysis.ExemplarQuery) (Candidate, bool) {
	c := Candidate{ID: t.ID}
	found := false
	for _, s := range t.spans {
		if !matches(s, q) {
			continue
		}
		found = true
		c.Failed = c.Failed || s.failed()
		c.Took = max(c.Took, s.took())
	}
	return c, found
}

func matches(s span, q analysis.ExemplarQuery) bool {
	end := s.ended()
	if !q.From.IsZero() && !end.After(q.From) || !q.To.IsZero() && end.After(q.To) {
		return false
	}
	if q.Operation != "" && !named(s, q.Operation) {
		return false
	}
	for _, m := range q.Matches {
		if !slices.Contains(m.Values, attribute(s, m.Name)) {
			return false
		}
	}
	return true
}

// named reports whether a span is of an operation, which is its name, or its route with
// or without the method.
func named(s span, operation string) bool {
	if s.Name() == operation {
		return true
	}
	route := text(s.Attributes(), "http.route")
	if route == "" {
		return false
	}
	method := text(s.Attributes(), "http.request.method")
	return operation == route || method != "" && operation == method+" "+route
}

// attribute returns the value of an attribute of the resource, else of the span, under
// any of its names.
func attribute(s span, name string) string {
	for _, m := range []pcommon.Map{s.resource, s.Attributes()} {
		for _, n := range Names(name) {
			if v, ok := m.Get(n); ok {
				return v.AsString()
			}
		}
	}
	return ""
}

const (
	podLabel    = "k8s.pod.label."
	oldPodLabel = "k8s.pod.labels."
)

// Names are those under which senders write an attribute, the one of today first.
func Names(attribute string) []string {
	if attribute == analysis.AttrEnvironment {
		return []string{attribute, "deployment.environment"}
	}
	if key, ok := strings.CutPrefix(attribute, podLabel); ok {
		return []string{attribute, oldPodLabel + key}
	}
	if attribute == analysis.AttrPod {
		return []string{attribute, analysis.AttrInstance}
	}
	return []string{attribute}
}
