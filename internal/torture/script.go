package torture

import (
	"fmt"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/intake"
)

// A Script is the story of one service: what is told of it, by whom, in which
// order, and how each of its deployments must end.
type Script struct {
	Life        int // it begins before this life of the process
	Service     string
	Traffic     Traffic
	Failing     float64 // share of the requests of its new versions that fails
	Undeclared  bool    // its events tell no share of traffic, which would have to be measured for minutes
	Releases    []Release
	Deployments []Deployment
	Moves       []Move
}

// A Release is when and as what a deployment of the script came about.
type Release struct {
	Version string
	Ago     time.Duration // before the script begins
}

// A Do is what a move does.
type Do string

const (
	Tell    Do = "tell"    // send an event until it is acknowledged, and then again Repeat times
	Forge   Do = "forge"   // send other content under the name of an event that was told
	Poison  Do = "poison"  // send bytes that are no event
	Cancel  Do = "cancel"  // over HTTP, until it is done
	Await   Do = "await"   // the final verdict of an attempt, read over HTTP
	NotYet  Do = "not yet" // wait until a life has begun
	Restart Do = "restart" // tell of the deployment again, after its final verdict
)

// A Move is one step of a script. It begins when the one before is acknowledged.
type Move struct {
	Do         Do
	Deployment int // which of the script's
	Phase      analysis.Phase
	Number     int // of the step, of the attempt, of the life, of the poison
	Via        Via
	Repeat     int
}

// Source is who tells of deployments.
const Source = "/ci/torture"

// weight is what the events declare, which is the share that the canary has.
const weight = float64(canaryPods) / (baselinePods + canaryPods)

// A Stage is a script under way: what is only known once it plays.
type Stage struct {
	*Script
	began time.Time
}

// Begin puts the script's releases into the fleet, as of now.
func (s *Script) Begin(f *Fleet, now time.Time) *Stage {
	for _, r := range s.Releases {
		f.Deploy(s.Service, r.Version, now.Add(-r.Ago), s.Failing, s.Traffic)
	}
	return &Stage{s, now.UTC().Truncate(time.Second)}
}

// Event returns the event that a move tells, the same each time.
func (s *Stage) Event(m Move) analysis.Event {
	d, r := s.Deployments[m.Deployment], s.Releases[m.Deployment]
	started := s.began.Add(-r.Ago)
	e := analysis.Event{
		Source: Source, ID: fmt.Sprintf("%s-%s", d.ID, m.Phase), Time: started, StartedAt: started, Phase: m.Phase, Mode: d.Mode, DeploymentID: d.ID,
		Release: analysis.Release{Environment: Environment, Service: s.Service, Version: r.Version, PreviousVersion: Baseline},
	}
	switch m.Phase {
	case analysis.PhaseStarted:
		if m.Number > 1 { // of a later attempt
			later := started.Add(time.Duration(m.Number-1) * 30 * time.Second)
			e.ID, e.Time, e.StartedAt = fmt.Sprintf("%s-%d", e.ID, m.Number), later, later
		}
		if e.Strategy = "canary"; !s.Undeclared {
			e.Step = &analysis.Step{Weight: weight, At: e.StartedAt}
		}
	case analysis.PhaseStep:
		e.ID = fmt.Sprintf("%s-%d", e.ID, m.Number)
		e.Time = started.Add(time.Duration(m.Number) * time.Second)
		e.Step = &analysis.Step{Index: m.Number, Total: 100, Weight: weight, At: e.Time}
	case analysis.PhaseAborted, analysis.PhaseFinished:
		e.Time = s.began
	}
	if m.Do == Forge {
		e.Labels = map[string]string{Forgery: "yes"}
	}
	return e
}

// Forgery is the label by which a forged event is known.
const Forgery = "forged"

// Message returns the event of a move as it is sent.
func (s *Stage) Message(m Move) (intake.Message, error) { return intake.Encode(s.Event(m)) }

// PoisonOf returns the bytes of a poison, which no other is equal to.
func (s *Script) PoisonOf(m Move) string {
	forms := []string{`{"poison":%q`, "\xff\xfe%q", `[%q]`, `{"specversion":"1.0","id":%[1]q,"ID":%[1]q}`}
	return fmt.Sprintf(forms[m.Number%len(forms)], fmt.Sprintf("%s-%d", s.Service, m.Number))
}
