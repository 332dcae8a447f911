package verdicts

import "context"

// A Message is one record to deliver, as the outbox keeps it.
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

// A Sink delivers messages. Publish returns when the receiver has the message for
// good, or with an error after which it may or may not have it: it is called
// again with the same ID, and receivers drop what they have.
type Sink interface {
	Name() string
	Publish(ctx context.Context, m Message) error
}
