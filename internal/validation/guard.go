package validation

import (
	"fmt"
	"runtime/debug"
)

// guarded is f with a panic turned into an error that holds the stack. What f was
// working on is of no further use then.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
