package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// The bounds from which something of an operation or edge is told. They keep the list
// readable; nothing is decided by them.
const (
	expectedCalls  = 3    // that the other arm should have had, where an edge appeared or vanished
	errorSurprise  = 3    // nats, of errors, exclusive errors and retries
	slowerFactor   = 1.2  // of the mean duration, and of the time without children
	slowerScore    = 3    // standard errors of its logarithm, where durations spread by their mean
	callsFactor    = 1.25 // more calls for each request; fewer by its inverse
	versionsShared = 10   // calls of either arm, where callees have several versions
)

// tell lists the operations and calls that differ, each with everything that it shows.
func (t *topology) tell(ofPods int) []telling {
	var out []telling
	for _, e := range t.withoutVersions() {
		if d, ok := t.telling(&e, ofPods); ok {
			out = append(out, d)
		}
	}
	return append(out, t.tellVersions()...)
}

// withoutVersions adds up calls of the same callee, sorted by edge.
func (t *topology) withoutVersions() []edgeSeen {
	at := map[Edge]int{}
	var out []edgeSeen
	for i := range t.Edges {
		e := t.Edges[i]
		e.CalleeVersion = ""
		k, ok := at[e.Edge]
		if !ok {
			at[e.Edge] = len(out)
			out = append(out, e)
			continue
		}
		sum := &out[k]
		sum.Baseline.Add(e.Baseline)
		sum.Canary.Add(e.Canary)
		sum.Pods = max(sum.Pods, e.Pods)
		if sum.Since.IsZero() || !e.Since.IsZero() && e.Since.Before(sum.Since) {
			sum.Since = e.Since
		}
	}
	slices.SortFunc(out, func(a, b edgeSeen) int { return strings.Compare(a.key(), b.key()) })
	return out
}

// key names an edge. No part of it can hold the separator and be read as another edge.
func (e *Edge) key() string {
	return fmt.Sprintf("%q %q %q %q %q %q", e.Service, e.Operation, e.Kind, e.Callee, e.CalleeVersion, e.CalleeOperation)
}

// label names an edge for people.
func (e *Edge) label() string {
	if e.Callee == "" {
		return fmt.Sprintf("%s of %s", cmp.Or(e.Operation, "an operation without a name"), e.Service)
	}
	return strings.TrimSpace(fmt.Sprintf("call of %s %s by %s of %s", e.Callee, e.CalleeOperation, cmp.Or(e.Operation, "an operation without a name"), e.Service))
}

// An aspect is one thing that an edge shows.
type aspect struct {
	class            int
	size             float64
	what             string
	baseline, canary float64
	ratio            float64
}

func (t *topology) telling(e *edgeSeen, ofPods int) (telling, bool) {
	aspects := t.aspects(e)
	if len(aspects) == 0 {
		return telling{}, false
	}
	slices.SortStableFunc(aspects, func(a, b aspect) int { return cmp.Or(cmp.Compare(b.class, a.class), cmp.Compare(b.size, a.size)) })
	first := aspects[0]
	edge := e.Edge
	d := telling{class: first.class, size: first.size, Difference: Difference{
		Key: "operation:" + edge.key(), Kind: DiffOperation, Service: e.Service, Edge: &edge,
		New: e.appeared(), Gone: e.vanished(), Muted: t.muted(&edge),
		E: Figure(math.NaN()), Baseline: first.baseline, Canary: first.canary, Ratio: Figure(first.ratio), OfPods: ofPods,
	}}
	if edge.Callee != "" {
		d.Key, d.Kind = "edge:"+edge.key(), DiffEdge
	}
	since := e.Failed
	if d.New {
		since = e.Since
	}
	if !since.IsZero() {
		d.Since = &since
	}
	parts := make([]string, len(aspects))
	for i, a := range aspects {
		parts[i] = a.what
	}
	d.What = edge.label() + ": " + strings.Join(parts, "; ")
	if d.Muted {
		d.What += "; muted"
	}
	return d, true
}

func (t *topology) muted(e *Edge) bool {
	return t.plan.Traces != nil && slices.ContainsFunc(t.plan.Traces.Mute, func(name string) bool {
		return name != "" && (name == e.Operation || name == e.CalleeOperation)
	})
}

func (e *edgeSeen) appeared() bool { return e.Baseline.Calls == 0 && e.Canary.Calls > 0 }
func (e *edgeSeen) vanished() bool { return e.Canary.Calls == 0 && e.Baseline.Calls > 0 }

// aspects are what an edge shows, in no order.
func (t *topology) aspects(e *edgeSeen) []aspect {
	var out []aspect
	b, c, r := e.Baseline, e.Canary, t.Requests
	add := func(class int, size float64, baseline, canary, ratio float64, format string, args ...any) {
		out = append(out, aspect{class, size, fmt.Sprintf(format, args...), baseline, canary, ratio})
	}
	switch {
	case e.appeared() && r.Canary > 0 && c.Calls/r.Canary*r.Baseline >= expectedCalls:
		add(classWarn, surprise(c.Calls, 0, r.Canary, r.Baseline), 0, c.Calls, math.Inf(1), "new in the canary, %.0f times", c.Calls)
	case e.vanished() && r.Baseline > 0 && b.Calls/r.Baseline*r.Canary >= expectedCalls:
		add(classWarn, surprise(0, b.Calls, r.Canary, r.Baseline), b.Calls, 0, 0, "gone from the canary, %.0f times in the baseline", b.Calls)
	}
	share := func(what string, xC, xB, nC, nB float64) {
		size := surprise(xC, xB, nC, nB)
		if ratio := rate(xC, nC) / rate(xB, nB); size >= errorSurprise && ratio > 1 {
			add(classError, size, xB, xC, ratio, "%s %s in the canary, %s in the baseline", percent(xC, nC), what, percent(xB, nB))
		}
	}
	share("fail", c.Errors, b.Errors, c.Calls, b.Calls)
	if e.Callee == "" {
		share("fail by themselves", c.Exclusive, b.Exclusive, c.Sampled, b.Sampled)
	} else {
		share("are retries", c.Retries, b.Retries, c.Calls, b.Calls)
	}
	if e.appeared() && c.Errors > 0 {
		add(classError, c.Errors, 0, c.Errors, math.Inf(1), "%s fail", percent(c.Errors, c.Calls))
	}
	slower := func(what string, sC, sB, nC, nB float64) {
		factor := rate(sC, nC) / rate(sB, nB)
		if score := math.Log(factor) / math.Sqrt(1/nC+1/nB); factor >= slowerFactor && !math.IsInf(factor, 1) && score >= slowerScore {
			add(classDuration, factor, rate(sB, nB), rate(sC, nC), factor, "%s %s as long (%.3g s, baseline %.3g s)", what, times(factor), rate(sC, nC), rate(sB, nB))
		}
	}
	slower("takes", c.Seconds, b.Seconds, c.Calls, b.Calls)
	slower("takes by itself", c.Self, b.Self, c.Sampled, b.Sampled)
	if mix := e.Callee == "" && (e.Kind == "server" || e.Kind == "consumer"); !mix && c.Calls > 0 && b.Calls > 0 {
		ratio := r.ratio(c.Calls, b.Calls)
		if size := surprise(c.Calls, b.Calls, r.Canary, r.Baseline); size >= leastSurprise && (ratio >= callsFactor || ratio <= 1/callsFactor) {
			add(classWarn, size, b.Calls, c.Calls, ratio, "%s as often for each request (%.3g, baseline %.3g)", times(ratio), c.Calls/r.Canary, b.Calls/r.Baseline)
		}
	}
	return out
}

// versions are the calls of one service by another, by version of the callee.
type versions struct {
	service, callee string
	of              map[string]*edgeSeen
}

// tellVersions lists calls of services that run in several versions: whether the old
// caller gets on with the new callee, and the other way round.
func (t *topology) tellVersions() []telling {
	pairs := map[[2]string]*versions{}
	for i := range t.Edges {
		e := &t.Edges[i]
		if e.Callee == "" || e.CalleeVersion == "" {
			continue
		}
		pair := [2]string{e.Service, e.Callee}
		v := pairs[pair]
		if v == nil {
			v = &versions{e.Service, e.Callee, map[string]*edgeSeen{}}
			pairs[pair] = v
		}
		if v.of[e.CalleeVersion] == nil {
			v.of[e.CalleeVersion] = &edgeSeen{}
		}
		v.of[e.CalleeVersion].Baseline.Add(e.Baseline)
		v.of[e.CalleeVersion].Canary.Add(e.Canary)
	}
	var out []telling
	for _, v := range pairs {
		if d, ok := v.telling(); ok {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b telling) int { return strings.Compare(a.Key, b.Key) })
	return out
}

func (v *versions) telling() (telling, bool) {
	names := make([]string, 0, len(v.of))
	for name := range v.of {
		names = append(names, name)
	}
	slices.Sort(names)
	edge := Edge{Service: v.service, Callee: v.callee}
	d := telling{class: classInfo, Difference: Difference{
		Key: "versions:" + edge.key(), Kind: DiffVersions, Service: v.service, Edge: &edge, E: Figure(math.NaN()), Ratio: Figure(math.NaN()),
	}}
	parts := make([]string, 0, len(names))
	calls := [2]float64{}
	for _, name := range names {
		c := v.of[name]
		calls[0], calls[1] = calls[0]+c.Baseline.Calls, calls[1]+c.Canary.Calls
		d.Baseline, d.Canary = d.Baseline+c.Baseline.Errors, d.Canary+c.Canary.Errors
		parts = append(parts, fmt.Sprintf("%s of %.0f of the canary's to %s fail, %s of %.0f of the baseline's",
			percent(c.Canary.Errors, c.Canary.Calls), c.Canary.Calls, name, percent(c.Baseline.Errors, c.Baseline.Calls), c.Baseline.Calls))
		if size := surprise(c.Canary.Errors, c.Baseline.Errors, c.Canary.Calls, c.Baseline.Calls); size > d.size {
			d.size = size
		}
	}
	if len(names) < 2 || min(calls[0], calls[1]) < versionsShared {
		return telling{}, false
	}
	if d.size >= errorSurprise && d.Canary*calls[0] > d.Baseline*calls[1] {
		d.class = classError
	}
	d.What = fmt.Sprintf("calls of %s by %s, by version: %s", v.callee, v.service, strings.Join(parts, "; "))
	return d, true
}
