package otlp

import "sync/atomic"

// A Drop says why a data point was not kept. The values are stable: they label a metric.
type Drop string

const (
	DropNoTime      Drop = "no_time"      // the point has no time, or one beyond the year 2262
	DropNotFinite   Drop = "not_finite"   // NaN or infinite
	DropNegative    Drop = "negative"     // a counter below zero
	DropNoValue     Drop = "no_value"     // flagged as holding no recorded value; no fault
	DropUnsupported Drop = "unsupported"  // a summary, or a metric without type or temporality
	DropTooLong     Drop = "too_long"     // attributes longer than any honest ones
	DropSeriesLimit Drop = "series_limit" // beyond Config.MaxSeries
	DropSampleLimit Drop = "sample_limit" // beyond Config.MaxSamples
	DropDuplicate   Drop = "duplicate"    // the series has this reading already: a retry; no fault
	DropLate        Drop = "late"         // its fold was answered, or its minute summed, before it came
)

// drops is the order in which counters are kept.
var drops = [...]Drop{DropNoTime, DropNotFinite, DropNegative, DropNoValue, DropUnsupported, DropTooLong, DropSeriesLimit, DropSampleLimit, DropDuplicate, DropLate}

// Stats says what a source took in and holds.
type Stats struct {
	Requests  uint64
	Accepted  uint64          // data points
	Dropped   map[Drop]uint64 // data points, by reason; every reason is present
	Late      uint64          // Dropped[DropLate]
	Services  int
	Resources int
	Series    int

	Lines    Taken  // of log records
	Untraced uint64 // log records that carried no trace id, nor named one in their text
	Spans    Taken
	// Whole says how many traces of the sample are held, and OtherSpans how many spans
	// were counted for an operation that did not keep its name.
	Whole      int
	OtherSpans uint64
}

// Taken says what became of the items of one signal that were sent.
type Taken struct {
	Requests, Accepted uint64
	Dropped            map[Drop]uint64 // by reason; every reason is present
	Bytes              int             // that are held
}

func (c *counters) taken() Taken {
	t := Taken{Requests: c.requests.Load(), Accepted: c.accepted.Load(), Dropped: make(map[Drop]uint64, len(drops))}
	for i, drop := range drops {
		t.Dropped[drop] = c.dropped[i].Load()
	}
	return t
}

type counters struct {
	requests, accepted atomic.Uint64
	dropped            [len(drops)]atomic.Uint64
}

// Stats returns what happened so far.
func (s *Source) Stats() Stats {
	out := Stats{
		Requests: s.counters.requests.Load(), Accepted: s.counters.accepted.Load(),
		Dropped:   make(map[Drop]uint64, len(drops)),
		Resources: int(s.windows.Load()), Series: int(s.series.Load()),
	}
	for i, drop := range drops {
		out.Dropped[drop] = s.counters.dropped[i].Load()
	}
	out.Late = out.Dropped[DropLate]
	out.Lines, out.Untraced = s.lineCounters.taken(), s.untraced.Load()
	out.Spans = s.spanCounters.taken()
	out.Whole, out.Spans.Bytes = s.traces.size()
	out.OtherSpans = s.otherSpans.Load()
	out.Lines.Bytes = s.textBytes.held() + s.countBytes.held() + s.sampleBytes.held()
	s.mu.RLock()
	out.Services = len(s.services)
	s.mu.RUnlock()
	return out
}

// An Outcome says what became of the data points of one request. A point of a
// histogram counts once, although it feeds two series.
type Outcome struct {
	Accepted int
	dropped  [len(drops)]int
}

// Dropped returns how many points were dropped for a reason.
func (o Outcome) Dropped(why Drop) int {
	for i, drop := range drops {
		if drop == why {
			return o.dropped[i]
		}
	}
	return 0
}

// Rejected returns how many points the sender should know will never be counted,
// and the commonest reason. Duplicates and points without value are no fault, and
// late points were right when they were sent.
func (o Outcome) Rejected() (n int, reason Drop) {
	most := 0
	for i, drop := range drops {
		switch drop {
		case DropNoValue, DropDuplicate, DropLate:
			continue
		}
		n += o.dropped[i]
		if o.dropped[i] > most {
			most, reason = o.dropped[i], drop
		}
	}
	return n, reason
}

// add counts one point; why is "" if it was kept.
func (o *Outcome) add(why Drop) {
	if why == "" {
		o.Accepted++
		return
	}
	for i, drop := range drops {
		if drop == why {
			o.dropped[i]++
			return
		}
	}
}

func (c *counters) add(o Outcome) {
	c.requests.Add(1)
	c.accepted.Add(uint64(o.Accepted))
	for i, n := range o.dropped {
		if n > 0 {
			c.dropped[i].Add(uint64(n))
		}
	}
}
