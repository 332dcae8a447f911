package disktest

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Run calls f with a disk of so many bytes. Whoever may not mount one gets it in a
// user namespace, where the same test runs again as a process of its own.
func Run(t *testing.T, bytes int64, f func(dir string)) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", bytes), "tmpfs", dir).CombinedOutput()
	if err != nil {
		if os.Geteuid() == 0 {
			t.Fatalf("a disk could not be mounted: %v: %s", err, out)
		}
		runAsRoot(t)
		return
	}
	defer func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()
	f(dir)
}

// runAsRoot runs the calling test in a namespace in which this user is root.
func runAsRoot(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.SysProcAttr = rootOfItsOwn()
	out, err := cmd.CombinedOutput()
	t.Logf("in a namespace of its own:\n%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// Ballast fills the disk of dir but for the given bytes, and returns the function
// that gives the space back.
func Ballast(t *testing.T, dir string, leave int64) (drop func()) {
	t.Helper()
	free, err := space(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "ballast-")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n := free - leave; n > 0 {
		if _, err := f.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}
