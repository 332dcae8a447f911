package gather

import (
	"cmp"
	"slices"
	"time"

	"github.com/release-assay/assay/analysis"
)

// What log lines say is counted among requests, which another signal counts, perhaps
// at another source (statistics 10.1). Both are asked for the same fold and joined
// here: pod by pod where they call pods alike, else what is left of an arm is dealt
// to its pods. Only the sum over an arm weighs.

// requestsOf returns the signal that counts the exposure of a log signal, nil where q
// counts its own.
func requestsOf(s analysis.Signal) *analysis.Signal {
	if s.Logs == nil {
		return nil
	}
	return s.Logs.Requests
}

// eventsOf is a log signal as its own source is asked about it.
func eventsOf(s analysis.Signal) analysis.Signal {
	if s.Logs == nil || s.Logs.Requests == nil {
		return s
	}
	logs := *s.Logs
	logs.Requests = nil
	s.Logs = &logs
	return s
}

// requestsQuery is the question for the exposure of q.
func requestsQuery(q analysis.Query, requests analysis.Signal) analysis.Query {
	q.Signal, q.Lines, q.Strata, q.Bounds = requests, nil, nil, nil
	return q
}

// joinRows returns the rows of requests with the events as their bad ones, sorted as
// the rows of evidence. Received is the number of lines that a pod wrote: one that serves
// and writes none is fresh, and what its silence means is judged by what it wrote before.
// Where the signal wants its line to appear, the requests without one are the bad ones.
// More events than requests are as many as requests.
func joinRows(logs *analysis.LogSignal, events, requests []analysis.ArmRow) []analysis.ArmRow {
	out := slices.Clone(requests)
	for i := range out {
		r := &out[i]
		r.Fresh = r.Fresh || r.Received > 0
		r.Bad, r.Above, r.Level, r.Received = 0, nil, 0, 0
	}
	slices.SortFunc(out, compareRows)
	for arm := analysis.Baseline; arm <= analysis.Control; arm++ {
		of := make([]*analysis.ArmRow, 0, len(out))
		for i := range out {
			if out[i].Arm == arm {
				of = append(of, &out[i])
			}
		}
		left, lines := 0.0, 0
		for _, e := range events {
			if e.Arm != arm {
				continue
			}
			left += e.Bad - deal(of, e.Bad, func(r *analysis.ArmRow) bool { return r.Pod == e.Pod })
			if i := slices.IndexFunc(of, func(r *analysis.ArmRow) bool { return r.Pod == e.Pod }); i >= 0 {
				of[i].Received += e.Received
			} else {
				lines += e.Received
			}
		}
		deal(of, left, func(*analysis.ArmRow) bool { return true })
		for i, r := range of { // pods that the sources call differently
			share := lines / (len(of) - i)
			r.Received += share
			lines -= share
		}
	}
	if logs.MustAppear != "" {
		for i := range out {
			out[i].Bad = out[i].Exposure - out[i].Bad
		}
	}
	return out
}

// deal adds n bad events to the rows that are chosen, in their order, as far as their
// exposures have room, and returns how many that were.
func deal(rows []*analysis.ArmRow, n float64, chosen func(*analysis.ArmRow) bool) float64 {
	dealt := 0.0
	for _, r := range rows {
		if n <= dealt {
			break
		}
		if chosen(r) {
			take := min(n-dealt, r.Exposure-r.Bad)
			r.Bad += take
			dealt += take
		}
	}
	return dealt
}

// JoinSums is joinRows for the minutes of history. Those before the first minute of the
// events are left out: the source of logs may not reach back as far.
func JoinSums(logs *analysis.LogSignal, events, requests []analysis.MinuteSum) []analysis.MinuteSum {
	byMinute := map[time.Time][]analysis.ArmRow{}
	if len(events) == 0 {
		return nil
	}
	first := events[0].Minute
	for _, e := range events {
		at := e.Minute.UTC()
		if at.Before(first) {
			first = at
		}
		byMinute[at] = append(byMinute[at], analysis.ArmRow{Arm: analysis.Baseline, Pod: e.Pod, Bad: e.Bad})
	}
	var out []analysis.MinuteSum
	for i := 0; i < len(requests); {
		at, j := requests[i].Minute, i
		var rows []analysis.ArmRow
		for ; j < len(requests) && requests[j].Minute.Equal(at); j++ {
			rows = append(rows, analysis.ArmRow{Arm: analysis.Baseline, Pod: requests[j].Pod, Exposure: requests[j].Exposure})
		}
		if at.Before(first) {
			rows = nil
		}
		for _, r := range joinRows(logs, byMinute[at.UTC()], rows) {
			out = append(out, analysis.MinuteSum{Minute: at, Pod: r.Pod, Bad: r.Bad, Exposure: r.Exposure})
		}
		i = j
	}
	slices.SortStableFunc(out, func(a, b analysis.MinuteSum) int {
		return cmp.Or(a.Minute.Compare(b.Minute), cmp.Compare(a.Pod, b.Pod))
	})
	return out
}
