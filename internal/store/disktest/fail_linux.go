package disktest

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

func rootOfItsOwn() *syscall.SysProcAttr {
	self := func(id int) []syscall.SysProcIDMap {
		return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
	}
	return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: self(os.Getuid()), GidMappings: self(os.Getgid())}
}

func space(dir string) (int64, error) {
	var s syscall.Statfs_t
	err := syscall.Statfs(dir, &s)
	return int64(s.Bavail) * s.Bsize, err
}

// Of linux/seccomp.h and linux/prctl.h.
const (
	setNoNewPrivileges = 38
	setModeFilter      = 1
	allThreads         = 1
	allow              = 0x7fff0000
	fail               = 0x00050000 // with the errno in the low bits
	offsetOfNumber     = 0
	offsetOfArguments  = 16
)

// FailSyncs lets every fsync and fdatasync of this process, and of what it executes,
// end with EIO from now on, as on a disk that has lost its cable.
func FailSyncs() error {
	return install([]syscall.SockFilter{
		load(offsetOfNumber),
		jump(syscall.BPF_JEQ, syscall.SYS_FSYNC, 1, 0),
		jump(syscall.BPF_JEQ, syscall.SYS_FDATASYNC, 0, 1),
		answer(fail | uint32(syscall.EIO)),
		answer(allow),
	})
}

// FailWrites does so to every pwrite at or behind an offset, whatever the file: a
// disk of which the sectors behind the first few are bad.
func FailWrites(offset uint32) error {
	return install([]syscall.SockFilter{
		load(offsetOfNumber),
		jump(syscall.BPF_JEQ, syscall.SYS_PWRITE64, 0, 3),
		load(offsetOfArguments + 3*8), // the low half, on little-endian machines
		jump(syscall.BPF_JGE, offset, 0, 1),
		answer(fail | uint32(syscall.EIO)),
		answer(allow),
	})
}

func load(at uint32) syscall.SockFilter {
	return syscall.SockFilter{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS, K: at}
}

func jump(test uint16, k uint32, yes, no uint8) syscall.SockFilter {
	return syscall.SockFilter{Code: syscall.BPF_JMP | test | syscall.BPF_K, K: k, Jt: yes, Jf: no}
}

func answer(k uint32) syscall.SockFilter {
	return syscall.SockFilter{Code: syscall.BPF_RET | syscall.BPF_K, K: k}
}

func install(filter []syscall.SockFilter) error {
	seccomp, ok := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH]
	if !ok {
		return fmt.Errorf("the number of seccomp(2) on %s is not known here", runtime.GOARCH)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := syscall.RawSyscall(seccomp, setModeFilter, allThreads, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	runtime.KeepAlive(filter)
	return nil
}
