package tracediff

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/release-assay/assay/analysis"
)

func id(n byte) (out [8]byte) { out[7] = n; return out }

const ms = 1_000_000

// sp is a span; times in milliseconds after one second.
func sp(n, parent byte, owner int32, kind Kind, name string, start, end int64, failed bool) Span {
	return Span{ID: id(n), Parent: id(parent), Owner: owner, Kind: kind, Name: name, Start: 1e9 + start*ms, End: 1e9 + end*ms, Failed: failed}
}

var shop = []Owner{{"frontend", "1"}, {"cart", "1"}, {"cart", "2"}, {"billing", "1"}}

func tallyOf(spans ...[]Span) *Tally {
	t := &Tally{Owners: shop, From: 0, To: 1 << 62}
	for _, s := range spans {
		t.Add(s)
	}
	return t
}

func (t *Tally) at(owner int32, e analysis.Edge) Count {
	if c := t.Counts[Key{owner, e}]; c != nil {
		return *c
	}
	return Count{}
}

func op(service, name, kind string) analysis.Edge {
	return analysis.Edge{Service: service, Operation: name, Kind: kind}
}

// frontend serves "buy", calls cart 2, which fails and is tried again; cart's error began
// in the call of billing, whose error is its own.
//
//	1 buy          0........100   frontend, server
//	2  POST /add   10..40        client, failed
//	3   add        15..35        cart 2, server, failed
//	4    charge    20..30        client, failed
//	5     charge   22..28        billing, server, failed
//	6  POST /add   50..80        client
//	7   add        55..75        cart 2, server
func buy() []Span {
	return []Span{
		sp(1, 0, 0, Server, "buy", 0, 100, false),
		sp(2, 1, 0, Client, "POST /add", 10, 40, true),
		sp(3, 2, 2, Server, "add", 15, 35, true),
		sp(4, 3, 2, Client, "charge", 20, 30, true),
		sp(5, 4, 3, Server, "charge", 22, 28, true),
		sp(6, 1, 0, Client, "POST /add", 50, 80, false),
		sp(7, 6, 2, Server, "add", 55, 75, false),
	}
}

func TestAssembleByHand(t *testing.T) {
	got := tallyOf(buy())
	call := analysis.Edge{Service: "frontend", Operation: "buy", Kind: "client", Callee: "cart", CalleeVersion: "2", CalleeOperation: "add"}
	charge := analysis.Edge{Service: "cart", Operation: "add", Kind: "client", Callee: "billing", CalleeVersion: "1", CalleeOperation: "charge"}
	for _, c := range []struct {
		owner int32
		edge  analysis.Edge
		want  Count
	}{
		{0, op("frontend", "buy", "server"), Count{Spans: 1, Traces: 1, Nanoseconds: 100 * ms, Self: 40 * ms}},
		{2, op("cart", "add", "server"), Count{Spans: 2, Errors: 1, Traces: 1, Nanoseconds: 40 * ms, Self: 30 * ms}},
		{3, op("billing", "charge", "server"), Count{Spans: 1, Errors: 1, Exclusive: 1, Traces: 1, Nanoseconds: 6 * ms, Self: 6 * ms}},
		{0, call, Count{Spans: 2, Errors: 1, Retries: 1, Traces: 1, Nanoseconds: 60 * ms, Self: 20 * ms}},
		{2, charge, Count{Spans: 1, Errors: 1, Traces: 1, Nanoseconds: 10 * ms, Self: 4 * ms}},
	} {
		if n := got.at(c.owner, c.edge); n != c.want {
			t.Errorf("%+v: %+v, want %+v", c.edge, n, c.want)
		}
	}
	if got.Faults != (Faults{}) {
		t.Errorf("faults %+v in a sound trace", got.Faults)
	}
}

func TestExclusiveErrors(t *testing.T) {
	failing := func(kind Kind, owner int32) []Span {
		return []Span{sp(1, 0, 0, Server, "buy", 0, 9, true), sp(2, 1, owner, kind, "step", 1, 8, true)}
	}
	for _, c := range []struct {
		name  string
		spans []Span
		want  int64
	}{
		{"no child", []Span{sp(1, 0, 0, Server, "buy", 0, 9, true)}, 1},
		{"a child that did not fail", []Span{sp(1, 0, 0, Server, "buy", 0, 9, true), sp(2, 1, 0, Client, "x", 1, 8, false)}, 1},
		{"an errored call", failing(Client, 0), 0},
		{"an errored message", failing(Producer, 0), 0},
		{"an errored span of another service", failing(Server, 1), 0},
		{"an errored step of its own", failing(Internal, 0), 1},
		{"an errored call below a step of its own", append(failing(Internal, 0), sp(3, 2, 0, Client, "x", 2, 3, true)), 0},
		{"an errored call below a step that did not fail", []Span{
			sp(1, 0, 0, Server, "buy", 0, 9, true), sp(2, 1, 0, Internal, "s", 1, 8, false), sp(3, 2, 0, Client, "x", 2, 3, true),
		}, 1},
		{"no error", []Span{sp(1, 0, 0, Server, "buy", 0, 9, false)}, 0},
	} {
		if n := tallyOf(c.spans).at(0, op("frontend", "buy", "server")).Exclusive; n != c.want {
			t.Errorf("%s: %d exclusive errors, want %d", c.name, n, c.want)
		}
	}
}

func TestSelfTime(t *testing.T) {
	for _, c := range []struct {
		name  string
		spans []Span
		want  int64
	}{
		{"alone", nil, 100},
		{"one after the other", []Span{sp(2, 1, 0, Client, "a", 10, 20, false), sp(3, 1, 0, Client, "b", 20, 50, false)}, 60},
		{"side by side", []Span{sp(2, 1, 0, Client, "a", 10, 40, false), sp(3, 1, 0, Client, "b", 20, 50, false)}, 60},
		{"one inside of the other", []Span{sp(2, 1, 0, Client, "a", 10, 60, false), sp(3, 1, 0, Client, "b", 20, 30, false)}, 50},
		{"beyond both ends", []Span{sp(2, 1, 0, Internal, "a", -10, 110, false)}, 0},
		{"beyond the end", []Span{sp(2, 1, 0, Internal, "a", 90, 150, false)}, 90},
		{"a consumer after the end", []Span{sp(2, 1, 1, Consumer, "a", 200, 300, false)}, 100},
		{"another clock, 1 s behind", []Span{sp(2, 1, 1, Server, "a", -900, -860, false)}, 60},
		{"another clock, 1 s ahead", []Span{sp(2, 1, 1, Server, "a", 1000, 1040, false)}, 60},
		{"another clock, too long to fit", []Span{sp(2, 1, 1, Server, "a", 1000, 2000, false)}, 100},
	} {
		spans := append([]Span{sp(1, 0, 0, Server, "buy", 0, 100, false)}, c.spans...)
		if n := tallyOf(spans).at(0, op("frontend", "buy", "server")).Self; n != c.want*ms {
			t.Errorf("%s: %v ms by itself, want %v", c.name, float64(n)/ms, c.want)
		}
	}
}

func TestFaultsAreCounted(t *testing.T) {
	root := sp(1, 0, 0, Server, "buy", 0, 100, false)
	for _, c := range []struct {
		name         string
		spans        []Span
		want         Faults
		spansCounted int64
	}{
		{"a span that came twice", []Span{root, root}, Faults{Repeated: 1}, 1},
		{"two spans of one id", []Span{root, sp(1, 0, 0, Server, "buy", 3, 100, false)}, Faults{Clashing: 1}, 2},
		{"an unknown parent", []Span{sp(1, 9, 0, Server, "buy", 0, 100, false)}, Faults{Orphans: 1}, 1},
		{"its own parent", []Span{sp(1, 1, 0, Server, "buy", 0, 100, false)}, Faults{Circular: 1}, 1},
		{"a circle of three", []Span{sp(1, 3, 0, Server, "buy", 0, 1, false), sp(2, 1, 0, Server, "buy", 0, 2, false), sp(3, 2, 0, Server, "buy", 0, 3, false), sp(4, 3, 0, Server, "buy", 0, 1, false)}, Faults{Circular: 1}, 4},
		{"two circles", []Span{sp(1, 2, 0, Server, "buy", 0, 1, false), sp(2, 1, 0, Server, "buy", 0, 2, false), sp(3, 4, 0, Server, "buy", 0, 3, false), sp(4, 3, 0, Server, "buy", 0, 1, false)}, Faults{Circular: 2}, 4},
		{"ends before it began", []Span{sp(1, 0, 0, Server, "buy", 50, 10, false)}, Faults{Backward: 1}, 1},
		{"no start", []Span{{ID: id(1), Kind: Server, Name: "buy", End: 5e9}}, Faults{Backward: 1}, 1},
		{"another clock", []Span{root, sp(2, 1, 1, Server, "a", -900, -860, false)}, Faults{Skewed: 1}, 1},
	} {
		got := tallyOf(c.spans)
		if got.Faults != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got.Faults, c.want)
		}
		if n := got.at(0, op("frontend", "buy", "server")); n.Spans != c.spansCounted || n.Nanoseconds < 0 || n.Self < 0 {
			t.Errorf("%s: %+v counted, want %d spans", c.name, n, c.spansCounted)
		}
	}
}

func TestWhoIsCalled(t *testing.T) {
	peer := sp(2, 1, 0, Client, "SELECT", 1, 2, false)
	peer.Peer = "orders-db"
	for _, c := range []struct {
		name  string
		spans []Span
		want  analysis.Edge
	}{
		{"the span that served it", []Span{sp(2, 1, 0, Client, "POST", 1, 8, false), sp(3, 2, 1, Server, "add", 2, 7, false)}, analysis.Edge{Kind: "client", Callee: "cart", CalleeVersion: "1", CalleeOperation: "add"}},
		{"a peer by its attributes", []Span{peer}, analysis.Edge{Kind: "client", Callee: "orders-db", CalleeOperation: "SELECT"}},
		{"nobody", []Span{sp(2, 1, 0, Client, "GET x", 1, 2, false)}, analysis.Edge{Kind: "client", Callee: "GET x", CalleeOperation: "GET x"}},
		{"a consumer", []Span{sp(2, 1, 0, Producer, "send", 1, 2, false), sp(3, 2, 3, Consumer, "receive", 50, 60, false)}, analysis.Edge{Kind: "producer", Callee: "billing", CalleeVersion: "1", CalleeOperation: "receive"}},
		{"without a span of the caller", []Span{sp(3, 1, 2, Server, "add", 2, 7, false)}, analysis.Edge{Kind: "client", Callee: "cart", CalleeVersion: "2", CalleeOperation: "add"}},
		{"below a step", []Span{sp(4, 1, 0, Internal, "step", 1, 9, false), sp(2, 4, 0, Client, "GET x", 1, 2, false)}, analysis.Edge{Kind: "client", Callee: "GET x", CalleeOperation: "GET x"}},
	} {
		c.want.Service, c.want.Operation = "frontend", "buy"
		got := tallyOf(append([]Span{sp(1, 0, 0, Server, "buy", 0, 10, false)}, c.spans...))
		if n := got.at(0, c.want); n.Spans != 1 {
			t.Errorf("%s: %+v is not among %+v", c.name, c.want, got.Keys())
		}
	}
}

// A span counts in the fold of its end, and what ends later is not known.
func TestFoldsDoNotKnowTheFuture(t *testing.T) {
	early := &Tally{Owners: shop, From: 0, To: 1e9 + 40*ms}
	early.Add(buy())
	if n := early.at(0, op("frontend", "buy", "server")); n != (Count{}) {
		t.Errorf("a span that ends after the fold counts: %+v", n)
	}
	call := analysis.Edge{Service: "frontend", Operation: "POST /add", Kind: "client", Callee: "cart", CalleeVersion: "2", CalleeOperation: "add"}
	if n := early.at(0, call); n.Spans != 1 || n.Errors != 1 {
		t.Errorf("the call of a request that is under way: %+v of %+v", n, early.Keys())
	}
	late := &Tally{Owners: shop, From: 1e9 + 40*ms, To: 1 << 62}
	late.Add(buy())
	if n := late.at(2, op("cart", "add", "server")); n.Spans != 1 || n.Errors != 0 {
		t.Errorf("the second fold counts %+v", n)
	}
}

func randomSpans(rng *rand.Rand, n int) []Span {
	spans := make([]Span, n)
	for i := range spans {
		s := rng.Int64N(1000)
		spans[i] = sp(byte(rng.IntN(n+2)), byte(rng.IntN(n+2)), int32(rng.IntN(len(shop))), Kind(rng.IntN(6)), fmt.Sprint("op", rng.IntN(3)), s, s+rng.Int64N(300)-20, rng.IntN(3) == 0)
	}
	return spans
}

// The order of spans and of traces does not matter, and every span counts once.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		var traces [][]Span
		for range 1 + rng.IntN(4) {
			traces = append(traces, randomSpans(rng, 1+rng.IntN(20)))
		}
		want := tallyOf(traces...)
		repeated := 0
		for i := range traces {
			traces[i] = append(traces[i], traces[i][0])
			repeated++
			rng.Shuffle(len(traces[i]), func(a, b int) { traces[i][a], traces[i][b] = traces[i][b], traces[i][a] })
		}
		rng.Shuffle(len(traces), func(a, b int) { traces[a], traces[b] = traces[b], traces[a] })
		got := tallyOf(traces...)
		want.Faults.Repeated += repeated
		if !reflect.DeepEqual(got.Counts, want.Counts) || got.Faults != want.Faults {
			rt.Fatalf("another order gives\n%+v %+v, not\n%+v %+v", got.Counts, got.Faults, want.Counts, want.Faults)
		}
		var spans, distinct int64
		for k, c := range got.Counts {
			if k.Callee == "" {
				spans += c.Spans
			}
			if c.Errors > c.Spans || c.Exclusive > c.Errors || c.Traces > c.Spans || c.Self < 0 || c.Self > c.Nanoseconds {
				rt.Fatalf("%+v: %+v cannot be", k, c)
			}
		}
		for _, trace := range traces {
			distinct += int64(len(trace))
		}
		if distinct -= int64(got.Faults.Repeated); spans != distinct {
			rt.Fatalf("%d spans counted of %d", spans, distinct)
		}
	})
}

// Deep and wide traces cost no more than their spans.
func TestHostileTraces(t *testing.T) {
	const n = 200_000
	deep, wide, circle := make([]Span, n), make([]Span, n), make([]Span, n)
	for i := range n {
		var own, before [8]byte
		own[4], own[5], own[6], own[7] = 1, byte(i>>16), byte(i>>8), byte(i)
		j := (i + n - 1) % n
		before[4], before[5], before[6], before[7] = 1, byte(j>>16), byte(j>>8), byte(j)
		one := Span{ID: own, Parent: before, Kind: Kind(i % 6), Name: "x", Start: int64(i + 1), End: n * 2, Failed: true}
		circle[i], deep[i], wide[i] = one, one, one
		if i == 0 {
			deep[i].Parent, wide[i].Parent = [8]byte{}, [8]byte{}
		} else {
			wide[i].Parent = deep[0].ID
			wide[i].Kind, wide[i].End = Client, int64(i+1)
		}
	}
	for _, spans := range [][]Span{deep, wide, circle} {
		got := tallyOf(spans)
		var counted int64
		for k, c := range got.Counts {
			if k.Callee == "" {
				counted += c.Spans
			}
		}
		if counted != n {
			t.Errorf("%d of %d spans are counted", counted, n)
		}
	}
}

func FuzzAssemble(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 10, 2, 1, 3, 1, 9})
	f.Add([]byte{1, 2, 2, 0, 10, 2, 1, 3, 1, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		var spans []Span
		for ; len(data) >= 5 && len(spans) < 2000; data = data[5:] {
			spans = append(spans, sp(data[0]%32, data[1]%32, int32(data[2]>>6), Kind(data[2]&7)%6, string('a'+rune(data[2]>>3&3)), int64(data[3]), int64(data[4]), data[2]&32 != 0))
		}
		a := tallyOf(spans)
		for i, j := 0, len(spans)-1; i < j; i, j = i+1, j-1 {
			spans[i], spans[j] = spans[j], spans[i]
		}
		if b := tallyOf(spans); !reflect.DeepEqual(a.Counts, b.Counts) || a.Faults != b.Faults {
			t.Fatal("the order matters")
		}
		for k, c := range a.Counts {
			if c.Self < 0 || c.Self > c.Nanoseconds || c.Errors > c.Spans {
				t.Fatalf("%+v: %+v", k, c)
			}
		}
	})
}
