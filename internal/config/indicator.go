package config

import "github.com/release-assay/assay/analysis"

// An sli is what an indicator measures.
type sli struct {
	signal    analysis.Signal
	threshold bool // a gauge that should keep on one side of a value
	written   Written
	where     string
	sound     bool // false: its file is wrong, which is reported there
}

func readSLI(d *document, s *set) (string, *sli) {
	var o sliObject
	d.decode(d.root, "", &o)
	o.Metadata.checkName(d)
	out := o.Spec.read(d, "spec", s.sources)
	out.where = d.position("metadata.name")
	out.sound = len(d.faults) == 0
	return o.Metadata.Name, &out
}

// read reads an indicator into what is measured. Its name is given by the SLO.
func (s indicatorSpec) read(d *document, path string, sources Sources) sli {
	switch r := s.RatioMetric; {
	case r != nil && s.ThresholdMetric != nil:
		d.fail(join(path, "thresholdMetric"), "ratioMetric and thresholdMetric exclude each other")
	case r != nil && r.Raw != nil:
		return r.raw(d, join(path, "ratioMetric"), sources)
	case r != nil:
		return r.counts(d, join(path, "ratioMetric"), sources)
	case s.ThresholdMetric != nil:
		where := join(path, "thresholdMetric")
		out := sli{threshold: true, signal: analysis.Signal{Shape: analysis.ShapeLevel}}
		out.signal.Gauge, out.signal.Source = s.ThresholdMetric.gauge(d, where, sources)
		out.written.Event = s.ThresholdMetric.written(d, where)
		out.written.Total = out.written.Event
		return out
	default:
		d.fail(path, "needs ratioMetric or thresholdMetric")
	}
	return sli{}
}

// raw reads a share that something else computed: a gauge in [0, 1].
func (r ratioMetric) raw(d *document, path string, sources Sources) sli {
	out := sli{signal: analysis.Signal{Unit: "1", Shape: analysis.ShapeLevel}}
	for _, part := range []struct {
		key     string
		written bool
	}{{"good", r.Good != nil}, {"bad", r.Bad != nil}, {"total", r.Total != nil}} {
		if part.written {
			d.fail(join(path, part.key), "%s and raw exclude each other: counts can be compared exactly, so leave out raw", part.key)
		}
	}
	if r.Counter != nil && *r.Counter {
		d.fail(join(path, "counter"), "counter: true is for good, bad and total; a raw ratio is a gauge")
	}
	switch where := join(path, "rawType"); {
	case d.faulty(where):
	case r.RawType == "":
		now, _ := r.RawType.legal()
		d.fail(where, "is required beside raw%s", legalList("", now))
	case r.RawType == rawSuccess:
		out.signal.Better = analysis.BetterHigher
	}
	where := join(path, "raw")
	out.signal.Gauge, out.signal.Source = r.Raw.gauge(d, where, sources)
	out.written.Event = r.Raw.written(d, where)
	out.written.Total = out.written.Event
	return out
}

// counts reads a share of two counters.
func (r ratioMetric) counts(d *document, path string, sources Sources) sli {
	out := sli{signal: analysis.Signal{Unit: "1", Shape: analysis.ShapeRatio}}
	switch {
	case d.faulty(join(path, "counter")):
	case r.Counter == nil:
		d.fail(path, "needs counter: true: only counts can be compared exactly, so it must be said that these are counts")
	case !*r.Counter:
		d.fail(join(path, "counter"), "counter: false: two gauges are no counts; write the counters, or their ratio as one gauge (raw)")
	}
	switch {
	case r.Good != nil && r.Bad != nil:
		d.fail(join(path, "bad"), "good and bad exclude each other")
	case r.Good == nil && r.Bad == nil:
		d.fail(path, "needs a good or a bad counter")
	}
	if r.Total == nil {
		d.fail(join(path, "total"), "is required")
	}
	if r.RawType != "" {
		d.fail(join(path, "rawType"), "is for raw")
	}
	for _, part := range []struct {
		key    string
		metric *metric
		into   **analysis.Selector
		place  *Place
	}{
		{"good", r.Good, &out.signal.Good, &out.written.Event},
		{"bad", r.Bad, &out.signal.Bad, &out.written.Event},
		{"total", r.Total, &out.signal.Total, &out.written.Total},
	} {
		if part.metric == nil {
			continue
		}
		where := join(join(path, part.key), "metricSource")
		selector, source := part.metric.Source.selector(d, where, sources)
		*part.into, *part.place = selector, part.metric.Source.written(d, where)
		switch {
		case out.signal.Source == "":
			out.signal.Source = source
		case source != "" && source != out.signal.Source:
			d.fail(where, "is read from %q, but the other counter from %q: a ratio has one source", source, out.signal.Source)
		}
	}
	return out
}
