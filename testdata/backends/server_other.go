//go:build !linux

package backends

import "syscall"

// dieWithParent does nothing where the kernel offers nothing: a test program that is killed leaves its servers running.
func dieWithParent() *syscall.SysProcAttr { return nil }
