// Package disktest gives tests disks that are small and disks that fail: a real
// tmpfs of a few megabytes, and a kernel filter under which writes or fsyncs of this
// process end with EIO. It knows nothing of what is written. Linux only.
package disktest
