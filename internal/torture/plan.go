package torture

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/release-assay/assay/analysis"
)

// Steps are the steps of the line, in their order: after each of them, and so before
// the next, a process can be told to kill itself.
var Steps = []string{"opened", "accepted", "planned", "spooled", "folded", "before final", "final", "sealed", "committed", "sent", "published"}

// An End is how a life of the process ends.
type End string

const (
	Killed    End = "SIGKILL"             // at a random instant
	Suicide   End = "SIGKILL at a step"   // by itself, after the n-th time that a step was done
	Stopped   End = "SIGTERM"             // as an operator does
	Suspended End = "SIGSTOP and SIGKILL" // it stands still, goes on for a moment and is killed
)

// A Life is one process. A suicide that does not come is helped after the same time
// as any other: the step was not reached.
type Life struct {
	End   End
	After time.Duration // until the signal
	Step  string        // of a suicide
	Nth   int
	Pause time.Duration // of one that is suspended
}

// A Plan is one round: everything that is done until the next look at the store.
type Plan struct {
	Seed    uint64
	Round   int
	Lives   []Life
	Scripts []Script
}

// NewPlan draws a round of so many lives. A round is complete in itself: after it
// nothing is open.
func NewPlan(seed uint64, round, lives int) Plan {
	d := &drawing{rng: rand.New(rand.NewPCG(seed, uint64(round))), round: round, lives: lives}
	p := Plan{Seed: seed, Round: round}
	for range lives {
		p.Lives = append(p.Lives, d.life())
	}
	// What takes long begins early.
	d.long()
	for life := range lives {
		for range 1 + d.rng.IntN(3) {
			d.script(life)
		}
	}
	p.Scripts = d.scripts
	return p
}

// Favour makes every third life end at a step.
func (p *Plan) Favour(step string) {
	for i := range p.Lives {
		if i%3 == 1 {
			p.Lives[i] = Life{End: Suicide, After: longest, Step: step, Nth: 1}
		}
	}
}

// shortest and longest are how long a process lives.
const (
	shortest = 30 * time.Millisecond
	longest  = 1500 * time.Millisecond
)

type drawing struct {
	rng     *rand.Rand
	round   int
	lives   int
	scripts []Script
}

func (d *drawing) life() Life {
	l := Life{End: Killed, After: shortest + time.Duration(d.rng.Int64N(int64(longest-shortest)))}
	switch n := d.rng.IntN(100); {
	case n < 45:
	case n < 85:
		l.End, l.Step, l.Nth = Suicide, Steps[d.rng.IntN(len(Steps))], 1
		if d.rng.IntN(3) == 0 {
			l.Nth += d.rng.IntN(12)
		}
		l.After = longest
	case n < 92:
		l.End = Stopped
	default:
		l.End, l.Pause = Suspended, 100*time.Millisecond+time.Duration(d.rng.Int64N(int64(time.Second)))
	}
	return l
}

// How services are scraped.
var (
	usual = Traffic{30 * time.Second, 20}
	busy  = Traffic{5 * time.Second, 500}
	quiet = Traffic{5 * time.Second, 0.05} // too little for any verdict
)

const failing = 0.05

func (d *drawing) begin(kind string, life int, traffic Traffic, ago time.Duration) *Script {
	d.scripts = append(d.scripts, Script{Life: life, Service: fmt.Sprintf("%s-%d-%d", kind, d.round, len(d.scripts)), Traffic: traffic})
	s := &d.scripts[len(d.scripts)-1]
	s.deploy(analysis.Live, ago)
	return s
}

// deploy adds a deployment, whose end is still to be said.
func (s *Script) deploy(mode analysis.Mode, ago time.Duration) int {
	n := len(s.Deployments)
	s.Releases = append(s.Releases, Release{fmt.Sprintf("2.%d.0", n), ago})
	s.Deployments = append(s.Deployments, Deployment{ID: analysis.DeploymentID(fmt.Sprintf("%s-d%d", s.Service, n)), Service: s.Service, Mode: mode})
	return n
}

func (s *Script) expect(deployment int, e Expected) {
	s.Deployments[deployment].Attempts = append(s.Deployments[deployment].Attempts, e)
}

func (s *Script) do(moves ...Move) { s.Moves = append(s.Moves, moves...) }

func (d *drawing) via() Via {
	if d.rng.IntN(2) == 0 {
		return Kafka
	}
	return HTTP
}

var (
	promoted   = Expected{"promote", analysis.AllSafe}
	rolledBack = Expected{"rollback", analysis.HarmShown}
	superseded = Expected{"hold", analysis.Superseded}
	cancelled  = Expected{"hold", analysis.Cancelled}
)

// long begins what is judged while it happens: deployments of just now, and ones
// that are undecided for so long that checkpoints are taken.
func (d *drawing) long() {
	for range (d.lives + 29) / 50 { // none in a short round, which would wait for it
		s := d.begin("fresh", 0, busy, 0)
		s.Undeclared = true
		s.expect(0, promoted)
		s.do(Move{Do: Tell, Phase: analysis.PhaseStarted, Via: d.via()}, Move{Do: Await, Number: 1})
	}
	for range 1 + d.lives/50 {
		s := d.begin("quiet", 0, quiet, 25*time.Minute)
		s.expect(0, cancelled)
		via := d.via()
		s.do(Move{Do: Tell, Phase: analysis.PhaseStarted, Via: via})
		for life := 2 + d.rng.IntN(4); life < d.lives; life += 2 + d.rng.IntN(6) {
			s.do(Move{Do: NotYet, Number: life})
			s.step(via, d.rng.IntN(2))
		}
		s.do(Move{Do: NotYet, Number: d.lives}, Move{Do: Tell, Phase: analysis.PhaseAborted, Via: via}, Move{Do: Await, Number: 1})
	}
}

// step tells of the next step of the script's newest deployment, which is certainly
// open.
func (s *Script) step(via Via, repeat int) {
	n := len(s.Deployments) - 1
	of := &s.Deployments[n]
	number := 1 + len(of.Steps)
	of.Steps = append(of.Steps, number)
	s.do(Move{Do: Tell, Deployment: n, Phase: analysis.PhaseStep, Number: number, Via: via, Repeat: repeat})
}

// script begins one of the short stories.
func (d *drawing) script(life int) {
	switch n := d.rng.IntN(100); {
	case n < 25:
		d.judged("good", life, analysis.Live, 12*time.Minute, 0, promoted)
	case n < 50:
		d.judged("bad", life, analysis.Live, 12*time.Minute, failing, rolledBack)
	case n < 58:
		d.judged("past-good", life, analysis.Retrospective, 2*time.Hour, 0, promoted)
	case n < 66:
		d.judged("past-bad", life, analysis.Retrospective, 2*time.Hour, failing, rolledBack)
	case n < 76:
		d.chain(life)
	case n < 83:
		s := d.begin("quiet", life, quiet, 15*time.Minute)
		s.expect(0, cancelled)
		s.do(Move{Do: Tell, Phase: analysis.PhaseStarted, Via: d.via(), Repeat: d.rng.IntN(2)}, Move{Do: Cancel}, Move{Do: Await, Number: 1})
	case n < 91:
		d.again(life)
	case n < 95:
		s := d.begin("nobody", life, usual, time.Hour)
		s.do(Move{Do: Tell, Phase: analysis.PhaseStep, Number: 1, Via: d.via()}, Move{Do: Tell, Phase: analysis.PhaseFinished, Via: d.via()})
	default:
		s := d.begin("poison", life, usual, time.Hour)
		for n := range 1 + d.rng.IntN(3) {
			s.do(Move{Do: Poison, Number: n + d.rng.IntN(4)*10, Via: Kafka})
		}
	}
}

// judged is a deployment that its telemetry decides. Around it there are repeats, a
// forgery, and what the rollout tells besides.
func (d *drawing) judged(kind string, life int, mode analysis.Mode, ago time.Duration, share float64, end Expected) {
	s := d.begin(kind, life, usual, ago)
	s.Deployments[0].Mode, s.Failing = mode, max(share, healthy)
	s.expect(0, end)
	via := d.via()
	started := Move{Do: Tell, Phase: analysis.PhaseStarted, Via: via, Repeat: d.rng.IntN(3)}
	s.do(started)
	if d.rng.IntN(4) == 0 {
		s.do(Move{Do: Forge, Phase: analysis.PhaseStarted, Via: via})
	}
	if d.rng.IntN(4) == 0 {
		s.do(Move{Do: Tell, Phase: analysis.PhaseFinished, Via: via})
	}
	s.do(Move{Do: Await, Number: 1})
	if d.rng.IntN(3) == 0 { // delivered once more when all is over
		started.Via, started.Repeat = d.via(), 0
		s.do(started)
	}
}

// chain is a service that is deployed several times in a row: only the last is left,
// and that one is aborted.
func (d *drawing) chain(life int) {
	s := d.begin("quiet", life, quiet, 20*time.Minute)
	via := d.via()
	links := 2 + d.rng.IntN(3)
	for n := range links {
		if n > 0 {
			s.deploy(analysis.Live, time.Duration(20-n)*time.Minute)
		}
		s.do(Move{Do: Tell, Deployment: n, Phase: analysis.PhaseStarted, Via: via, Repeat: d.rng.IntN(2)})
		for range d.rng.IntN(3) {
			s.step(via, 0)
		}
	}
	for n := range links - 1 {
		s.expect(n, superseded)
		s.do(Move{Do: Await, Deployment: n, Number: 1})
	}
	s.expect(links-1, cancelled)
	s.do(Move{Do: Tell, Deployment: links - 1, Phase: analysis.PhaseAborted, Via: via}, Move{Do: Await, Deployment: links - 1, Number: 1})
}

// again is a deployment that is told of anew after its verdict: another attempt,
// which old events do not concern.
func (d *drawing) again(life int) {
	s := d.begin("good", life, usual, 12*time.Minute)
	s.Failing = healthy
	s.expect(0, promoted)
	s.expect(0, promoted)
	first := Move{Do: Tell, Phase: analysis.PhaseStarted, Via: d.via()}
	s.do(first, Move{Do: Await, Number: 1})
	second := Move{Do: Restart, Phase: analysis.PhaseStarted, Number: 2, Via: d.via(), Repeat: 1}
	s.do(second, Move{Do: Await, Number: 2})
	first.Via = d.via()
	s.do(first)
}
