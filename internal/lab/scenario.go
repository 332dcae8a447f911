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

// Find returns the scenario of the given name, or an error that lists the names.
func Find(name string) (Scenario, error) {
	var names []string
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Scenario{}, fmt.Errorf("no scenario %q (legal: %s)", name, strings.Join(names, ", "))
}
