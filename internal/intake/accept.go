package intake

import (
	"context"
	"net/http"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/internal/store"
)

// A Store keeps what came in. *store.Store is one.
type Store interface {
	AcquirePartition(ctx context.Context, topic string, partition int, owner, topicID string, now time.Time) (store.Lease, error)
	Accept(ctx context.Context, batch store.Batch) (store.Accepted, error)
	AddGap(ctx context.Context, gap store.Gap) error
	ResetPartition(ctx context.Context, reset store.Reset) error
	StoredOffset(ctx context.Context, topic string, partition int) (int64, error)
}

// An Answer is what becomes of an event that was posted.
type Answer struct {
	Outcome      string // accepted | duplicate | conflict | ignored | rejected
	Source, ID   string // of the event, where they could be read
	DeploymentID analysis.DeploymentID
	Inbox        int64      // the row of the inbox; of a duplicate or conflict that of the event that was first
	Rejection    *Rejection // when rejected, or in conflict
}

// An Accepter takes events that are posted over HTTP into the same inbox, with the
// same rules.
type Accepter struct {
	Store  Store
	Limits Limits // zero: DefaultLimits
}

// AcceptHTTP takes one event. When it returns no error and the outcome is accepted,
// the event is on the disk. An error means that the store could not take it: the
// sender should try again. A rejected event leaves no dead letter, since its sender
// is told; a conflict does, since it may be a forgery.
func (a Accepter) AcceptHTTP(ctx context.Context, header http.Header, body []byte, now time.Time) (Answer, error) {
	limits := a.Limits
	if limits == (Limits{}) {
		limits = DefaultLimits()
	}
	m := FromHTTP(header, body)
	d, rejection := Decode(m, limits)
	switch {
	case rejection != nil:
		return Answer{Outcome: "rejected", Source: rejection.EventSource, ID: rejection.EventID, Rejection: rejection}, nil
	case d.Outcome == Ignored:
		return Answer{Outcome: "ignored"}, nil
	}
	accepted, err := a.Store.Accept(ctx, store.Batch{
		Deliveries: []store.Delivery{{
			Topic: store.TopicHTTP, Partition: store.PartitionHTTP, Key: []byte(Key(d.Event.Release)),
			Headers: m.Headers, Raw: m.Value, ContentHash: d.ContentHash, Event: d.Event,
		}},
		Now: now,
	})
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{
		Outcome: accepted.Outcomes[0].String(), Source: d.Event.Source, ID: d.Event.ID,
		DeploymentID: d.Event.DeploymentID, Inbox: accepted.Inbox[0],
	}
	if accepted.Outcomes[0] == store.OutcomeConflict {
		answer.Rejection = &Rejection{Reason: Conflict, Detail: "another event with this source and id came first", EventSource: answer.Source, EventID: answer.ID}
	}
	return answer, nil
}
