package verdicts

import (
	"context"
	"errors"
)

// A Message is one record to deliver, as the outbox keeps it. Sinks do not change
// it and keep nothing of it.
type Message struct {
	ID          string // the verdict's own id, the same on every delivery
	Key         string // <environment>/<namespace>/<service>
	ContentType string
	Headers     []Header
	Payload     []byte
}

// A Header is one header of a message.
type Header struct {
	Key   string
	Value []byte
}

// A Sink delivers messages. Publish returns nil when the receiver has the message
// for good, or an error after which the receiver may or may not have it: it is
// called again with the same message, and receivers drop an ID that they have. So
// publishing twice is publishing once.
//
// An error is temporary unless it is marked with Permanent: the receiver is away,
// slow or refuses us, and the same message will be taken later. Messages that are
// published one after the other arrive in that order. Publish returns when ctx is
// done, and may be called concurrently.
type Sink interface {
	// Name is unique among the sinks of a process and stays the same over its
	// restarts, because the outbox is kept by it.
	Name() string
	Publish(ctx context.Context, m Message) error
}

// Permanent marks an error as one of the message itself: no receiver will ever
// take it, and trying again only holds up those behind it.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

// IsPermanent reports whether an error of Publish is marked so.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p)
}

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }
