package exemplar

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/redact"
)

// DefaultMaxBytes bounds the traces of an answer where the question does not.
const DefaultMaxBytes = 1 << 20

// maxText is the longest text that is kept: a stack trace fits, a response body does not.
const maxText = 8 << 10

// Show makes exemplars of traces: redacted, cut to so many bytes together, digested. What
// a small trace leaves over is for those after it.
func Show(source string, kind analysis.ExemplarKind, traces []*Trace, maxBytes int, r *redact.Redactor) ([]analysis.Exemplar, error) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	if r == nil {
		r = &redact.Redactor{}
	}
	var out []analysis.Exemplar
	for i, t := range traces {
		e, err := t.show(r, maxBytes/(len(traces)-i))
		if err != nil {
			return nil, err
		}
		maxBytes -= len(e.Body)
		e.Source, e.Kind = source, kind
		out = append(out, e)
	}
	return out, nil
}

// show tells of the whole trace how large it is, and holds as many of its spans as fit:
// those with an error first, then the longest.
func (t *Trace) show(r *redact.Redactor, maxBytes int) (analysis.Exemplar, error) {
	e := analysis.Exemplar{TraceID: t.ID, Spans: len(t.spans), Truncated: t.Partial}
	services := map[string]bool{}
	for _, s := range t.spans {
		if s.failed() {
			e.Errors++
		}
		if name := s.service(); name != "" {
			services[r.String(clip(name))] = true
		}
		e.Duration = max(e.Duration, analysis.Duration(s.took()))
	}
	e.Services = slices.Sorted(maps.Keys(services))

	weight := slices.Clone(t.spans)
	slices.SortStableFunc(weight, func(a, b span) int {
		return cmp.Or(cmp.Compare(btoi(b.failed()), btoi(a.failed())), cmp.Compare(b.took(), a.took()), inOrder(a, b))
	})
	// All spans, else the most that fit: a body with more spans is longer.
	clipped := false
	render := func(n int) ([]byte, error) {
		kept := slices.Clone(weight[:n])
		slices.SortStableFunc(kept, inOrder)
		b := builder{redactor: r}
		body, err := (&ptrace.JSONMarshaler{}).MarshalTraces(b.build(kept))
		clipped = b.clipped
		return body, err
	}
	body, err := render(len(weight))
	if err == nil && len(body) > maxBytes {
		e.Truncated = true
		n, full := 0, len(weight) // n spans fit, full do not
		var best []byte
		for n+1 < full && err == nil {
			var try []byte
			middle := n + (full-n)/2
			if try, err = render(middle); len(try) <= maxBytes {
				n, best = middle, try
			} else {
				full = middle
			}
		}
		body = best
	}
	if err != nil {
		return e, fmt.Errorf("write trace %s: %w", t.ID, err)
	}
	e.Truncated = e.Truncated || clipped
	sum := sha256.Sum256(body)
	e.Body, e.Digest = body, "sha256:"+hex.EncodeToString(sum[:])
	return e, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A builder writes spans anew, without what must not be shown.
type builder struct {
	redactor *redact.Redactor
	clipped  bool
}

func (b *builder) build(spans []span) ptrace.Traces {
	out := ptrace.NewTraces()
	resources := map[string]ptrace.ResourceSpans{}
	scopes := map[string]ptrace.ScopeSpans{}
	for _, s := range spans {
		rs, ok := resources[s.resources]
		if !ok {
			rs = out.ResourceSpans().AppendEmpty()
			b.attributes(s.resource, rs.Resource().Attributes())
			resources[s.resources] = rs
		}
		key := fmt.Sprintf("%q %q %s", s.scope.Name(), s.scope.Version(), s.resources)
		ss, ok := scopes[key]
		if !ok {
			ss = rs.ScopeSpans().AppendEmpty()
			ss.Scope().SetName(b.text(s.scope.Name()))
			ss.Scope().SetVersion(b.text(s.scope.Version()))
			scopes[key] = ss
		}
		b.span(s.Span, ss.Spans().AppendEmpty())
	}
	return out
}

func (b *builder) span(from, to ptrace.Span) {
	to.SetTraceID(from.TraceID())
	to.SetSpanID(from.SpanID())
	to.SetParentSpanID(from.ParentSpanID())
	to.SetName(b.text(from.Name()))
	to.SetKind(from.Kind())
	to.SetStartTimestamp(from.StartTimestamp())
	to.SetEndTimestamp(from.EndTimestamp())
	to.Status().SetCode(from.Status().Code())
	to.Status().SetMessage(b.text(from.Status().Message()))
	b.attributes(from.Attributes(), to.Attributes())
	for _, e := range from.Events().All() {
		event := to.Events().AppendEmpty()
		event.SetTimestamp(e.Timestamp())
		event.SetName(b.text(e.Name()))
		b.attributes(e.Attributes(), event.Attributes())
	}
	for _, l := range from.Links().All() {
		link := to.Links().AppendEmpty()
		link.SetTraceID(l.TraceID())
		link.SetSpanID(l.SpanID())
	}
}

// attributes writes attributes sorted by name.
func (b *builder) attributes(from, to pcommon.Map) {
	names := make([]string, 0, from.Len())
	for name := range from.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		v, _ := from.Get(name)
		b.value(name, v, to.PutEmpty(b.text(name)))
	}
}

// value writes a value. Bytes are not shown: nobody can read whether they hold a secret.
func (b *builder) value(name string, from, to pcommon.Value) {
	switch from.Type() {
	case pcommon.ValueTypeStr:
		to.SetStr(b.valueOf(name, from.Str()))
	case pcommon.ValueTypeBytes:
		to.SetStr(fmt.Sprintf("(%d bytes)", from.Bytes().Len()))
	case pcommon.ValueTypeMap:
		b.attributes(from.Map(), to.SetEmptyMap())
	case pcommon.ValueTypeSlice:
		slice := to.SetEmptySlice()
		for _, v := range from.Slice().All() {
			b.value(name, v, slice.AppendEmpty())
		}
	default:
		if said := from.AsString(); b.valueOf(name, said) != said { // a number that is a card, a key that names a secret
			to.SetStr(b.valueOf(name, said))
			return
		}
		from.CopyTo(to)
	}
}

// valueOf redacts a value in the light of its name: "password" says of any value that it
// is a secret.
func (b *builder) valueOf(name, value string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, key := range []string{name, last} {
		pair := key + "=" + value
		if hidden := b.redactor.String(pair); hidden != pair {
			if rest, ok := strings.CutPrefix(hidden, key+"="); ok {
				value = rest
			} else {
				value = b.redactor.String(value)
			}
		}
	}
	return b.text(value)
}

// text redacts and only then cuts: half of a secret would not be known for one.
func (b *builder) text(s string) string {
	s = b.redactor.String(strings.ToValidUTF8(s, "\uFFFD"))
	cut := clip(s)
	b.clipped = b.clipped || len(cut) < len(s)
	return cut
}

// clip returns at most maxText bytes of whole characters.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
