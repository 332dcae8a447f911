package liar

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A Collector stands between the shop and a receiver of pushed metrics, and does to
// them what the script says of what is held: it knows silent, relabel, late and
// repeat. Rules about sending do not concern it.
type Collector struct {
	telemetry *Telemetry
	script    Script
	next      int    // of the telemetry's pushes
	waiting   []Push // by when they are delivered
	obeyed    []int
}

// NewCollector returns a collector that has delivered nothing yet.
func NewCollector(t *Telemetry, script Script) *Collector {
	return &Collector{telemetry: t, script: script, obeyed: make([]int, len(script))}
}

// Obeyed returns, for each rule of the script, how many resources it has changed.
func (c *Collector) Obeyed() []int { return c.obeyed }

// Until returns what is delivered up to and with an instant, and was not before.
func (c *Collector) Until(now time.Time) []pmetric.Metrics {
	for ; c.next < len(c.telemetry.Pushes) && !c.telemetry.Pushes[c.next].At.After(now); c.next++ {
		c.collect(c.telemetry.Pushes[c.next])
	}
	var due []pmetric.Metrics
	var waiting []Push
	for _, p := range c.waiting {
		if p.At.After(now) {
			waiting = append(waiting, p)
		} else {
			due = append(due, p.Metrics)
		}
	}
	c.waiting = waiting
	return due
}

// collect puts what the shop exported at an instant among what waits, each resource
// as the rules say.
func (c *Collector) collect(push Push) {
	since := push.At.Sub(c.telemetry.Deployed)
	batches := map[time.Duration]pmetric.Metrics{} // by delay
	var delays []time.Duration
	for _, resource := range push.Metrics.ResourceMetrics().All() {
		own := targetOf(resource.Resource().Attributes())
		delay, copies := time.Duration(0), 1
		relabel := map[string]string{}
		for k := range c.script {
			rule := &c.script[k]
			if rule.sort() != held || !rule.in(since) || !rule.concerns("", own.arm, own.pod) {
				continue
			}
			c.obeyed[k]++
			switch rule.Do {
			case "silent":
				copies = 0
			case "late":
				delay += rule.By
			case "repeat":
				copies *= 2
			case "relabel":
				relabel[rule.Label] = rule.Value
			}
		}
		for range copies {
			m, ok := batches[delay]
			if !ok {
				m = pmetric.NewMetrics()
				batches[delay] = m
				delays = append(delays, delay)
			}
			to := m.ResourceMetrics().AppendEmpty()
			resource.CopyTo(to)
			for label, value := range relabel {
				to.Resource().Attributes().PutStr(label, value)
			}
		}
	}
	for _, delay := range delays {
		c.waiting = append(c.waiting, Push{push.At.Add(delay), batches[delay]})
	}
}
