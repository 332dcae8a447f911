package accuracy

import (
	"fmt"
	"math"
	"time"

	"github.com/release-assay/assay/analysis"
)

// A Recorded is a case of a recording with points of time: telemetry of a service of
// its own, which runs one pod of the version before until the deployment and one of
// the version after from then on.
type Recorded struct {
	Case
	Spacing time.Duration
	Series  []Series
	before  points // the naive rules look at the points themselves
	after   points
}

// points are what a service did in the time up to each of them. NaN is missing.
type points struct {
	at       []time.Time
	requests []float64
	failed   []float64
	latency  []float64 // seconds
}

func (p points) len() int { return len(p.at) }

func (p points) part(from, to int) points {
	return points{p.at[from:to], p.requests[from:to], p.failed[from:to], p.latency[from:to]}
}

func (p *points) add(at time.Time, requests, failed, latency float64) {
	p.at = append(p.at, at)
	p.requests = append(p.requests, requests)
	p.failed = append(p.failed, failed)
	p.latency = append(p.latency, latency)
}

// The versions of every recorded release, and where it ran.
const (
	VersionBefore = "before"
	VersionAfter  = "after"
	Environment   = "recorded"
)

// The metrics of every recorded service.
const (
	requestsMetric = "requests_total"
	failedMetric   = "requests_failed_total"
	latencyMetric  = "request_latency_seconds"
)

// Past is how much of a recording before the deployment a case is given.
const Past = 6 * time.Hour

// record makes the telemetry of a case: the points up to its start are those of the
// version before, those from then on are of the version after, as many as can be judged.
func record(c Case, spacing time.Duration, before, after points) Recorded {
	r := Recorded{Case: c, Spacing: spacing, before: before, after: after.part(0, min(after.len(), Deadline+1))}
	for _, p := range []struct {
		version string
		points
	}{{VersionBefore, r.before}, {VersionAfter, r.after}} {
		labels := map[string]string{
			"job": "recording", "service_name": c.Service, "service_version": p.version,
			"deployment_environment_name": Environment, "pod": c.Service + "-" + p.version,
		}
		for _, s := range []Series{
			{requestsMetric, labels, cumulative(p.at, p.requests)},
			{failedMetric, labels, cumulative(p.at, p.failed)},
			{latencyMetric, labels, gauge(p.at, p.latency)},
		} {
			if len(s.Samples) > 0 {
				r.Series = append(r.Series, s)
			}
		}
	}
	return r
}

// Event is the deployment of r as its pipeline would have told.
func (r Recorded) Event() analysis.Event {
	return analysis.Event{
		Source: "/recordings", ID: r.Service, Time: r.StartedAt, StartedAt: r.StartedAt, Phase: analysis.PhaseStarted, Mode: analysis.Retrospective,
		DeploymentID: analysis.DeploymentID(r.Service),
		Release:      analysis.Release{Environment: Environment, Service: r.Service, Version: VersionAfter, PreviousVersion: VersionBefore},
	}
}

// Policy is how every recorded release is compared: with the time before it, by the
// share of failed requests, which is critical, and by latency, a gauge of what requests
// took as a whole. There is no SLO, and all else is default.
func (r Recorded) Policy(source string) analysis.Policy {
	return analysis.Policy{
		Name: "recorded", Window: Window(r.Spacing), Comparison: analysis.PreviousWindow,
		AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
		Objectives: []analysis.Objective{
			{Name: "errors", Role: analysis.Critical, Signal: analysis.Signal{
				Name: "errors", Source: source, Unit: "1", Shape: analysis.ShapeRatio,
				Bad: &analysis.Selector{Metric: failedMetric}, Total: &analysis.Selector{Metric: requestsMetric},
			}},
			{Name: "latency", Role: analysis.Secondary, BeforeAfterPromote: true, Signal: analysis.Signal{
				Name: "latency", Source: source, Unit: "s", Shape: analysis.ShapeLevel, Gauge: &analysis.Selector{Metric: latencyMetric},
			}},
		},
	}
}

// failures is how many of so many requests failed at a success rate in per cent.
func failures(requests, success float64) float64 { return math.Round(requests * (1 - success/100)) }

// named is the service of the i-th case of a set.
func named(set string, i int) string { return fmt.Sprintf("%s-%04d", set, i) }
