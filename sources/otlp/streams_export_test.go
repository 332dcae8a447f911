package otlp

import (
	"context"
	"net/http"
	"time"
)

// Raw sends bytes as they are.
type Raw = raw

// HandlerWithin is Handler with another patience.
func (s *Source) HandlerWithin(wait time.Duration) http.Handler { return s.handler(wait) }

// TakeRecord takes what a record of a topic holds: of traces, logs or metrics.
func (s *Source) TakeRecord(ctx context.Context, which int, value []byte) error {
	if len(value) == 0 {
		return nil
	}
	return []signal{spans, logs, metrics}[which%3].record(s, ctx, value)
}

// IsRefusal reports whether trying again would change nothing.
func IsRefusal(err error) bool { return isRefusal(err) }
