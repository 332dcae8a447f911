package validation

import (
	"context"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

// A Publisher delivers the outbox: step 7 of the line. It is separate from the
// Runner because a sink that hangs must not hold up a verdict.
type Publisher struct {
	Store *store.Store
	Sinks []verdicts.Sink
	// Passed is called between the steps, as for Runner.
	Passed func(step string)
}

// atOnce is how many messages a sink is given before the next one has its turn.
const atOnce = 100

// Publish delivers what is pending, in order within each sink. A message that
// fails keeps those behind it waiting, for the order is a promise, unless no
// receiver will ever take it: that one stays in the outbox with its error. Both are
// tried again by the next call. Delivery is at least once: every sink is idempotent
// by message id.
func (p *Publisher) Publish(ctx context.Context, now time.Time) (sent int, err error) {
	for _, sink := range p.Sinks {
		n, failed := p.publish(ctx, sink, now)
		sent += n
		if failed != nil && err == nil {
			err = failed
		}
	}
	return sent, err
}

func (p *Publisher) publish(ctx context.Context, sink verdicts.Sink, now time.Time) (int, error) {
	pending, err := p.Store.PendingOutbox(ctx, sink.Name(), atOnce)
	if err != nil {
		return 0, err
	}
	sent := 0
	var refused error
	for _, m := range pending {
		if err := sink.Publish(ctx, messageOf(m)); err != nil {
			if mark := p.Store.MarkFailed(ctx, m.ID, err.Error(), now); mark != nil {
				return sent, mark
			}
			err = fmt.Errorf("sink %s: message %s: %w", sink.Name(), m.MessageID, err)
			if verdicts.IsPermanent(err) {
				refused = err
				continue
			}
			return sent, err
		}
		if p.Passed != nil {
			p.Passed("sent")
		}
		if err := p.Store.MarkSent(ctx, []int64{m.ID}, now); err != nil {
			return sent, err
		}
		sent++
	}
	if sent > 0 && p.Passed != nil {
		p.Passed("published")
	}
	return sent, refused
}

// messageOf is an outbox row as sinks see it.
func messageOf(m store.OutboxMessage) verdicts.Message {
	out := verdicts.Message{ID: m.MessageID, Key: m.Key, ContentType: m.ContentType, Payload: m.Payload}
	for _, h := range m.Headers {
		out.Headers = append(out.Headers, verdicts.Header{Key: h.Key, Value: h.Value})
	}
	return out
}
