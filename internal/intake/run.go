package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
)

// A RunConfig is what Run needs.
type RunConfig struct {
	Kafka  kafka.Config
	Topic  string // empty: kafka.TopicDeployments
	Group  string // consumer group; replicas share it
	Owner  string // this process, as leases and logs name it
	Store  Store
	Limits Limits // zero: DefaultLimits
	Now    func() time.Time
	Status *Status // kept up to date; may be nil
	Log    *slog.Logger
	// Alone says that no other process has this store. Then every partition is read,
	// and Group only names the offsets that Kafka is told.
	Alone bool
	// Embedded says that the broker is the one inside this process. Nobody else
	// writes its log, so where that ends before the stored offset (its last records
	// went with the machine), intake goes on by itself instead of asking.
	Embedded bool

	SessionTimeout time.Duration // of the group; zero: 10 s
	Watchdog       time.Duration // without a sign of life, after which reading a partition is begun anew; zero: 30 s
	MetadataWatch  time.Duration // between looks for new partitions; zero: 5 s
}

// Validate reports every fault together.
func (c RunConfig) Validate() error {
	errs := []error{c.Kafka.Validate()}
	if c.Group == "" {
		errs = append(errs, errors.New("intake: no consumer group"))
	}
	if c.Owner == "" {
		errs = append(errs, errors.New("intake: no owner"))
	}
	if c.Store == nil || c.Now == nil {
		errs = append(errs, errors.New("intake: no store or no clock"))
	}
	return errors.Join(errs...)
}

const (
	// stopGrace bounds the end of Run, whatever the brokers do (P15).
	stopGrace = 1500 * time.Millisecond
	// backoffMin and Max are between tries of what failed.
	backoffMin = 100 * time.Millisecond
	backoffMax = 2 * time.Second
)

// Run reads events from Kafka into the store until ctx is done, and then returns
// nil within two seconds. Brokers that are down, credentials that expired and
// topics that do not exist are no errors: it tells them in Status and tries again,
// for ever. It returns an error for a configuration that cannot work, and when the
// store says that the process must end (ErrIO, ErrCorrupt, ErrClosed).
func Run(ctx context.Context, config RunConfig) error {
	if err := config.Validate(); err != nil {
		return err
	}
	r := &runner{RunConfig: config, topic: topicState{partitions: -1}}
	r.setDefaults()
	client, err := kafka.Connect(r.Kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	r.client = client

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	r.Status.start(r.Topic, r.Now())
	var pause backoff
	for ctx.Err() == nil {
		if r.Alone {
			r.readAlone(ctx, &pause)
		} else if err := r.join(ctx); err != nil {
			return err
		}
		r.Status.left(r.Now())
	}
	var end *fatalError
	if errors.As(context.Cause(ctx), &end) {
		return end.err
	}
	return nil
}

func (c *RunConfig) setDefaults() {
	if c.Topic == "" {
		c.Topic = kafka.TopicDeployments
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if c.Status == nil {
		c.Status = &Status{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.SessionTimeout == 0 {
		c.SessionTimeout = 10 * time.Second
	}
	if c.Watchdog == 0 {
		c.Watchdog = stale
	}
	if c.MetadataWatch == 0 {
		c.MetadataWatch = 5 * time.Second
	}
}

type runner struct {
	RunConfig
	client *kafka.Client
	cancel context.CancelCauseFunc

	mu           sync.Mutex
	topic        topicState          // when last seen
	fingerprints map[int]fingerprint // by partition
}

// A fatalError ends Run.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }

// join is a member of the group until ctx is done or the watchdog barks.
func (r *runner) join(ctx context.Context) error {
	if r.seen().partitions < 0 {
		_, _ = r.look(ctx) // before the leader does, so that growth in between is seen
	}
	group, err := r.client.Group(kafka.GroupOptions{
		ID: r.Group, Topics: []string{r.Topic}, SessionTimeout: r.SessionTimeout,
		Backoff: 250*time.Millisecond + rand.N(250*time.Millisecond),
	})
	if err != nil {
		return err
	}
	defer func() {
		// Leaving takes as long as the coordinator does; the end of the process
		// must not. The stores' offsets need no good-bye.
		if ctx.Err() != nil {
			r.client.StopBy(time.Now().Add(stopGrace))
		}
		group.Close()
	}()
	said := ""
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, time.Second)
		gen, err := group.Next(wait)
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			r.begin(gen)
		case errors.Is(err, context.DeadlineExceeded) && wait.Err() != nil:
			// Still in the same generation, or still trying.
		case errors.Is(err, kafkago.ErrGroupClosed):
			return nil
		case errors.Is(err, kafkago.RebalanceInProgress):
		default:
			r.Status.lost(fmt.Errorf("join group %s: %w", r.Group, err))
			if text := err.Error(); text != said { // several times a second otherwise
				said = text
				r.Log.Warn("intake cannot join its group", "group", r.Group, "err", err)
			}
		}
		if r.Status.stalled(r.Now(), r.Watchdog) {
			r.Status.count(func(c *Counts) { c.Rejoined++ })
			r.Log.Error("intake has read nothing for too long and joins its group anew", "after", r.Watchdog, "stacks", stacks())
			return nil
		}
	}
	return nil
}

// begin starts the loops of a generation. kafka-go ends the generation when the
// first of them returns, tells the others through their context, and waits for all
// before it joins the next one.
func (r *runner) begin(gen *kafkago.Generation) {
	var partitions []int
	for _, a := range gen.Assignments[r.Topic] {
		partitions = append(partitions, a.ID) // its offset is advice, or -2 and -1 on the first assignment: ours is in the store
	}
	r.Status.joined(partitions, r.Now())
	r.Log.Info("intake has joined its group", "group", r.Group, "generation", gen.ID, "partitions", partitions)
	progress := newProgress()
	for _, p := range partitions {
		gen.Start(func(ctx context.Context) { r.handle(ctx, p, progress) })
	}
	gen.Start(r.watch)
	gen.Start(func(ctx context.Context) {
		progress.commit(ctx, func(_ context.Context, offsets map[int]int64) error {
			return gen.CommitOffsets(map[string]map[int]int64{r.Topic: offsets})
		}, r.Log)
	})
}

// watch ends the generation when the number of partitions changes, so that the
// leader assigns them anew, and when the topic has been created anew, so that each
// partition is acquired under its new id. kafka-go's own watch ends on errors and
// sees neither a topic that is created later nor one that is created anew (P10, F17).
func (r *runner) watch(ctx context.Context) {
	for known := r.seen(); ; {
		state, err := r.look(ctx)
		switch {
		case err == nil && known.partitions < 0:
			known = state
		case err == nil && state != known:
			r.Log.Info("the topic has changed", "topic", r.Topic, "partitions", state.partitions, "before", known.partitions, "id", state.id, "idBefore", known.id)
			return
		}
		if err == nil && state.partitions == 0 {
			r.Status.lost(fmt.Errorf("topic %s does not exist", r.Topic))
		}
		if !sleep(ctx, r.MetadataWatch) {
			return
		}
	}
}

// sleep waits, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A backoff grows and is never in step with that of others.
type backoff struct{ next time.Duration }

func (b *backoff) wait(ctx context.Context) bool {
	b.next = min(max(2*b.next, backoffMin), backoffMax)
	return sleep(ctx, b.next/2+rand.N(b.next/2))
}

func (b *backoff) reset() { b.next = 0 }
