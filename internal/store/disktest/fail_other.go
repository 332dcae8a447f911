//go:build !linux

package disktest

import (
	"errors"
	"syscall"
)

var errLinuxOnly = errors.New("disks that fail are made on Linux only")

func rootOfItsOwn() *syscall.SysProcAttr { return nil }
func space(string) (int64, error)        { return 0, errLinuxOnly }

// FailSyncs is for Linux.
func FailSyncs() error { return errLinuxOnly }

// FailWrites is for Linux.
func FailWrites(uint32) error { return errLinuxOnly }
