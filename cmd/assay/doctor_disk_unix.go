//go:build linux || darwin

package main

import "syscall"

// freeSpace is how many bytes this user may still write to the disk of a directory.
func freeSpace(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}
