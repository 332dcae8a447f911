package lab

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// A Shop plays one scenario. Step must be called with ascending instants, Step
// apart.
type Shop struct {
	scenario Scenario
	deployed time.Time
	rng      *rand.Rand // of requests and errors
	inside   *rand.Rand // of what happens inside the pods: durations, memory, processors
	told     *rand.Rand // of what spans and log lines tell
	services []*service
	fronts   []*pod // of the frontend, which spans only tell of
	burst    wander // of traffic, shared by all pods
	haste    wander // of durations, shared by all pods
}

// NewShop returns the shop of a scenario whose deployment starts at the given
// instant; its history begins HistorySpan before.
func NewShop(s Scenario, seed uint64, deployed time.Time) *Shop {
	h := fnv.New64a()
	h.Write([]byte(s.Name))
	shop := &Shop{
		scenario: s, deployed: deployed, rng: rand.New(rand.NewPCG(seed, h.Sum64())), inside: rand.New(rand.NewPCG(seed+1, h.Sum64())),
		told:  rand.New(rand.NewPCG(seed+2, h.Sum64())),
		burst: wander{sd: 0.10, memory: 0.9}, haste: wander{sd: 0.05, memory: 0.9},
	}
	begin := deployed.Add(-HistorySpan - time.Hour) // the pods ran before history begins
	shop.services = []*service{
		newService(Service, requestRate, BaselineVersion, baselinePods, begin),
		newService(cart, 80, "2.3.1", 2, begin),
		newService(payment, 40, "3.0.0", 2, begin),
	}
	shop.fronts = newService(frontend, requestRate, "5.0.2", frontPods, begin).pods
	return shop
}

// Scenario returns what the shop plays.
func (s *Shop) Scenario() Scenario { return s.scenario }

// Start is the instant of the first step of history.
func (s *Shop) Start() time.Time { return s.deployed.Add(-HistorySpan) }

// service is one service with its pods.
type service struct {
	name string
	rate float64 // requests a second
	pods []*pod
}

// pod is one instance with its cumulative counters.
type pod struct {
	service       string
	name, version string
	zone          string
	started       time.Time
	canary        bool
	share         float64 // of the service's traffic
	noise         wander
	ok, failed    float64

	stepOK, stepFailed float64 // of the last step
	resources
}

func newService(name string, rate float64, version string, pods int, started time.Time) *service {
	svc := &service{name: name, rate: rate}
	for i := range pods {
		svc.pods = append(svc.pods, &pod{
			service: name, name: fmt.Sprintf("%s-%s-%d", name, version, i), version: version, zone: zoneOf(i), started: started,
			share: 1 / float64(pods), noise: wander{sd: 0.05, memory: 0.8},
		})
	}
	return svc
}

// zoneOf spreads the pods of a version over three zones.
func zoneOf(i int) string { return "zone-" + string(rune('a'+i%3)) }

// deploy starts the canary's pods and moves its share of the traffic to them.
func (s *service) deploy(at time.Time, pods int) {
	for _, p := range s.pods {
		p.share *= 1 - Weight
	}
	for i := range pods {
		s.pods = append(s.pods, &pod{
			service: s.name, name: fmt.Sprintf("%s-%s-%d", s.name, CanaryVersion, i), version: CanaryVersion, zone: zoneOf(i), started: at, canary: true,
			share: Weight / float64(pods), noise: wander{sd: 0.05, memory: 0.8},
		})
	}
}

// play draws the requests and errors of the step that ends at the given instant.
func (s *Shop) play(end time.Time) {
	if checkout := s.services[0]; !end.Before(s.deployed.Add(Step)) && len(checkout.pods) == baselinePods {
		checkout.deploy(s.deployed, max(1, s.scenario.CanaryPods))
	}
	day := 2 * math.Pi * float64(end.Unix()%86400) / 86400
	swing := (1 + 0.3*math.Sin(day)) * math.Exp(s.burst.next(s.rng))
	haste := math.Exp(s.haste.next(s.inside))
	for _, svc := range s.services {
		for _, p := range svc.pods {
			mean := svc.rate * Step.Seconds() * p.share * swing * math.Exp(p.noise.next(s.rng))
			requests := distuv.Poisson{Lambda: mean, Src: s.rng}.Rand()
			failed := 0.0
			if requests > 0 {
				failed = distuv.Binomial{N: requests, P: s.errorRate(svc, p, end), Src: s.rng}.Rand()
			}
			p.stepOK, p.stepFailed = requests-failed, failed
			p.failed += failed
			p.ok += requests - failed
			p.spend(s.inside, requests-failed, failed, s.durations(p, haste), s.footprint(p, end))
		}
	}
}

func (s *Shop) errorRate(svc *service, p *pod, at time.Time) float64 {
	rate := errorRate
	if p.canary {
		rate *= s.scenario.canaryFactor
	}
	since := at.Sub(s.deployed)
	if svc.name == payment && since > 0 {
		rate += Weight * s.scenario.neighbourErrors // the calls of the canary
	}
	if s.scenario.sharedFactor > 0 && since > s.scenario.sharedFrom && since <= s.scenario.sharedTo {
		rate *= s.scenario.sharedFactor
	}
	return math.Min(rate, 1)
}

// wander is a log-scale AR(1) walk of stationary standard deviation sd.
type wander struct{ sd, memory, value float64 }

func (w *wander) next(rng *rand.Rand) float64 {
	w.value = w.memory*w.value + w.sd*math.Sqrt(1-w.memory*w.memory)*rng.NormFloat64()
	return w.value
}
