package otlp

import (
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
)

// kind is what a series' samples hold.
type kind byte

const (
	cumulative kind = 'c' // the count since start
	delta      kind = 'd' // the count between start and t
	level      kind = 'l' // a gauge, or a sum that may fall: no counter
	change     kind = 'u' // by how much a sum that may fall did since start: neither
)

// A sample is one data point. Times are nanoseconds since the epoch; a start of 0
// is unknown.
type sample struct {
	t, start int64
	v        float64
}

type attribute struct{ name, value string }

// A series is one label combination of one metric of one resource.
type series struct {
	kind       kind
	metric     string
	field      analysis.Field
	attributes []attribute // sorted by name
	samples    []sample    // ascending in t, no two alike
	buckets    []*buckets  // of the samples of a histogram's count, nil where not kept; nil: none are
}

// costs is how many samples' memory the samples from i to j take.
func (s *series) costs(i, j int) int {
	n := j - i
	if s.buckets != nil {
		for _, b := range s.buckets[i:j] {
			n += b.cost()
		}
	}
	return n
}

// add inserts a sample before the n-th.
func (s *series) add(n int, p sample, b *buckets) {
	if b != nil && s.buckets == nil {
		s.buckets = make([]*buckets, len(s.samples), len(s.samples)+1)
	}
	s.samples = slices.Insert(s.samples, n, p)
	if s.buckets != nil {
		s.buckets = slices.Insert(s.buckets, n, b)
	}
}

// drop removes the first n samples.
func (s *series) drop(n int) {
	s.samples = slices.Delete(s.samples, 0, n)
	if s.buckets != nil {
		s.buckets = slices.Delete(s.buckets, 0, n)
	}
}

func (s *series) attribute(name string) string {
	for _, a := range s.attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// until returns how many samples are at or before t. Most questions are about the
// newest samples, so it looks there first.
func (s *series) until(t int64) int {
	n := len(s.samples)
	for back := 0; back < 4 && n > 0; back++ {
		if s.samples[n-1].t <= t {
			return n
		}
		n--
	}
	return searchTimes(s.samples[:n], t)
}

// searchTimes returns how many of the samples are at or before t.
func searchTimes(samples []sample, t int64) int {
	n, _ := slices.BinarySearchFunc(samples, t, func(s sample, t int64) int {
		if s.t > t {
			return 1
		}
		return -1
	})
	return n
}

// at returns the sample at exactly t.
func (s *series) at(t int64) (sample, bool) {
	if n := s.until(t); n > 0 && s.samples[n-1].t == t {
		return s.samples[n-1], true
	}
	return sample{}, false
}

// A window is what one resource sent lately. It is protected by its service's lock.
type window struct {
	key        string            // all attributes, canonical
	attributes map[string]string // of the resource; never changed
	pod        string

	series   map[string]*series
	byMetric map[string][]*series
	lost     losses // of its service

	held     int      // raw samples of all series, and what buckets cost in samples
	instants instants // of the newest readings
	newest   int64    // time of the newest sample

	answered int64 // up to here folds were answered: what comes for them is late
	summed   int64 // up to here minutes were summed by roll
	trimmed  int64 // time of the newest raw sample that is no longer kept; 0: none
	trimNext int64 // trim when a sample reaches this time
	evicted  int64 // newest, when Evict last looked

	minutes map[string][]minute // by the key of a tracked signal; ascending

	listed bool // its service has it

	lines *lineWindow // nil: none were heard of
	spans *spanWindow // nil: none were heard or asked of
}

func newWindow(key string, attributes map[string]string, lost losses) *window {
	return &window{
		key: key, attributes: attributes, pod: podOf(attributes), lost: lost,
		series: map[string]*series{}, byMetric: map[string][]*series{},
	}
}

func podOf(attributes map[string]string) string {
	if pod := attributes[analysis.AttrPod]; pod != "" {
		return pod
	}
	return attributes[analysis.AttrInstance]
}

// Names that attributes had before they were renamed; senders still use both.
const (
	oldEnvironment = "deployment.environment"
	podLabel       = "k8s.pod.label."
	oldPodLabel    = "k8s.pod.labels."
)

// attribute returns the value of a resource attribute, "" if there is none.
func (w *window) attribute(name string) string {
	if name == analysis.AttrPod {
		return w.pod
	}
	if value, ok := w.attributes[name]; ok {
		return value
	}
	if name == analysis.AttrEnvironment {
		return w.attributes[oldEnvironment]
	}
	if key, ok := strings.CutPrefix(name, podLabel); ok {
		return w.attributes[oldPodLabel+key]
	}
	return ""
}

// closed returns the instant up to which nothing may be added any more.
func (w *window) closed() int64 { return max(w.answered, w.summed, w.trimmed) }

// maxBehind is behind how many newer samples of its series one may come: 17 minutes of
// exports each second. To let it in moves them all, which a million samples in the
// wrong order would do for hours.
const maxBehind = 1024

// insert adds a sample to a series of the window, with its buckets if they are kept,
// and says why it did not.
func (w *window) insert(s *series, p sample, b *buckets) Drop {
	if !w.align(s, &p) {
		return DropDuplicate
	}
	n := s.until(p.t)
	if n > 0 && s.samples[n-1].t == p.t {
		return DropDuplicate
	}
	if p.t <= w.closed() || len(s.samples)-n > maxBehind {
		return DropLate
	}
	s.add(n, p, b)
	w.held += 1 + b.cost()
	w.newest = max(w.newest, p.t)
	return ""
}

// freshIn reports whether a series outside of the given ones has a sample in
// (from, to].
func (w *window) freshIn(fold analysis.Fold, except []counted) bool {
	from, to := fold.Start.UnixNano(), fold.End.UnixNano()
	for _, s := range w.series {
		if slices.ContainsFunc(except, func(c counted) bool { return c.series == s }) {
			continue
		}
		if n := s.until(to); n > 0 && s.samples[n-1].t > from {
			return true
		}
	}
	return false
}

func instant(ns int64) time.Time { return time.Unix(0, ns).UTC() }
