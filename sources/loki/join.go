package loki

import (
	"encoding/hex"
	"maps"
	"slices"

	"github.com/release-assay/assay/analysis/logdiff"
)

// A joining is one stream while its messages are put together.
type joining struct {
	logdiff.Joiner
	head message // what is open
}

// join reads lines, which are in order of time, and puts those together that are parts of
// one message in their stream. Of the messages those are returned that are wanted.
func join(all []entry, wanted func(*message) bool) []message {
	var (
		r   logdiff.Reader
		out []message
	)
	streams := map[string]*joining{}
	keep := func(j *joining, done logdiff.Entry) {
		j.head.finish(done)
		if wanted(&j.head) {
			out = append(out, j.head)
		}
	}
	for _, e := range all {
		m := read(&r, e)
		key := writerKey(&e)
		j := streams[key]
		if j == nil {
			j = &joining{}
			streams[key] = j
		}
		done, ok := j.Add(m.Entry)
		switch {
		case ok:
			keep(j, done)
			j.head = m
		case j.head.entries == 0: // the first
			j.head = m
		default:
			j.head.entries++
			j.head.bytes += m.bytes
		}
	}
	for _, key := range slices.Sorted(maps.Keys(streams)) {
		if done, ok := streams[key].Flush(); ok {
			keep(streams[key], done)
		}
	}
	return out
}

// finish takes over what became of a message.
func (m *message) finish(done logdiff.Entry) {
	m.Entry = done
	if id, err := hex.DecodeString(done.TraceID); err == nil && len(id) == len(m.trace) {
		m.trace = [16]byte(id)
	}
}

// ofLines are labels of single lines, which servers that do not tell them apart put among
// those of the stream.
var ofLines = append([]string{"detected_level", "trace_id", "traceid", "traceID", "span_id", "trace_flags", "flags", "observed_timestamp"}, levelLabels...)

// writerKey tells apart what is written side by side: the labels of the stream, and of
// the line's own those that name who wrote it.
func writerKey(e *entry) string {
	labels := maps.Clone(e.stream)
	for name, value := range e.meta {
		if labels == nil {
			labels = map[string]string{}
		}
		labels[name] = value
	}
	for _, name := range ofLines {
		delete(labels, name)
	}
	return nameOf(labels)
}
