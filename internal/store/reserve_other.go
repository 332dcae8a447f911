//go:build !linux

package store

import "os"

// setAside makes the disk keep the first size bytes of f.
func setAside(f *os.File, size int64) error { return fill(f, size) }
