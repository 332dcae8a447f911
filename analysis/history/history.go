// Package history learns from the hours before a deployment what the judge needs
// to know about its baseline: the rate of bad events, the traffic, and by how much
// two groups of healthy pods differ more than chance allows (phi).
//
// Phi is learned from A/A comparisons: pseudo-canaries, canary-sized groups of
// baseline pods, are compared with the rest of the baseline, minute by minute.
// Nothing was deployed, so whatever they differ by beyond binomial noise is
// dispersion that the evidence must be divided by.
//
// Of a level, [LearnLevel] learns from the same comparisons how the difference of two
// groups hangs together in time, and how far pods differ for good.
//
// The package is pure. It does not fetch (internal/gather does) and sees nothing
// after the deployment: the caller asks for [start-24h, start).
package history

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/stats"
)

// Span is how far back history reaches.
const Span = 24 * time.Hour

const (
	minMinutes     = 120 // minutes with data below which phi is not learned
	minPods        = 2   // baseline pods
	pseudoCanaries = 20  // seeded pseudo-canaries, of which the median counts
)

// Learn reduces the one-minute sums of the baseline before start. Weight is the
// canary's share, which sizes the pseudo-canaries; seed (the validation's id) fixes
// which pods play them. Sums at or after start are ignored.
func Learn(sums []analysis.MinuteSum, start time.Time, weight float64, seed string) analysis.History {
	minutes, names := byMinute(sums, start)
	h := analysis.History{Minutes: len(minutes), Phi0: stats.NoHistory()}
	pods := map[string]bool{}
	for _, m := range minutes {
		lastHour := !m.at.Before(start.Add(-time.Hour))
		if lastHour {
			h.HourSpan++
		}
		for _, s := range m.pods {
			h.Bad += s.Bad
			h.Exposure += s.Exposure
			if lastHour {
				h.BadHour += s.Bad
				h.HourTotal += s.Exposure
				pods[s.Pod] = true
			}
		}
	}
	h.Pods = len(pods)
	h.Calibrated = len(minutes) >= minMinutes && h.Pods >= minPods
	counted := outcomeOf(h.Bad, h.Exposure)
	h.PhiBefore = before(minutes, counted)
	if h.Calibrated {
		h.Phi0 = dispersion(minutes, names, weight, seed, counted)
	}
	h.Latency = latency(minutes, start, names, weight, seed, h.Calibrated)
	return h
}

// oneMinute is what every pod counted in one minute, sorted by pod.
type oneMinute struct {
	at   time.Time
	pods []analysis.MinuteSum
	ids  []int32 // of the pods: their places among the names
}

// byMinute sorts the possible sums before start into minutes, and names the pods.
func byMinute(sums []analysis.MinuteSum, start time.Time) (out []oneMinute, names []string) {
	sums = slices.DeleteFunc(slices.Clone(sums), func(s analysis.MinuteSum) bool {
		return !s.Minute.Before(start) || !(s.Bad >= 0 && s.Bad <= s.Exposure) || math.IsInf(s.Exposure, 0)
	})
	slices.SortFunc(sums, func(a, b analysis.MinuteSum) int {
		if c := a.Minute.Compare(b.Minute); c != 0 {
			return c
		}
		return strings.Compare(a.Pod, b.Pod)
	})
	ids := map[string]int32{}
	for _, s := range sums {
		if n := len(out); n == 0 || !out[n-1].at.Equal(s.Minute) {
			out = append(out, oneMinute{at: s.Minute})
		}
		id, ok := ids[s.Pod]
		if !ok {
			id = int32(len(names))
			ids[s.Pod] = id
			names = append(names, s.Pod)
		}
		last := &out[len(out)-1]
		last.pods = append(last.pods, s)
		last.ids = append(last.ids, id)
	}
	return out, names
}

// dispersion is the median, over seeded pseudo-canaries, of the dispersion of
// pseudo-canary against the rest. Pods are ranked by a seeded hash of their name
// and the first max(1, round(weight x pods)) of those alive in a minute play the
// canary, so that a group survives pods that come and go.
func dispersion(minutes []oneMinute, names []string, weight float64, seed string, counted outcome) stats.Priors {
	var all []stats.Priors
	rows := make([]stats.Row, 0, len(minutes))
	var alive []int32
	for i := range pseudoCanaries {
		rank := ranking(names, seed, byte(i))
		rows = rows[:0]
		for j := range minutes {
			var row stats.Row
			row, alive = compare(&minutes[j], rank, weight, alive)
			rows = append(rows, counted.row(row))
		}
		all = append(all, stats.PriorsOf(counted.phi(rows)))
	}
	return stats.MedianPriors(all)
}

// ranking is the rank of each name in one draw.
func ranking(names []string, seed string, draw byte) []int32 {
	hashes := make([]uint64, len(names))
	order := make([]int32, len(names))
	for i, name := range names {
		hashes[i], order[i] = hash(seed, draw, name), int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(hashes[a], hashes[b]), strings.Compare(names[a], names[b]))
	})
	rank := make([]int32, len(names))
	for r, i := range order {
		rank[i] = int32(r)
	}
	return rank
}

// compare adds up one minute with the lowest-ranked pods as the canary. Somebody is
// left to compare with. Alive is scratch space, returned for the next call.
func compare(m *oneMinute, rank []int32, weight float64, alive []int32) (stats.Row, []int32) {
	last, alive := canaryUpTo(m, rank, weight, alive)
	var row stats.Row
	for i, s := range m.pods {
		if rank[m.ids[i]] <= last {
			row.XC += s.Bad
			row.NC += s.Exposure
		} else {
			row.XB += s.Bad
			row.NB += s.Exposure
		}
	}
	return row, alive
}

// canaryUpTo is the highest rank of those pods of a minute that play the canary:
// max(1, round(weight x pods)), but never all of them where there are several.
func canaryUpTo(m *oneMinute, rank []int32, weight float64, alive []int32) (int32, []int32) {
	alive = alive[:0]
	for _, id := range m.ids {
		alive = append(alive, rank[id])
	}
	slices.Sort(alive)
	size := max(1, min(len(alive)-1, int(math.Round(weight*float64(len(alive))))))
	return alive[size-1], alive
}

func hash(seed string, draw byte, pod string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(seed))
	h.Write([]byte{0, draw, 0})
	h.Write([]byte(pod))
	// FNV spreads its last bytes poorly over the high bits; mix once more.
	v := h.Sum64()
	v ^= v >> 33
	v *= 0xff51afd7ed558ccd
	return v ^ v>>33
}
