//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package store

import (
	"errors"
	"os"
)

// lockFile refuses: without a lock two processes could own one store.
func lockFile(string) (*os.File, error) {
	return nil, errors.New("this operating system has no file lock that is known to be safe")
}
