package otlp

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/tracediff"
)

// TestQuotasOfManyTraces: although most spans of a busy minute are not looked at for them,
// its quotas hold the smallest hashes of all traces, and of those of the watched service,
// whether it is asked about from the beginning or in the middle of the minute.
func TestQuotasOfManyTraces(t *testing.T) {
	for _, from := range []int{0, 150} {
		s, err := New(Config{Name: "otlp"})
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(1, 2))
		end := time.Date(2026, 1, 1, 0, 1, 30, 0, time.UTC)
		var all, watched []uint64
		for request := range 300 {
			if request == from {
				s.traces.mu.Lock()
				s.traces.watch([]analysis.Match{{Name: analysis.AttrService, Values: []string{"c"}}}, end.UnixNano())
				s.traces.mu.Unlock()
			}
			td := ptrace.NewTraces()
			for _, service := range []string{"a", "b", "c"} {
				rs := td.ResourceSpans().AppendEmpty()
				rs.Resource().Attributes().PutStr(analysis.AttrService, service)
				spans := rs.ScopeSpans().AppendEmpty().Spans()
				for range 50 {
					var id [16]byte
					binary.BigEndian.PutUint64(id[:], rng.Uint64())
					span := spans.AppendEmpty()
					span.SetTraceID(id)
					span.SetSpanID([8]byte(id[:8]))
					span.SetName("GET /")
					span.SetEndTimestamp(pcommon.NewTimestampFromTime(end))
					all = append(all, tracediff.Hash(id))
					if service == "c" && request >= from {
						watched = append(watched, tracediff.Hash(id))
					}
				}
			}
			data, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
			if err != nil {
				t.Fatal(err)
			}
			if out, err := s.ConsumeSpans(context.Background(), data); err != nil || out.Accepted != 150 {
				t.Fatal(out, err)
			}
		}
		m := s.traces.minutes[minuteAt(end.UnixNano())]
		slices.Sort(all)
		slices.Sort(watched)
		for name, q := range map[string]struct{ got, want []uint64 }{
			"all":     {m.all.Seen(), all[:tracesOfAll]},
			"some":    {m.some.Seen(), all[:tracesWatched]},
			"watched": {m.watched.Seen(), watched[:tracesWatched]},
		} {
			if !slices.Equal(q.got, q.want) {
				t.Errorf("asked from request %d: the quota of %s has %d other hashes than the %d smallest", from, name, len(q.got), len(q.want))
			}
		}
		if !m.touched {
			t.Error("no trace of a watched service was seen")
		}
	}
}
