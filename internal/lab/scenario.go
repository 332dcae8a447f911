package lab

import (
	"fmt"
	"strings"
	"time"
)

// Figures of the shop. Under these the verdicts of the scenarios come out nearly
// always; with less traffic, a smaller canary share or milder faults more of them
// end in hold.
const (
	Step         = 15 * time.Second // between two exports
	HistorySpan  = 3 * time.Hour    // before the deployment
	Weight       = 0.20             // of the canary's traffic
	requestRate  = 200.0            // a second, of the deployed service
	errorRate    = 0.001
	baselinePods = 4
)

// Service is the service that every scenario deploys; BaselineVersion and
// CanaryVersion are what its arms run.
const (
	Service         = "checkout"
	BaselineVersion = "1.4.9"
	CanaryVersion   = "1.5.0"
)

// A Scenario is a story with the verdicts that are right for it.
type Scenario struct {
	Name     string
	Title    string
	Expected []string // verdict words

	CanaryPods int // among which the canary's share is spread; 0: one

	canaryFactor float64 // of the error rate, in the canary, from the deployment on
	sharedFactor float64 // of the error rate, in all services and arms
	sharedFrom   time.Duration
	sharedTo     time.Duration
	silentFrom   time.Duration // no telemetry from then on; 0: never
	canarySlower float64       // durations of the canary's requests, against the baseline's; 0: the same
	canaryLarger float64       // memory of the canary, against the baseline's; 0: the same
	canaryLeak   float64       // what the canary adds to its memory a minute, as a share of the baseline's

	// What spans and log lines alone show. The canary's answers, and so its metrics, stay
	// as good as the baseline's.
	canaryLines     float64 // share of the canary's requests that write a line of ERROR
	canaryTimeouts  float64 // share of the canary's requests whose call of the cart times out once
	neighbourErrors float64 // share of the canary's calls that the payment answers with an error
	rewordedInfo    bool    // the canary words a line of INFO otherwise
	rewordedError   bool    // the canary words its line of ERROR otherwise
}

// Environment is the deployment environment in which the scenario plays; each has
// one of its own, so that all can be played side by side.
func (s Scenario) Environment() string { return "demo-" + s.Name }

// Scenarios returns all scenarios, in the order in which the demo shows them.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "healthy", Title: "a healthy release", Expected: []string{"promote"}, canaryFactor: 1},
		{Name: "error-regression", Title: "an error regression in the canary", Expected: []string{"rollback"}, canaryFactor: 20},
		{
			Name: "environment", Title: "a bad day of the environment, both arms", Expected: []string{"promote", "hold"}, canaryFactor: 1,
			sharedFactor: 8, sharedFrom: 2 * time.Minute, sharedTo: 12 * time.Minute,
		},
		{Name: "telemetry-outage", Title: "a telemetry outage early in the run", Expected: []string{"hold"}, canaryFactor: 1, silentFrom: 2 * time.Minute},
	}
}

// Streams returns the scenarios that only logs and traces tell from a healthy release,
// or that might be mistaken for a harmful one by them.
func Streams() []Scenario {
	return []Scenario{
		{Name: "logs-only", Title: "errors that only log lines show", Expected: []string{"rollback"}, canaryFactor: 1, canaryLines: 0.02},
		{Name: "traces-only", Title: "calls that time out and are repeated", Expected: []string{"rollback"}, canaryFactor: 1, canaryTimeouts: 0.4},
		{Name: "neighbour", Title: "a neighbour that fails on the canary's calls", Expected: []string{"rollback"}, canaryFactor: 1, neighbourErrors: 0.4},
		{Name: "reworded-info", Title: "a healthy release that rewords a line", Expected: []string{"promote"}, canaryFactor: 1, rewordedInfo: true},
		{Name: "reworded-error", Title: "a healthy release that rewords an error line", Expected: []string{"promote", "hold"}, canaryFactor: 1, rewordedError: true},
	}
}

// Slow is a canary that fails no more than its baseline and takes half as long again.
// The demo plays it when asked to.
func Slow() Scenario {
	return Scenario{Name: "slow", Title: "a canary that takes half as long again", Expected: []string{"rollback"}, canaryFactor: 1, canarySlower: 1.5}
}

// Hungry is a canary that takes twice the memory of its baseline. Memory is compared by
// the minute and only from pods that are warm, so it shows after a quarter of an hour:
// later than a demo bakes.
func Hungry() Scenario {
	return Scenario{Name: "hungry", Title: "a canary that takes twice the memory", Expected: []string{"rollback"}, canaryFactor: 1, canaryLarger: 2}
}

// Leaking is a canary that adds 2 % of its memory every minute.
func Leaking() Scenario {
	return Scenario{Name: "leaking", Title: "a canary that leaks memory", Expected: []string{"rollback"}, canaryFactor: 1, canaryLeak: 0.02}
}

// named are the scenarios that can be asked for by name.
func named() []Scenario { return append(append(Scenarios(), Streams()...), Slow()) }

// Names returns the names that [Find] knows.
func Names() []string {
	var names []string
	for _, s := range named() {
		names = append(names, s.Name)
	}
	return names
}

// Find returns the scenario of the given name, or an error that lists the names.
func Find(name string) (Scenario, error) {
	for _, s := range named() {
		if s.Name == name {
			return s, nil
		}
	}
	return Scenario{}, fmt.Errorf("no scenario %q (legal: %s)", name, strings.Join(Names(), ", "))
}
