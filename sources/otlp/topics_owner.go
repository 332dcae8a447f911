package otlp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/release-assay/assay/internal/kafka"
)

// ErrOtherReader says that another process reads the topics.
var ErrOtherReader = errors.New("another Assay of this consumer group reads the OTLP topics, and only one may: give this one no topics, or another group and topics of its own")

// contend joins the group, and reads whenever this process is the one that may.
func (r *topicReader) contend(ctx context.Context) error {
	one := &oneReader{id: fmt.Sprintf("%016x", rand.Uint64()), token: r.Topics()[0]}
	group, err := r.client.Group(kafka.GroupOptions{ID: r.Group, Topics: r.Topics(), SessionTimeout: r.SessionTimeout, Balancers: []kafkago.GroupBalancer{one}})
	if err != nil {
		return fmt.Errorf("otlp: %w", err)
	}
	var reading sync.WaitGroup
	defer reading.Wait()
	defer group.Close()
	said := ""
	for ctx.Err() == nil {
		gen, err := group.Next(ctx)
		switch {
		case ctx.Err() != nil, errors.Is(err, kafkago.ErrGroupClosed):
			return nil
		case errors.Is(err, kafkago.RebalanceInProgress):
		case err != nil:
			r.status.become(TopicsWaiting, fmt.Errorf("join group %s: %w", r.Group, err))
			if text := err.Error(); text != said { // several times a second otherwise
				said = text
				r.Log.Warn("the OTLP topics are not read: the group cannot be joined", "group", r.Group, "err", err)
			}
		case len(gen.Assignments[one.token]) == 0:
			said = ""
			one.since.Store(0)
			if r.status.become(TopicsRefused, ErrOtherReader) {
				r.Log.Error("the OTLP topics are not read", "group", r.Group, "err", ErrOtherReader)
			}
		default:
			said = ""
			one.since.CompareAndSwap(0, max(1, r.Now().UnixNano()))
			r.Log.Info("the OTLP topics are read", "group", r.Group, "topics", r.Topics())
			reading.Add(1)
			gen.Start(func(ctx context.Context) {
				defer reading.Done()
				r.own(ctx)
			})
		}
	}
	return nil
}

// oneReader gives everything to the member of the group that reads already, or else to
// any. What is assigned is a token: partition 0 of one topic, which need not even exist
// yet.
type oneReader struct {
	id    string
	token string
	since atomic.Int64 // nanoseconds; 0: this process does not read
}

// ProtocolName is part of the protocol between processes: all must have the same.
func (*oneReader) ProtocolName() string { return "assay-one-reader" }

// UserData tells the others since when this process reads: 16 digits, and its id.
func (o *oneReader) UserData() ([]byte, error) {
	return fmt.Appendf(nil, "%016x %s", uint64(o.since.Load()), o.id), nil
}

// AssignGroups is called on one of the members, whichever.
func (o *oneReader) AssignGroups(members []kafkago.GroupMember, _ []kafkago.Partition) kafkago.GroupMemberAssignments {
	const none = "0000000000000000 "
	before := func(a, b kafkago.GroupMember) int {
		x, y := string(a.UserData), string(b.UserData)
		return cmp.Or(compareBool(strings.HasPrefix(x, none), strings.HasPrefix(y, none)), cmp.Compare(x, y), cmp.Compare(a.ID, b.ID))
	}
	return kafkago.GroupMemberAssignments{slices.MinFunc(members, before).ID: {o.token: {0}}}
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
