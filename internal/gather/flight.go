package gather

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/sources"
)

// flights are the questions of one kind that are being asked: who asks the same
// meanwhile gets the same answer. The zero value has none.
type flights[T any] struct {
	mu   sync.Mutex
	open map[string]*flight[T]
}

// A flight is a question until done is closed; then it has an answer or an error.
type flight[T any] struct {
	done      chan struct{}
	answer    T
	err       error
	abandoned bool // who asked gave up; whoever waited asks for himself
}

// once returns the answer to the question of a name, from somebody who is asking
// it, or by asking.
func (f *flights[T]) once(ctx context.Context, g *Gatherer, source, op, name string, ask func() (T, error)) (answer T, err error) {
	for {
		f.mu.Lock()
		other := f.open[name]
		if other == nil {
			break
		}
		f.mu.Unlock()
		if err := landed(ctx, other.done, source, op); err != nil {
			return answer, err
		}
		if !other.abandoned {
			g.shared.Add(1)
			return other.answer, other.err
		}
	}
	mine := &flight[T]{done: make(chan struct{})}
	if f.open == nil {
		f.open = map[string]*flight[T]{}
	}
	f.open[name] = mine
	f.mu.Unlock()

	mine.answer, mine.err = ask()
	mine.abandoned = mine.err != nil && ctx.Err() != nil
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.open, name)
	close(mine.done)
	return mine.answer, mine.err
}

// landed waits for somebody else's question, no longer than ctx.
func landed(ctx context.Context, done <-chan struct{}, source, op string) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &sources.Error{Kind: sources.Unavailable, Source: source, Op: op, Err: context.Cause(ctx)}
	}
}

// named is the same for questions that ask the same: of a signal, whatever its name,
// of somebody, from when to when.
func named(s analysis.Signal, whom any, from, to time.Time) string {
	s.Name, s.Unit = "", unitAsked(s)
	text, err := json.Marshal([]any{s, whom})
	if err != nil {
		panic(err) // strings
	}
	return fmt.Sprintf("%s %d %d", text, from.UnixNano(), to.UnixNano())
}
