package validation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/gather"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/sources"
)

// A crowd is telemetry of any number of services in memory, whose server refuses
// what is more than it can bear at a time, and counts.
type crowd struct {
	limit int

	mu       sync.Mutex
	busy     int
	busiest  int
	refused  int
	rows     int
	windows  map[string]int // questions about one whole window of one service's history
	ends     int            // about the parts of windows at the ends of a history
	services map[string]bool
}

// enter is the beginning of a question; its end must be called.
func (c *crowd) enter(op string) (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy++
	c.busiest = max(c.busiest, c.busy)
	if c.busy > c.limit {
		c.busy--
		c.refused++
		return nil, &sources.Error{Kind: sources.Unavailable, Source: "fleet", Op: op, RetryAfter: time.Minute, Err: errors.New("HTTP status 429")}
	}
	return func() { c.mu.Lock(); defer c.mu.Unlock(); c.busy-- }, nil
}

// slow lets others in meanwhile, so that more than the limit would be noticed.
func slow() { time.Sleep(20 * time.Microsecond) }

func (c *crowd) Rows(_ context.Context, q analysis.Query) (a analysis.Answer, err error) {
	end, err := c.enter("rows")
	if err != nil {
		return a, err
	}
	defer end()
	slow()
	c.mu.Lock()
	c.rows++
	c.mu.Unlock()
	for _, service := range q.Matches[0].Values {
		for _, version := range q.Matches[1].Values {
			for pod := range fleetPods {
				name := fmt.Sprint(service, "-", version, "-", pod)
				a.Rows = append(a.Rows, analysis.Row{
					Values: []string{service, version}, Observed: []string{version}, Pod: name, Received: 1, Increase: analysis.Increase{Bad: 0, Exposure: 20},
				})
			}
		}
	}
	return a, nil
}

func (c *crowd) Spacing(context.Context, analysis.SpacingQuery) (time.Duration, error) {
	end, err := c.enter("spacing")
	if err != nil {
		return 0, err
	}
	defer end()
	slow()
	return fleetCadence, nil
}

func (c *crowd) History(_ context.Context, q analysis.HistoryQuery) (sums []analysis.MinuteSum, err error) {
	end, err := c.enter("history")
	if err != nil {
		return nil, err
	}
	defer end()
	slow()
	service := q.Matches[0].Values[0]
	c.mu.Lock()
	if q.To.Sub(q.From) == 6*time.Hour {
		c.windows[fmt.Sprint(service, " ", q.To)]++
	} else {
		c.ends++
	}
	c.services[service] = true
	c.mu.Unlock()
	for at := q.To.Add(-30 * time.Minute).Truncate(time.Minute); at.Before(q.To.Add(-time.Minute)); at = at.Add(time.Minute) {
		for pod := range fleetPods {
			sums = append(sums, analysis.MinuteSum{Minute: at, Pod: fmt.Sprint(service, "-", pod), Exposure: 20})
		}
	}
	return sums, nil
}

func (c *crowd) Seen(_ context.Context, q analysis.SeenQuery) ([]analysis.Seen, error) {
	end, err := c.enter("seen")
	if err != nil {
		return nil, err
	}
	defer end()
	slow()
	return []analysis.Seen{{Service: q.Service, Version: "1", Pods: fleetPods, Exposure: 1200}}, nil
}

// Thousands of deployments begin within a minute. Their source gets no more than four
// questions at a time and never says that it is too much; every deployment has its
// plan in the second in which it came; what all deployments of a service share of its
// history is asked for once, and folds cost a question for 250 services.
// (-restored=10000 makes it 5,000 services.)
func TestMassDeploy(t *testing.T) {
	services, deployments := *restored/2, 0
	const seconds = 60
	c := &crowd{limit: 4, windows: map[string]int{}, services: map[string]bool{}}
	p := startProcess(t, t.TempDir(), c, gather.Options{})
	defer p.end()
	// Second by second, and every tenth service deploys twice.
	for second := range seconds {
		now := start.Add(time.Duration(second) * time.Second)
		batch := store.Batch{Now: now}
		for i := second * services / seconds; i < (second+1)*services/seconds; i++ {
			for k := range 1 + (i%10)/9 {
				e := analysis.Event{
					Source: "/ci", ID: fmt.Sprint("d", i, "-", k), DeploymentID: analysis.DeploymentID(fmt.Sprint("d", i, "-", k)), Phase: analysis.PhaseStarted, Time: now, StartedAt: now, Mode: analysis.Live,
					Release: analysis.Release{Environment: "prod", Service: fmt.Sprint("service-", i), Version: fmt.Sprint(2 + k), PreviousVersion: "1"},
				}
				if k > 0 {
					e.Mode = analysis.Shadow // or it would supersede the first
				}
				deployments++
				batch.Deliveries = append(batch.Deliveries, store.Delivery{Topic: store.TopicHTTP, Partition: store.PartitionHTTP, Raw: []byte("{}"), ContentHash: e.ID, Event: e})
			}
		}
		if _, err := p.Store.Accept(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if err := p.Advance(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		for _, v := range p.open {
			if v.judge == nil {
				t.Fatalf("second %d: %s has no plan: %s", second, v.row.ID, v.latest.Reason)
			}
		}
	}
	for window, n := range c.windows {
		if n > 1 {
			t.Errorf("window %s was asked for %d times", window, n)
		}
	}
	if len(c.services) != services || len(c.windows) != 3*services || c.ends < 2*services || c.ends > 2*deployments { // a day, from somewhere in a window to somewhere in one
		t.Errorf("%d windows of %d services, and %d ends for %d deployments", len(c.windows), len(c.services), c.ends, deployments)
	}

	// The first folds of all: as many questions as 250 services a question come to.
	p.advanceFor(t, start.Add(4*fleetCadence))
	s := p.Gatherer.Stats()
	folds := uint64(0)
	for _, v := range p.open {
		folds += uint64(v.row.Looks)
	}
	if most := uint64(2+services/250) * 2; s.Issued != uint64(c.rows) || s.Issued > most || s.Unmerged != folds || folds < uint64(deployments) {
		t.Errorf("%d questions were asked for %d, the source counts %d; %d looks", s.Issued, s.Unmerged, c.rows, folds)
	}
	if c.busiest > c.limit || c.refused > 0 {
		t.Errorf("%d questions at once, %d refused", c.busiest, c.refused)
	}
	if busiest := s.Sources["fleet"].Busiest; busiest < 2 {
		t.Errorf("%d questions at once at most: the test shows nothing", busiest)
	}
}

func (*crowd) Distribution(context.Context, analysis.DistributionQuery) (analysis.Histogram, error) {
	return analysis.Histogram{}, nil
}
