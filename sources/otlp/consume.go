package otlp

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unique"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/release-assay/assay/analysis"
)

// Longest attributes, in bytes, that a series or a resource may carry altogether.
const (
	maxSeriesKey   = 8 << 10
	maxResourceKey = 32 << 10
)

// Consume takes in the metrics of one request, in process. Points that cannot be
// used are dropped and counted; they are no error. md is not kept.
func (s *Source) Consume(ctx context.Context, md pmetric.Metrics) (Outcome, error) {
	var in intake
	in.source, in.tracked = s, s.tracked.Load()
	for _, rm := range md.ResourceMetrics().All() {
		if err := ctx.Err(); err != nil {
			s.counters.add(in.outcome)
			return in.outcome, err
		}
		if used := in.resource(rm); !used {
			s.forgetServices(in.service.name)
		}
	}
	s.counters.add(in.outcome)
	return in.outcome, nil
}

// An intake is the work on one request: scratch memory and what became of it.
type intake struct {
	source  *Source
	tracked *tracked
	outcome Outcome

	pairs       []attribute
	resourceKey []byte
	key         []byte

	// What the current points belong to.
	service *service
	window  *window // nil until the first point that is kept
	scope   string
	metric  string
}

// resource takes in what one resource sent. It reports whether its service has any
// resource that is kept; otherwise names alone would fill the memory.
func (in *intake) resource(rm pmetric.ResourceMetrics) (used bool) {
	in.pairs = appendPairs(in.pairs[:0], rm.Resource().Attributes())
	in.resourceKey = appendKey(in.resourceKey[:0], in.pairs)
	name := ""
	for _, a := range in.pairs {
		if a.name == analysis.AttrService {
			name = a.value
		}
	}
	tooLong := len(in.resourceKey) > maxResourceKey
	if tooLong {
		name = "" // do not keep a long name either
	}
	in.service = in.source.lockService(name)
	defer in.service.mu.Unlock()
	in.window = in.service.windows[string(in.resourceKey)]
	if in.window == nil && !tooLong {
		// Not yet listed: a resource without one point that is kept is none.
		in.window = newWindow(string(in.resourceKey), attributesOf(in.pairs), in.service.lost)
		in.window.answered = in.source.asked.about(in.window)
	}
	for _, sm := range rm.ScopeMetrics().All() {
		in.scope = sm.Scope().Name()
		for _, m := range sm.Metrics().All() {
			in.metric = m.Name()
			if tooLong {
				in.dropAll(m, DropTooLong)
				continue
			}
			in.points(m)
		}
	}
	if in.window == nil || len(in.window.series) == 0 {
		return len(in.service.ordered) > 0
	}
	if in.service.windows[in.window.key] == nil {
		in.service.add(in.window)
		in.source.windows.Add(1)
		in.window.trimNext = in.window.newest + int64(in.source.cfg.Retention+lookback)
	}
	if in.window.newest >= in.window.trimNext {
		// Rarely, so that trimming costs nothing per sample.
		in.source.trim(in.window, in.window.newest-int64(in.source.cfg.Retention), in.tracked)
		in.window.trimNext = in.window.newest + int64(lookback)
	}
	return true
}

func (in *intake) points(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		k := kindOf(m.Sum().AggregationTemporality(), m.Sum().IsMonotonic())
		for _, p := range m.Sum().DataPoints().All() {
			in.number(k, p)
		}
	case pmetric.MetricTypeGauge:
		for _, p := range m.Gauge().DataPoints().All() {
			in.number(level, p)
		}
	case pmetric.MetricTypeHistogram:
		k := kindOf(m.Histogram().AggregationTemporality(), true)
		for _, p := range m.Histogram().DataPoints().All() {
			in.histogram(k, p, p.HasSum(), func() *buckets { return explicitBuckets(p) })
		}
	case pmetric.MetricTypeExponentialHistogram:
		k := kindOf(m.ExponentialHistogram().AggregationTemporality(), true)
		for _, p := range m.ExponentialHistogram().DataPoints().All() {
			in.histogram(k, p, p.HasSum(), func() *buckets { return exponentialBuckets(p) })
		}
	default:
		in.dropAll(m, DropUnsupported)
	}
}

// kindOf returns 0 if the temporality is not given: such a point says nothing.
func kindOf(t pmetric.AggregationTemporality, monotonic bool) kind {
	switch {
	case t == pmetric.AggregationTemporalityUnspecified:
		return 0
	case !monotonic && t == pmetric.AggregationTemporalityDelta:
		return change
	case !monotonic:
		return level
	case t == pmetric.AggregationTemporalityDelta:
		return delta
	}
	return cumulative
}

func (in *intake) number(k kind, p pmetric.NumberDataPoint) {
	v := p.DoubleValue()
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		v = float64(p.IntValue())
	}
	why := check(k, p.Timestamp(), p.Flags(), v)
	if why == "" {
		in.seriesKey(k, p.Attributes())
		why = in.insert(k, analysis.FieldValue, sampleOf(p.Timestamp(), p.StartTimestamp(), v), nil)
	}
	in.became(why, p.Timestamp())
}

// became notes what became of a point.
func (in *intake) became(why Drop, t pcommon.Timestamp) {
	in.missed(why, t)
	in.outcome.add(why)
}

// missed notes a loss. What comes too late for its fold is none: it is late.
func (in *intake) missed(why Drop, t pcommon.Timestamp) {
	if why.costs() && int64(t) > in.window.closed() {
		in.service.lost.add(in.metric, int64(t))
	}
}

// distribution is what histograms of both kinds have in common.
type distribution interface {
	Timestamp() pcommon.Timestamp
	StartTimestamp() pcommon.Timestamp
	Flags() pmetric.DataPointFlags
	Attributes() pcommon.Map
	Count() uint64
	Sum() float64
}

// histogram takes in a point; its buckets only where a tracked signal needs them.
func (in *intake) histogram(k kind, p distribution, hasSum bool, read func() *buckets) {
	why := check(k, p.Timestamp(), p.Flags(), float64(p.Count()))
	if why == "" {
		in.seriesKey(k, p.Attributes())
		var b *buckets
		if in.tracked.histograms[in.metric] {
			b = read()
		}
		why = in.insert(k, analysis.FieldCount, sampleOf(p.Timestamp(), p.StartTimestamp(), float64(p.Count())), b)
		// The sum is extra: what is wrong with it does not spoil the count. A sum
		// of negative observations may fall, then it is no counter.
		if hasSum && check(k, p.Timestamp(), p.Flags(), p.Sum()) == "" {
			in.missed(in.insert(k, analysis.FieldSum, sampleOf(p.Timestamp(), p.StartTimestamp(), p.Sum()), nil), p.Timestamp())
		}
	}
	in.became(why, p.Timestamp())
}

// check returns why a point cannot be used, "" if it can.
func check(k kind, t pcommon.Timestamp, flags pmetric.DataPointFlags, v float64) Drop {
	switch {
	case flags.NoRecordedValue():
		return DropNoValue
	case k == 0:
		return DropUnsupported
	case t == 0 || t > math.MaxInt64:
		return DropNoTime
	case math.IsNaN(v) || math.IsInf(v, 0):
		return DropNotFinite
	case v < 0 && k != level && k != change:
		return DropNegative
	}
	return ""
}

// sampleOf takes a start after the point's time for unknown.
func sampleOf(t, start pcommon.Timestamp, v float64) sample {
	if start > t {
		start = 0
	}
	return sample{t: int64(t), start: int64(start), v: v}
}

// seriesKey leaves the identity of the point's series in in.key, without its
// field, and its attributes in in.pairs.
func (in *intake) seriesKey(k kind, attributes pcommon.Map) {
	in.pairs = appendPairs(in.pairs[:0], attributes)
	in.key = append(in.key[:0], byte(k), 0)
	in.key = appendString(in.key, in.scope)
	in.key = appendString(in.key, in.metric)
	in.key = appendKey(in.key, in.pairs)
}

// insert adds the sample to the series of in.key and the given field, with its
// buckets if they are kept.
func (in *intake) insert(k kind, field analysis.Field, p sample, b *buckets) Drop {
	if len(in.key) > maxSeriesKey {
		return DropTooLong
	}
	cost := int64(1 + b.cost())
	if in.source.samples.Add(cost) > int64(in.source.cfg.MaxSamples) {
		in.source.samples.Add(-cost)
		return DropSampleLimit
	}
	why := in.insertWithin(k, field, p, b)
	if why != "" {
		in.source.samples.Add(-cost)
	}
	return why
}

// insertWithin is insert where there is room for a sample.
func (in *intake) insertWithin(k kind, field analysis.Field, p sample, b *buckets) Drop {
	in.key[1] = field[0]
	s := in.window.series[string(in.key)]
	if s != nil {
		return in.window.insert(s, p, b)
	}
	if in.source.series.Add(1) > int64(in.source.cfg.MaxSeries) {
		in.source.series.Add(-1)
		return DropSeriesLimit
	}
	s = &series{kind: k, metric: intern(in.metric), field: field, attributes: make([]attribute, len(in.pairs))}
	for i, a := range in.pairs {
		s.attributes[i] = attribute{intern(a.name), intern(a.value)}
	}
	if why := in.window.insert(s, p, b); why != "" {
		in.source.series.Add(-1)
		return why
	}
	in.window.series[string(in.key)] = s
	in.window.byMetric[s.metric] = append(in.window.byMetric[s.metric], s)
	return ""
}

func (in *intake) dropAll(m pmetric.Metric, why Drop) {
	n := 0
	switch m.Type() {
	case pmetric.MetricTypeSum:
		n = m.Sum().DataPoints().Len()
	case pmetric.MetricTypeGauge:
		n = m.Gauge().DataPoints().Len()
	case pmetric.MetricTypeHistogram:
		n = m.Histogram().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		n = m.ExponentialHistogram().DataPoints().Len()
	case pmetric.MetricTypeSummary:
		n = m.Summary().DataPoints().Len()
	}
	for range n {
		in.outcome.add(why)
	}
}

// appendPairs appends the attributes that can be compared with a text, sorted by
// name. Lists and maps cannot; rendering them could also cost more than they weigh.
func appendPairs(pairs []attribute, attributes pcommon.Map) []attribute {
	for name, value := range attributes.All() {
		switch value.Type() {
		case pcommon.ValueTypeStr:
			pairs = append(pairs, attribute{name, value.Str()})
		case pcommon.ValueTypeInt:
			pairs = append(pairs, attribute{name, strconv.FormatInt(value.Int(), 10)})
		case pcommon.ValueTypeBool:
			pairs = append(pairs, attribute{name, strconv.FormatBool(value.Bool())})
		case pcommon.ValueTypeDouble:
			pairs = append(pairs, attribute{name, strconv.FormatFloat(value.Double(), 'g', -1, 64)})
		}
	}
	slices.SortStableFunc(pairs, func(a, b attribute) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(pairs, func(a, b attribute) bool { return a.name == b.name })
}

func appendKey(key []byte, pairs []attribute) []byte {
	for _, a := range pairs {
		key = appendString(key, a.name)
		key = appendString(key, a.value)
	}
	return key
}

// appendString keeps its length, so that no two keys can be confused.
func appendString(key []byte, s string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(s))), s...)
}

func attributesOf(pairs []attribute) map[string]string {
	out := make(map[string]string, len(pairs))
	for _, a := range pairs {
		out[intern(a.name)] = intern(a.value)
	}
	return out
}

// intern keeps one copy of strings that many series share. The copy does not hold
// on to the request that it came in.
func intern(s string) string { return unique.Make(s).Value() }
