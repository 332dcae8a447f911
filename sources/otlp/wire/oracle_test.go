package wire_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/release-assay/assay/sources/otlp/wire"
)

// What both decoders saw is written down line by line and compared.

type seen struct{ lines []string }

func (s *seen) addf(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *seen) Resource(r *wire.Resource) bool {
	s.addf("resource %s", ofWire(r.Attributes()))
	return true
}

func (s *seen) Span(x *wire.Span) {
	s.addf("span %x %x %x %q %q %d %d %d %d %s", x.TraceID, x.SpanID, x.ParentID, x.Name, x.State, x.Kind, x.Status, x.Start, x.End, ofWire(x.Attributes()))
}

func (s *seen) Record(r *wire.Record) {
	s.addf("record %d %d %d %q %q %x %v %s", r.Time, r.Observed, r.Number, r.SeverityText, r.Body, r.TraceID, r.HasTrace, ofWire(r.Attributes()))
}

func ofWire(attributes []wire.Attribute) string {
	out := ""
	for i := range attributes {
		a := &attributes[i]
		out += fmt.Sprintf("%q=%d:%q;", a.Key, a.Kind, a.AppendText(nil))
	}
	return out
}

var kinds = map[pcommon.ValueType]wire.Kind{
	pcommon.ValueTypeEmpty: wire.Empty, pcommon.ValueTypeStr: wire.String, pcommon.ValueTypeBool: wire.Bool, pcommon.ValueTypeInt: wire.Int,
	pcommon.ValueTypeDouble: wire.Double, pcommon.ValueTypeBytes: wire.Bytes, pcommon.ValueTypeSlice: wire.Array, pcommon.ValueTypeMap: wire.Map,
}

func ofPdata(m pcommon.Map) string {
	out := ""
	for k, v := range m.All() {
		out += fmt.Sprintf("%q=%d:%q;", k, kinds[v.Type()], textOf(v))
	}
	return out
}

// textOf is AsString within the bounds of this package.
func textOf(v pcommon.Value) string {
	if deep(v) > 256 {
		return ""
	}
	return v.AsString()
}

func deep(v pcommon.Value) (n int) {
	switch v.Type() {
	case pcommon.ValueTypeSlice:
		for _, e := range v.Slice().All() {
			n = max(n, deep(e))
		}
		return n + 1
	case pcommon.ValueTypeMap:
		for _, e := range v.Map().All() {
			n = max(n, deep(e))
		}
		return n + 1
	}
	return 0
}

func within(v, most int32) int32 {
	if v < 0 || v > most {
		return 0
	}
	return v
}

func spansOfPdata(data []byte) ([]string, error) {
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(data); err != nil {
		return nil, err
	}
	var s seen
	for _, rs := range req.Traces().ResourceSpans().All() {
		s.addf("resource %s", ofPdata(rs.Resource().Attributes()))
		for _, ss := range rs.ScopeSpans().All() {
			for _, x := range ss.Spans().All() {
				trace, span, parent := x.TraceID(), x.SpanID(), x.ParentSpanID()
				s.addf("span %x %x %x %q %q %d %d %d %d %s", trace[:], span[:], parent[:], x.Name(), x.TraceState().AsRaw(), within(int32(x.Kind()), 5),
					within(int32(x.Status().Code()), 2), uint64(x.StartTimestamp()), uint64(x.EndTimestamp()), ofPdata(x.Attributes()))
			}
		}
	}
	return s.lines, nil
}

func logsOfPdata(data []byte) ([]string, error) {
	req := plogotlp.NewExportRequest()
	if err := req.UnmarshalProto(data); err != nil {
		return nil, err
	}
	var s seen
	for _, rl := range req.Logs().ResourceLogs().All() {
		s.addf("resource %s", ofPdata(rl.Resource().Attributes()))
		for _, sl := range rl.ScopeLogs().All() {
			for _, r := range sl.LogRecords().All() {
				trace := r.TraceID()
				s.addf("record %d %d %d %q %q %x %v %s", uint64(r.Timestamp()), uint64(r.ObservedTimestamp()), int32(r.SeverityNumber()), r.SeverityText(),
					textOf(r.Body()), trace[:], !trace.IsEmpty(), ofPdata(r.Attributes()))
			}
		}
	}
	return s.lines, nil
}

func spansOfWire(data []byte) ([]string, error) {
	var s seen
	err := wire.Spans(data, &s)
	return s.lines, err
}

func logsOfWire(data []byte) ([]string, error) {
	var s seen
	err := wire.Logs(data, &s)
	return s.lines, err
}

// compare holds what this package reads against what pdata reads. What pdata refuses may
// be refused too, or be read as far as this package looks.
func compare(t interface {
	Helper()
	Fatalf(string, ...any)
}, data []byte, ofPdata, ofWire func([]byte) ([]string, error),
) (accepted bool) {
	t.Helper()
	want, wantErr := ofPdata(data)
	got, err := ofWire(data)
	if wantErr != nil {
		return false
	}
	if err != nil {
		t.Fatalf("pdata reads it, wire says %v\n%x", err, data)
	}
	if len(got) != len(want) {
		t.Fatalf("%d are shown, pdata has %d\n%x", len(got), len(want), data)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("got  %s\nwant %s\n%x", got[i], want[i], data)
		}
	}
	return true
}

// FuzzSpans reads anything as this package does and as pdata does.
func FuzzSpans(f *testing.F) {
	f.Add(realistic(f, 3, 2))
	for seed := range uint64(100) {
		if data := messy(seed, exportSpans); len(data) < 1000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 { // pdata's stack
			compare(t, data, spansOfPdata, spansOfWire)
		}
	})
}

// FuzzLogs is the same for log records.
func FuzzLogs(f *testing.F) {
	for seed := range uint64(100) {
		if data := messy(seed, exportLogs); len(data) < 1000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 1<<16 {
			compare(t, data, logsOfPdata, logsOfWire)
		}
	})
}
