package intake

import (
	"context"
	"fmt"
	"time"

	"github.com/release-assay/assay/internal/store"
)

// Replay decodes the event of a dead letter again, as this version of Assay reads
// it, and accepts it into the inbox or writes down why it is refused. The letter
// stays, with what became of it. To replay a letter that was accepted before changes
// nothing. Store.ErrNotFound where there is no such letter; any other error means
// that the store could not take it.
func Replay(ctx context.Context, s *store.Store, id int64, by string, now time.Time) (store.DeadLetter, error) {
	letter, err := s.DeadLetter(ctx, id)
	if err != nil || letter.Replay.Settled() {
		return letter, err
	}
	r := store.Replay{Letter: id, By: by, Now: now}
	d, rejection := again(letter)
	switch {
	case rejection != nil:
		r.Reason, r.Error = string(rejection.Reason), rejection.Error()
	case d.Outcome == Ignored:
		r.Ignored = true
	default:
		r.Delivery = &store.Delivery{
			Topic: letter.Topic, Partition: letter.Partition, Offset: letter.Offset, Key: letter.Key,
			Headers: letter.Headers, Raw: letter.Value, ContentHash: d.ContentHash, Event: d.Event,
		}
	}
	return s.ReplayDeadLetter(ctx, r)
}

// again decodes the record of a dead letter. What is not the record as it came is
// not decoded: half an event may read as another one.
func again(letter store.DeadLetter) (Decoded, *Rejection) {
	switch {
	case letter.LastOffset > letter.Offset:
		return Decoded{}, &Rejection{Reason: Reason(letter.Reason), Detail: fmt.Sprintf("it stands for the offsets %d to %d of a batch that could not be opened; have its events sent again", letter.Offset, letter.LastOffset)}
	case letter.Reason == string(TooLarge):
		return Decoded{}, &Rejection{Reason: TooLarge, Detail: "what is kept of the record may not be all of it; have the event sent again"}
	}
	return Decode(FromKafka(letter.Headers, letter.Key, letter.Value), DefaultLimits())
}
