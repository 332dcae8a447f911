package gather

import (
	"fmt"
	"runtime/debug"

	"github.com/release-assay/assay/sources"
)

// guarded is ask with a panic of the source turned into an error: an answer that an
// adapter stumbles over is one that cannot be understood, and costs only those who
// asked for it.
func guarded[T any](name, op string, ask func() (T, error)) (answer T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &sources.Error{Kind: sources.Malformed, Source: name, Op: op, Err: fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	return ask()
}
