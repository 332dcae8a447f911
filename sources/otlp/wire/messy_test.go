package wire_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/sources/otlp/wire"
)

// A shape is a message of opentelemetry-proto: its fields by number.
type shape struct{ fields []shapeField }

type shapeField struct {
	number int
	wire   int
	length []int  // of bytes; nil: any
	child  *shape // of bytes
}

const (
	varint, fixed64, bytesType, group, fixed32 = 0, 1, 2, 3, 5
)

var (
	anyValue, keyValue                      shape
	resourceShape, scopeShape, span, record shape
	exportSpans, exportLogs                 *shape
)

func init() {
	array, pairs := shape{[]shapeField{{1, bytesType, nil, &anyValue}}}, shape{[]shapeField{{1, bytesType, nil, &keyValue}}}
	text := func(n int) shapeField { return shapeField{n, bytesType, nil, nil} }
	anyValue.fields = []shapeField{text(1), text(1), {2, varint, nil, nil}, {3, varint, nil, nil}, {4, fixed64, nil, nil}, {5, bytesType, nil, &array}, {6, bytesType, nil, &pairs}, text(7), {8, varint, nil, nil}}
	keyValue.fields = []shapeField{text(1), {2, bytesType, nil, &anyValue}}
	attribute := func(n int) shapeField { return shapeField{n, bytesType, nil, &keyValue} }
	resourceShape.fields = []shapeField{attribute(1), attribute(1), {2, varint, nil, nil}}
	scopeShape.fields = []shapeField{text(1), text(2), attribute(3), {4, varint, nil, nil}}
	id := func(n, length int) shapeField { return shapeField{n, bytesType, []int{0, length, length, length}, nil} }
	status := shape{[]shapeField{text(2), {3, varint, nil, nil}}}
	event := shape{[]shapeField{{1, fixed64, nil, nil}, text(2), attribute(3)}}
	span.fields = []shapeField{id(1, 16), id(2, 8), text(3), id(4, 8), text(5), {6, varint, nil, nil}, {7, fixed64, nil, nil}, {8, fixed64, nil, nil}, attribute(9), attribute(9), attribute(9), {10, varint, nil, nil}, {11, bytesType, nil, &event}, {15, bytesType, nil, &status}, {16, fixed32, nil, nil}}
	record.fields = []shapeField{{1, fixed64, nil, nil}, {2, varint, nil, nil}, text(3), {5, bytesType, nil, &anyValue}, attribute(6), attribute(6), {7, varint, nil, nil}, {8, fixed32, nil, nil}, id(9, 16), id(10, 8), {11, fixed64, nil, nil}, text(12)}
	export := func(item *shape) *shape {
		scope := shape{[]shapeField{{1, bytesType, nil, &scopeShape}, {2, bytesType, nil, item}, {2, bytesType, nil, item}, text(3)}}
		owner := shape{[]shapeField{{1, bytesType, nil, &resourceShape}, {2, bytesType, nil, &scope}, text(3), {1000, bytesType, nil, &scope}}}
		return &shape{[]shapeField{{1, bytesType, nil, &owner}}}
	}
	exportSpans, exportLogs = export(&span), export(&record)
}

// messy writes a request with fields left out, repeated and in any order, and with
// fields and groups that nobody knows, numbers longer than they need be, and texts that
// are no UTF-8.
func messy(seed uint64, of *shape) []byte {
	w := messyWriter{rand.New(rand.NewPCG(seed, 7))}
	return w.message(of, 0)
}

type messyWriter struct{ *rand.Rand }

func (w messyWriter) message(of *shape, depth int) (out []byte) {
	n := w.IntN(2 * len(of.fields))
	if len(of.fields) < 3 {
		n = w.IntN(4)
	}
	if depth > 8 {
		n = min(n, 1)
	}
	for range n {
		if w.IntN(12) == 0 {
			out = w.unknown(out, of, 0)
		}
		f := of.fields[w.IntN(len(of.fields))]
		out = w.varint(out, uint64(f.number)<<3|uint64(f.wire))
		switch {
		case f.wire == varint:
			out = w.varint(out, w.number())
		case f.wire == fixed64:
			out = binary.LittleEndian.AppendUint64(out, w.number())
		case f.wire == fixed32:
			out = binary.LittleEndian.AppendUint32(out, w.Uint32())
		case f.child != nil && depth < 12:
			b := w.message(f.child, depth+1)
			out = append(w.varint(out, uint64(len(b))), b...)
		case f.length != nil:
			b := w.text(f.length[w.IntN(len(f.length))])
			out = append(w.varint(out, uint64(len(b))), b...)
		case f.child != nil:
			out = append(out, 0)
		default:
			b := w.text([]int{0, 1, 3, 12, 140}[w.IntN(5)])
			out = append(w.varint(out, uint64(len(b))), b...)
		}
	}
	return out
}

// unknown writes a field that the message does not have.
func (w messyWriter) unknown(out []byte, of *shape, depth int) []byte {
	number := []int{13, 20, 31, 40, 63, 64, 999, 1001, 1 << 28}[w.IntN(9)]
	if slices.ContainsFunc(of.fields, func(f shapeField) bool { return f.number == number }) || of == &span && number == 13 {
		return out
	}
	kind := []int{varint, fixed64, bytesType, group, fixed32}[w.IntN(5)]
	out = w.varint(out, uint64(number)<<3|uint64(kind))
	switch kind {
	case varint:
		return w.varint(out, w.Uint64())
	case fixed64:
		return binary.LittleEndian.AppendUint64(out, w.Uint64())
	case fixed32:
		return binary.LittleEndian.AppendUint32(out, w.Uint32())
	case bytesType:
		b := w.text(w.IntN(200))
		return append(w.varint(out, uint64(len(b))), b...)
	}
	if w.IntN(20) == 0 { // a field in a group: pdata refuses it
		out = w.unknown(out, of, depth+1)
	}
	return w.varint(out, uint64(number)<<3|4)
}

func (w messyWriter) number() uint64 {
	switch w.IntN(5) {
	case 0:
		return w.Uint64()
	case 1:
		return math.Float64bits(w.NormFloat64() * math.Pow(10, float64(w.IntN(60)-30)))
	case 2:
		return w.Uint64N(3000)
	case 3:
		return []uint64{0, 1, 2, 127, 128, 1023, 1024, math.MaxUint64, 1 << 63, math.Float64bits(math.NaN()), math.Float64bits(math.Inf(-1)), math.Float64bits(math.Copysign(0, -1))}[w.IntN(12)]
	}
	return w.Uint64N(7)
}

func (w messyWriter) varint(out []byte, n uint64) []byte {
	if w.IntN(20) > 0 {
		return binary.AppendUvarint(out, n)
	}
	b := binary.AppendUvarint(nil, n) // longer than it need be
	for len(b) < 10 && w.IntN(3) > 0 {
		b[len(b)-1] |= 0x80
		b = append(b, 0)
	}
	return append(out, b...)
}

func (w messyWriter) text(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + w.IntN(26))
		if w.IntN(30) == 0 {
			b[i] = byte(w.Uint32())
		}
	}
	return b
}

// TestMessy: whatever the order and number of fields, both decoders read the same.
func TestMessy(t *testing.T) {
	accepted, most := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		for i := range uint64(10) {
			data := messy(seed+i, exportSpans)
			lines, _ := spansOfWire(data)
			most = max(most, len(lines))
			if compare(t, data, spansOfPdata, spansOfWire) {
				accepted++
			}
			if compare(t, messy(seed+i, exportLogs), logsOfPdata, logsOfWire) {
				accepted++
			}
		}
	})
	if accepted < 1000 || most < 5 { // of 2000
		t.Errorf("pdata reads %d requests, the largest has %d lines: the test shows nothing", accepted, most)
	}
}

// TestCutOff: of a request that ends too early nothing is shown.
func TestCutOff(t *testing.T) {
	whole := realistic(t, 20, 5)
	want, _ := spansOfWire(whole)
	cuts := 0
	for n := range whole {
		lines, err := spansOfWire(whole[:n])
		if err == nil && n > 0 { // between two resources
			if cuts++; strings.Join(lines, "") != strings.Join(want[:len(lines)], "") {
				t.Fatalf("at %d: other spans", n)
			}
		}
		if err != nil && len(lines) > 0 {
			t.Fatalf("cut off at %d, %d lines are shown", n, len(lines))
		}
	}
	if cuts != 3 {
		t.Errorf("%d whole requests, want 3", cuts)
	}
}

// TestMalformedAttribute: it is left out, and the request has an error.
func TestMalformedAttribute(t *testing.T) {
	bad := message(1, message(2, message(2, append(message(5, []byte("GET /")), append(message(9, []byte{0x0a, 0x7f}), message(9, append(message(1, []byte("k")), message(2, message(1, []byte("v")))...))...)...))))
	lines, err := spansOfWire(bad)
	if err != wire.ErrMalformed || len(lines) != 2 || !strings.Contains(lines[1], `"GET /"`) || !strings.HasSuffix(lines[1], `"k"=1:"v";`) {
		t.Errorf("%v: %q", err, lines)
	}
	log := message(1, message(2, message(2, append(message(3, []byte("INFO")), message(5, []byte{0x0a, 0x7f})...))))
	if lines, err = logsOfWire(log); err != wire.ErrMalformed || len(lines) != 2 || !strings.Contains(lines[1], `"INFO" ""`) {
		t.Errorf("%v: %q", err, lines)
	}
	// The next request is none the worse for it.
	if _, err = spansOfWire(realistic(t, 1, 1)); err != nil {
		t.Error(err)
	}
}

// message is one field of bytes.
func message(number int, content []byte) []byte {
	out := binary.AppendUvarint(nil, uint64(number)<<3|bytesType)
	return append(binary.AppendUvarint(out, uint64(len(content))), content...)
}

// TestTooManyAttributes: 4,096 are read, one more is refused, on each of the three.
func TestTooManyAttributes(t *testing.T) {
	kv := append(message(1, []byte("k")), message(2, message(1, []byte("v")))...)
	for _, n := range []int{4096, 4097} {
		var onSpan, onResource, onRecord []byte
		for range n {
			onSpan, onResource, onRecord = append(onSpan, message(9, kv)...), append(onResource, message(1, kv)...), append(onRecord, message(6, kv)...)
		}
		_, a := spansOfWire(message(1, message(2, message(2, onSpan))))
		_, b := spansOfWire(message(1, message(1, onResource)))
		_, c := logsOfWire(message(1, message(2, message(2, onRecord))))
		for _, err := range []error{a, b, c} {
			if (n > 4096) != (err == wire.ErrAttributes) || n <= 4096 && err != nil {
				t.Errorf("%d attributes: %v", n, err)
			}
		}
	}
}

// TestDeepAndWide: values that would overflow the stack of others, or fill the memory,
// cost nothing until their text is asked for, and have none.
func TestDeepAndWide(t *testing.T) {
	var reversed []byte // 2 million lists in each other, from the inside out
	size := 0
	wrap := func(tag byte) {
		header := binary.AppendUvarint([]byte{tag}, uint64(size))
		slices.Reverse(header)
		reversed = append(reversed, header...)
		size += len(header)
	}
	for range 2_000_000 {
		wrap(0x0a) // ArrayValue.values
		wrap(0x2a) // AnyValue.array_value
	}
	slices.Reverse(reversed)
	wide := append(binary.AppendUvarint([]byte{0x2a}, 20<<20), slices.Repeat([]byte{0x0a, 0x00}, 10<<20)...)
	for name, value := range map[string][]byte{"deep": reversed, "wide": wide} {
		data := message(1, message(2, message(2, append(message(5, value), message(6, append(message(1, []byte("k")), message(2, value)...))...))))
		lines, err := logsOfWire(data)
		if err != nil || len(lines) != 2 || !strings.Contains(lines[1], `"k"=6:"";`) {
			t.Errorf("%s: %v, %d lines", name, err, len(lines))
		}
	}
}

// TestManyAndEmpty: requests with more spans or resources than are staged are read all
// the same, and a resource in many parts costs no more than its bytes.
func TestManyAndEmpty(t *testing.T) {
	const many = 1<<15 + 1
	spans := slices.Repeat(message(2, message(5, []byte("a"))), many)
	malformed := message(1, message(2, append(slices.Clone(spans), 0x12, 0x7f)))
	parts := slices.Repeat(message(1, message(1, message(1, []byte("k")))), 4096)
	for name, data := range map[string][]byte{
		"spans": message(1, message(2, spans)), "resources": slices.Repeat(message(1, message(2, message(2, message(5, []byte("a"))))), many),
		"parts": slices.Concat(message(1, parts), message(1, message(1, message(1, message(1, []byte("other")))))),
	} {
		if !compare(t, data, spansOfPdata, spansOfWire) {
			t.Errorf("%s: pdata refuses it", name)
		}
	}
	if lines, err := spansOfWire(malformed); err == nil || len(lines) > 0 {
		t.Errorf("%v: %d lines are shown", err, len(lines))
	}
}

// TestSkippedResource: a visitor that does not want a resource is shown none of its
// spans.
func TestSkippedResource(t *testing.T) {
	v := &everyOther{}
	if err := wire.Spans(realistic(t, 100, 10), v); err != nil || v.resources != 10 || v.spans != 50 {
		t.Errorf("%v: %d resources, %d spans", err, v.resources, v.spans)
	}
}

type everyOther struct{ resources, spans int }

func (e *everyOther) Resource(*wire.Resource) bool { e.resources++; return e.resources%2 == 0 }
func (e *everyOther) Span(*wire.Span)              { e.spans++ }

// TestNoAllocations in the steady state.
func TestNoAllocations(t *testing.T) {
	data, v := realistic(t, 200, 50), &touch{}
	if n := testing.AllocsPerRun(50, func() { _ = wire.Spans(data, v) }); n >= 1 {
		t.Errorf("%v allocations for 200 spans", n)
	}
}
