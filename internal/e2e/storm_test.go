package e2e

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/release-assay/assay/internal/intake"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/kafka/kafkatest"
)

// storm is how long TestRebalanceStorm rages; the goal of ten minutes is for a
// release.
var storm = flag.Duration("storm", 12*time.Second, "how long members of the consumer group come and go")

// TestRebalanceStorm: every second or two a member of the consumer group comes,
// leaves or dies, one of them a stranger that reads nothing for us. No event is lost,
// none is there twice, at least a quarter of the calm throughput remains, and no
// goroutine (F16, G9). The members share one store, as replicas do.
func TestRebalanceStorm(t *testing.T) {
	const seed = 16
	g := &gale{bay: openBay(t, small(6)), rand: rand.New(rand.NewPCG(seed, seed))}
	first := g.join()
	g.feed(2000)
	g.drain(30 * time.Second)
	goroutines := runtime.NumGoroutine()

	began, calmFrom := time.Now(), g.taken()
	for time.Since(began) < 3*time.Second {
		g.feed(backlog)
	}
	calm := float64(g.taken()-calmFrom) / time.Since(began).Seconds()
	g.drain(30 * time.Second)

	began, stormFrom := time.Now(), g.taken()
	changes, next := 0, time.Now()
	for time.Since(began) < *storm {
		g.feed(backlog)
		if time.Now().After(next) {
			g.change()
			changes++
			next = time.Now().Add(time.Second + time.Duration(g.rand.Int64N(int64(time.Second))))
		}
	}
	rate := float64(g.taken()-stormFrom) / time.Since(began).Seconds()
	for len(g.members) > 1 {
		g.leave()
	}
	if g.stranger != nil {
		g.stranger()
	}
	g.drain(time.Minute)

	t.Logf("random seed %d: %d changes of members made %d generations; %d events; %.0f a second when calm, %.0f in the storm (%.0f %%)",
		seed, changes, g.generations.Load(), g.sent, calm, rate, 100*rate/calm)
	if rate < calm/4 {
		t.Errorf("%.0f events a second in the storm, %.0f when calm: less than a quarter", rate, calm)
	}
	rows, err := g.store.Unhandled(t.Context(), g.sent+1)
	if err != nil || len(rows) != g.sent {
		t.Errorf("%d events in the inbox (%v), want %d", len(rows), err, g.sent)
	}
	var counts intake.Counts
	for _, status := range g.statuses {
		n := status.Snapshot(time.Now()).Counts
		counts.Duplicates += n.Duplicates
		counts.Gaps += n.Gaps
	}
	if counts.Duplicates != 0 || counts.Gaps != 0 || len(g.letters()) != 0 {
		t.Errorf("%d events came twice, %d offsets were skipped, %d dead letters; want none", counts.Duplicates, counts.Gaps, len(g.letters()))
	}
	eventually(t, 40*time.Second, "no goroutine is left behind", func() error { // idle connections live for 30 s
		if n := runtime.NumGoroutine(); n > goroutines+5 {
			return fmt.Errorf("%d, there were %d before", n, goroutines)
		}
		return nil
	})
	first.stop()
}

// backlog is how many events wait at most: enough that nobody is idle.
const backlog = 4000

// A gale is a storm with what it blows about.
type gale struct {
	*bay
	rand        *rand.Rand
	members     []gust
	statuses    []*intake.Status // of all members there ever were
	stranger    func()           // ends the stranger; nil: there is none
	sent        int
	generations atomic.Int64
}

// A gust is one member.
type gust struct{ stop func() }

// join starts a member on the one store.
func (g *gale) join() gust {
	status, stop := g.read(fmt.Sprintf("member-%d", len(g.statuses)), func(c *intake.RunConfig) {
		c.Log = slog.New(slog.NewTextHandler(counting{&g.generations}, nil))
	})
	g.statuses = append(g.statuses, status)
	g.members = append(g.members, gust{stop})
	return g.members[len(g.members)-1]
}

// leave ends one member, never the first.
func (g *gale) leave() {
	i := 1 + g.rand.IntN(len(g.members)-1)
	g.members[i].stop()
	g.members = append(g.members[:i], g.members[i+1:]...)
}

// change lets somebody come or go.
func (g *gale) change() {
	switch dice := g.rand.IntN(8); {
	case g.stranger != nil && dice < 3:
		g.stranger()
		g.stranger = nil
	case g.stranger == nil && dice < 2:
		g.stranger = g.foreign(dice == 0)
	case len(g.members) > 1 && dice > 4 || len(g.members) == 4:
		g.leave()
	default:
		g.join()
	}
}

// foreign is a member of another program. One that dies does not say good-bye: the
// broker gives it up after its session.
func (g *gale) foreign(dies bool) func() {
	options := []kgo.Opt{
		kgo.SeedBrokers(g.broker.Addr), kgo.ConsumerGroup(g.topic.Name), kgo.ConsumeTopics(g.topic.Name),
		kgo.Balancers(kgo.RangeBalancer()), kgo.SessionTimeout(6 * time.Second), kgo.HeartbeatInterval(500 * time.Millisecond), kgo.DisableAutoCommit(),
	}
	if dies {
		options = append(options, kgo.InstanceID(fmt.Sprintf("stranger-%d", g.sent)))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		g.t.Fatal(err)
	}
	return client.Close
}

// feed writes a batch to each partition, unless enough events wait already.
func (g *gale) feed(atMost int) {
	if g.sent-g.taken() > atMost {
		time.Sleep(2 * time.Millisecond)
		return
	}
	const each = 100
	for p := range g.topic.Partitions {
		batch := make([]kafka.Record, each)
		for i := range batch {
			batch[i] = g.event(fmt.Sprintf("e-%d", g.sent+i), "")
		}
		kafkatest.Send(g.t, g.client, g.topic.Name, p, batch...)
		g.sent += each
	}
}

// taken is how many events are in the inbox.
func (g *gale) taken() int {
	n := 0
	for _, status := range g.statuses {
		n += int(status.Snapshot(time.Now()).Counts.Accepted)
	}
	return n
}

func (g *gale) drain(within time.Duration) {
	g.t.Helper()
	eventually(g.t, within, "all events are in the inbox", func() error {
		if n := g.taken(); n != g.sent {
			return fmt.Errorf("%d of %d", n, g.sent)
		}
		return nil
	})
}

// counting counts the lines that tell of a generation.
type counting struct{ generations *atomic.Int64 }

func (c counting) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "has joined its group") {
		c.generations.Add(1)
	}
	return len(line), nil
}
