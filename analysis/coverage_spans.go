package analysis

import "time"

// Spans come with requests and not with the clock: a pod that serves little has folds
// without any, and is not missed in them. It is expected only in folds for which its last
// ten predict enough spans, and any signal of it proves it alive (statistics 2.3).

const (
	spanFolds    = 10 // that predict the next
	spansNeeded  = 10 // that must be predicted for a pod to be expected
	maxSpansSeen = 1 << 30
)

// spansSeen is how many spans, or log lines, a pod sent in each of its last folds.
type spansSeen struct {
	Last [spanFolds]int
	N    int  // folds so far
	Any  bool // in any of them
	// Gap is how many of the newest folds were without any, Longest the most folds
	// between two that had some.
	Gap, Longest int
}

func (s *spansSeen) add(n int) {
	s.Last[s.N%spanFolds] = min(n, maxSpansSeen)
	s.N++
	if s.Gap++; n > 0 {
		if s.Any {
			s.Longest = max(s.Longest, s.Gap-1)
		}
		s.Any, s.Gap = true, 0
	}
}

// expected reports whether the last folds predict enough spans in the next.
func (s *spansSeen) expected() bool {
	sum, folds := 0, min(s.N, spanFolds)
	for _, n := range s.Last[:folds] {
		sum += n
	}
	return folds > 0 && sum >= spansNeeded*folds
}

// foldSpans is fold where spans or lines are counted: expected are the pods of which enough spans
// are predicted, and those that were heard.
func (c *armCoverage) foldSpans(k int, rows []ArmRow, deployed time.Time) {
	sent := map[string]int{}
	for i := range rows {
		if r := &rows[i]; r.Received > 0 || r.Fresh {
			sent[r.Pod] += r.Received
		}
	}
	for pod, p := range c.Pods {
		_, alive := sent[pod]
		switch {
		case alive:
		case k-p.Last > staleAfter && len(sent) > 0:
			delete(c.Pods, pod) // it left, or has nothing to do
			if !p.Old && p.Spans.expected() {
				c.Left[pod] = p
			}
		case p.Spans.expected():
			c.Expected++
		}
	}
	for i := range rows {
		if r := &rows[i]; r.Received > 0 || r.Fresh {
			c.saw(r, k, len(sent), deployed)
			c.Exposure += r.Exposure
		}
	}
	for pod, p := range c.Left {
		if len(sent) >= p.Peers {
			delete(c.Left, pod) // it was replaced
		}
	}
	c.Expected += len(sent)
	c.Received += len(sent)
	c.Now = 0
	for pod, p := range c.Pods {
		if k-p.Last < staleAfter {
			c.Now++
		}
		if len(sent) > 0 { // what a silent arm would have sent is predicted by what it sent before
			p.Spans.add(sent[pod])
			c.Pods[pod] = p
		}
	}
	if len(sent) == 0 {
		return
	}
	c.LastFold = k
	c.PodCount[c.Now]++
	if k >= staleAfter {
		c.Usual = max(c.Usual, c.medianPods())
	}
}
